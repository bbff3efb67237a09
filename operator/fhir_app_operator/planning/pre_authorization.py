"""Clients that get scopes without anybody's consent: what is declared, and what that comes to.

Graph takes an entry only for scopes that the application has, so a new scope comes first and its
entry with the next step, and the entry of a scope that goes no later than it. Entries whose clients
we have named carry a tag, so that they are known as ours once the manifest has let go of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from fhir_app_operator.api.v1alpha1 import (
    AppType,
    FhirAppRegistration,
    PreAuthorizedClient,
    Resource,
)
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning import asked, smart
from fhir_app_operator.planning.model import (
    CLIENT_TAG_PREFIX,
    Application,
    Exposure,
    PreAuthorization,
    PreAuthorized,
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


def next_entries(
    wanted: PreAuthorization, live: Application, after: Exposure
) -> frozenset[PreAuthorized]:
    """Return the entries to send next, given the permissions that are sent along, `after`."""
    ids = {scope.value: scope.id for scope in after.scopes}
    there = {scope.id for scope in live.scopes} & set(ids.values())
    ours = _claimed(live)
    found = [
        PreAuthorized(app_id=app_id, scope_ids=frozenset(ids[v] for v in found if v in ids))
        for app_id, found in wanted.clients.items()
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
