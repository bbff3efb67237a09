"""Clients that get scopes without anybody's consent: what is declared, and what that comes to.

Graph takes an entry only for scopes that the application has, so a new scope comes first and its
entry with the next step, and the entry of a scope that goes no later than it. Entries whose clients
we have named carry a tag, so that they are known as ours once the manifest has let go of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fhir_app_operator.api.v1alpha1 import (
    AppType,
    FhirAppRegistration,
    PreAuthorizedClient,
    Resource,
    TenantPolicy,
)
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning import asked, policy, smart
from fhir_app_operator.planning.model import (
    CLIENT_TAG_PREFIX,
    Application,
    Exposure,
    PreAuthorization,
    PreAuthorized,
    Violation,
)

_FIELD = "resource.preAuthorizedClients.clients"


def refusal(client: FhirAppRegistration, server: FhirAppRegistration) -> str | None:
    """Return why `client` cannot be pre-authorized on `server`; None if it can."""
    if client.metadata.deletion_timestamp is not None:
        return "it is being deleted"
    if client.spec.type not in (AppType.CONFIDENTIAL, AppType.PUBLIC):
        return f"it is of type {client.spec.type}, and no user signs in to that"
    if client.spec.tenant_ref != server.spec.tenant_ref:
        return f"it is in EntraTenant '{client.spec.tenant_ref.name}'"
    return None


def values(
    resource: Resource, exposure: Exposure, index: int, client: FhirAppRegistration | None
) -> frozenset[str]:
    """Return the scopes that the entry number `index` of a server means, as Entra has them.

    What a client asks for on its own and the server does not have is the client's fault, and told
    there.

    Args:
        resource: of the server's manifest.
        exposure: what it exposes.
        index: of the entry.
        client: the registration that it refers to, if it does.

    Raises:
        Invalid: it names a scope that is none, or that the server does not declare.
    """
    entry = resource.pre_authorized_clients.clients[index]
    exposed = {scope.value for scope in exposure.scopes}
    encoding = resource.smart.scope_encoding
    if entry.scopes is None and client is not None:
        try:
            return frozenset(asked.encoded(client, encoding)) & exposed
        except Invalid:
            return frozenset()
    found = set()
    for number, value in enumerate(entry.scopes or ()):
        where = f"`{_FIELD}[{index}].scopes[{number}]`"
        try:
            found.add(smart.encode(value, encoding))
        except smart.InvalidScopeError as error:
            raise Invalid(f"{where}: '{value}': {error}") from None
        if not found <= exposed:
            raise Invalid(
                f"{where}: this server declares no scope '{value}'; correct it, or add it to "
                "`resource.scopes`"
            )
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One entry of the manifest, its client found."""

    app_id: str
    values: frozenset[str]
    named: bool
    """The server's manifest names the scopes: else they are those that the client asks for."""


def under_policy(
    found: Iterable[Declared], wanted: PreAuthorization, rules: TenantPolicy | None
) -> tuple[PreAuthorization, tuple[Violation, ...]]:
    """Return `wanted` with what the tenant allows of `found`, and what breaks its policy.

    A scope that its client asks for on its own against the policy is no violation of the server,
    which waits for no client: it is not added.
    """
    rules, broken = rules or TenantPolicy(), []
    clients: dict[str, frozenset[str]] = {}
    barred: dict[str, frozenset[str]] = {}
    for entry in found:
        against = {value for value in entry.values if not policy.allows_scope(rules, value)}
        if entry.named:
            broken += [
                Violation(
                    what=f"scope '{value}' for the pre-authorized client {entry.app_id}",
                    pre_authorized=(entry.app_id, value),
                )
                for value in sorted(against)
            ]
        stays = frozenset() if rules.withdraws else frozenset(against)
        asked = entry.values - against | (stays if entry.named else frozenset())
        clients[entry.app_id] = clients.get(entry.app_id, frozenset()) | asked
        if not entry.named:
            barred[entry.app_id] = barred.get(entry.app_id, frozenset()) | stays
    return replace(wanted, clients=clients, barred=barred), tuple(broken)


def next_entries(
    wanted: PreAuthorization, live: Application, after: Exposure
) -> frozenset[PreAuthorized]:
    """Return the entries to send next, given the permissions that are sent along, `after`."""
    ids = {scope.value: scope.id for scope in after.scopes}
    there = {scope.id for scope in live.scopes} & set(ids.values())
    ours = _claimed(live)
    held = {entry.app_id: entry.scope_ids for entry in live.pre_authorized}

    def asked(app_id: str, values: frozenset[str]) -> frozenset[str]:
        barred = wanted.barred.get(app_id, frozenset())
        stays = {ids[v] for v in barred if v in ids} & held.get(app_id, frozenset())
        return frozenset(ids[v] for v in values if v in ids) | stays

    found = [
        PreAuthorized(app_id=app_id, scope_ids=asked(app_id, values))
        for app_id, values in wanted.clients.items()
    ]
    found += [
        entry for entry in live.pre_authorized
        if entry.app_id not in wanted.clients
        and (entry.app_id in wanted.unsure
             or not (wanted.remove_unmanaged or entry.app_id in ours))
    ]  # fmt: skip
    possible = (PreAuthorized(app_id=e.app_id, scope_ids=e.scope_ids & there) for e in found)
    return frozenset(entry for entry in possible if entry.scope_ids)


def claims(
    wanted: PreAuthorization, live: Application, entries: Iterable[PreAuthorized]
) -> frozenset[str]:
    """Return the tags that say which of the `entries` are ours."""
    ours = wanted.clients.keys() | (_claimed(live) & wanted.unsure)
    return frozenset(f"{CLIENT_TAG_PREFIX}{e.app_id}" for e in entries if e.app_id in ours)


def unmanaged(wanted: PreAuthorization, live: Application) -> int:
    """Return how many entries others made."""
    ours = wanted.clients.keys() | _claimed(live) | wanted.unsure
    return sum(entry.app_id not in ours for entry in live.pre_authorized)


def described(entry: PreAuthorizedClient, why: str) -> str:
    """Return in words why the client of `entry` is not pre-authorized."""
    name = entry.registration_ref.name if entry.registration_ref else entry.app_id
    return f"FhirAppRegistration '{name}': {why}"


def _claimed(live: Application) -> frozenset[str]:
    return frozenset(
        tag.removeprefix(CLIENT_TAG_PREFIX)
        for tag in live.tags
        if tag.startswith(CLIENT_TAG_PREFIX)
    )
