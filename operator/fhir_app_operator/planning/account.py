"""The account of what the operator granted: single entries, and what becomes of them.

Pure. `status.grants` has it, one record for each API and holder. What may be granted is
`planning.grants`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from fhir_app_operator.api.v1alpha1 import Grants, RegistrationStatus, TenantPolicy
from fhir_app_operator.api.v1alpha1.well_known import GRAPH_APP_ID
from fhir_app_operator.planning import grants, policy
from fhir_app_operator.planning.model import (
    AppRoleAssignment,
    AssignAppRole,
    ConsentToScopes,
    DesiredGrants,
    GrantAction,
    ObservedGrants,
    PermissionGrant,
    PermissionIds,
    RecordedGrant,
    UnassignAppRole,
    WithdrawScopes,
)


class Entry(NamedTuple):
    """One app role or scope that somebody was granted."""

    resource_id: str
    principal_id: str | None
    """Who holds it; None: the registration's own service principal."""
    kind: Literal["role", "scope"]
    value: str
    """The id of a role, the value of a scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedApi:
    """An API on which something was granted, as the directory has it now."""

    app_id: str
    permissions: PermissionIds
    server: bool
    """It is a FHIR server that is registered in the tenant."""


def of_status(status: RegistrationStatus) -> tuple[RecordedGrant, ...]:
    """Return the account that `status` has."""
    return tuple(
        RecordedGrant(
            resource_id=each.resource_id, principal_id=each.principal_id,
            app_roles=frozenset(each.app_roles), scopes=frozenset(each.scopes),
        )
        for each in status.grants
    )  # fmt: skip


def entries(records: Iterable[RecordedGrant]) -> frozenset[Entry]:
    """Return what the account holds, one by one."""
    return frozenset(
        Entry(each.resource_id, each.principal_id, kind, value)
        for each in records
        for kind, values in _kinds(each)
        for value in values
    )


def _kinds(
    record: RecordedGrant,
) -> tuple[tuple[Literal["role", "scope"], frozenset[str]], ...]:
    return (("role", record.app_roles), ("scope", record.scopes))


def records(found: Iterable[Entry]) -> tuple[RecordedGrant, ...]:
    """Return the account of these entries; the inverse of `entries`."""
    found = frozenset(found)
    holders = sorted(
        {(each.resource_id, each.principal_id) for each in found},
        key=lambda holder: (holder[0], holder[1] or ""),
    )
    return tuple(
        RecordedGrant(
            resource_id=resource_id, principal_id=principal_id,
            app_roles=_values(found, resource_id, principal_id, "role"),
            scopes=_values(found, resource_id, principal_id, "scope"),
        )
        for resource_id, principal_id in holders
    )  # fmt: skip


def _values(
    found: Iterable[Entry], resource_id: str, principal_id: str | None, kind: str
) -> frozenset[str]:
    holder = (resource_id, principal_id, kind)
    return frozenset(each.value for each in found if each[:3] == holder)


def unwanted(desired: DesiredGrants, observed: ObservedGrants, own_id: str) -> frozenset[Entry]:
    """Return what the account holds, and neither the manifest nor the tenant keep any more.

    Args:
        desired: what should be granted, and whether the operator may take anything back.
        observed: the account, and the ids by which it names what is wanted.
        own_id: the registration's own service principal.
    """
    kept: set[Entry] = set()
    for api in desired.apis:
        resource_id = observed.resources.get(api.app_id, "")
        kept |= {Entry(resource_id, None, "role", each) for each in api.kept_role_ids}
        kept |= {Entry(resource_id, None, "scope", each) for each in api.kept_scopes}
    for wanted in desired.assignments:
        role_id = observed.own_roles.get(wanted.value)
        if role_id is not None and (wanted.grantable or wanted.barred):
            kept.add(Entry(own_id, wanted.principal_id, "role", role_id))
    may = {"role": desired.assigns, "scope": desired.consents}
    return frozenset(e for e in entries(observed.recorded) if e not in kept and may[e.kind])


def given(action: GrantAction) -> frozenset[Entry]:
    """Return what `action` is to grant, as the account names it."""
    match action:
        case AssignAppRole():
            role = Entry(action.resource_id, action.principal_id, "role", action.app_role_id)
            return frozenset({role})
        case ConsentToScopes():
            return _scopes(action.resource_id, action.added)
        case _:
            return frozenset()


def intended(
    account: Iterable[RecordedGrant], actions: Iterable[GrantAction]
) -> tuple[RecordedGrant, ...]:
    """Return `account` with all that `actions` are going to grant: written before they start.

    A pass that dies in between leaves a grant behind that the next one knows as ours.
    """
    return records(entries(account).union(*map(given, actions)))


def shown(observed: ObservedGrants, own_id: str) -> frozenset[Entry]:
    """Return what reads show, or this pass made, as the account may name it."""
    roles = (_named(each, own_id) for each in observed.assignments)
    scopes = (_scopes(grant.resource_id, grant.scopes) for grant in observed.consents)
    return frozenset[Entry]().union(*roles, *scopes)


def missed(
    expected: frozenset[Entry], shown: frozenset[Entry], since: Mapping[Entry, datetime],
    now: datetime,
) -> dict[Entry, datetime]:  # fmt: skip
    """Return which of the `expected` no read shows, and since when; `since` is what was before."""
    return {each: since.get(each, now) for each in expected - shown}


def given_up(missed: Mapping[Entry, datetime], now: datetime, doubt: timedelta) -> frozenset[Entry]:
    """Return what has not been shown for so long that it is not granted any more.

    One read proves nothing: it may come from a replica that is behind, and what is forgotten is
    never taken back.
    """
    return frozenset(each for each, at in missed.items() if now - at >= doubt)


# ---- what the tenant alone decides


def disallowed(
    account: Iterable[RecordedGrant], apis: Mapping[str, GrantedApi], tenant: Grants,
    rules: TenantPolicy | None,
) -> frozenset[Entry]:  # fmt: skip
    """Return what of the account the tenant does not let the operator grant any more.

    Whatever the manifest says. What the directory does not name is left alone, and so is what
    could be taken back by an opt-in that is off, and what a policy that only reports bars.

    Args:
        account: what was granted.
        apis: where, by object id.
        tenant: what the operator may grant.
        rules: what may be asked for at all.
    """
    rules = rules or TenantPolicy()
    found = set()
    for entry in entries(account):
        api = apis.get(entry.resource_id)
        if api is not None and not _is_kept(entry, api, tenant, rules):
            found.add(entry)
    return frozenset(found)


def _is_kept(entry: Entry, api: GrantedApi, tenant: Grants, rules: TenantPolicy) -> bool:
    # A server's own roles are allowed by the entries that name no API.
    app_id = "" if entry.principal_id is not None else api.app_id
    if entry.kind == "role":
        values = {each: value for value, each in api.permissions.app_roles.items()}
        value = values.get(entry.value)
        if value is None or not tenant.assigns:
            return True
        if not policy.allows_role(rules, app_id, value):
            return not rules.withdraws
        return grants.may_assign(
            tenant, app_id, value, server=api.server or entry.principal_id is not None
        )
    if not tenant.consents:
        return True
    sign_in = app_id == GRAPH_APP_ID and entry.value in grants.OPENID_SCOPES
    if not sign_in and not policy.allows_scope(rules, entry.value):
        return not rules.withdraws
    return grants.may_consent(tenant, app_id, entry.value, server=api.server)


def withdrawals(
    found: frozenset[Entry], own_id: str, assignments: Iterable[AppRoleAssignment],
    consents: Iterable[PermissionGrant],
) -> tuple[GrantAction, ...]:  # fmt: skip
    """Return how to take back those of the entries that are still granted.

    Args:
        found: what is to be taken back.
        own_id: the registration's own service principal.
        assignments: what it holds, and who holds its own app roles.
        consents: what all users consented to for it.
    """
    actions: list[GrantAction] = [
        UnassignAppRole(assignment=each, reason="NotAllowedAnyMore")
        for each in assignments
        if not found.isdisjoint(_named(each, own_id))
    ]
    for grant in consents:
        removed = grant.scopes & _values(found, grant.resource_id, None, "scope")
        if removed:
            actions.append(
                WithdrawScopes(
                    grant_id=grant.id, resource_id=grant.resource_id, removed=removed,
                    reason="NotAllowedAnyMore",
                )
            )  # fmt: skip
    return tuple(actions)


def _named(assignment: AppRoleAssignment, own_id: str) -> frozenset[Entry]:
    """How the account may name an assignment; one of this pass to itself names no principal."""
    own = assignment.principal_id in ("", own_id)
    return frozenset(
        Entry(assignment.resource_id, holder, "role", assignment.app_role_id)
        for holder in (assignment.principal_id, *((None,) if own else ()))
    )


def taken_back(account: frozenset[Entry], action: GrantAction, own_id: str) -> frozenset[Entry]:
    """Return `account` after `action`, as far as that took something back for good.

    Scopes stay in it until reads have not shown them for long (`given_up`): the list of a grant is
    written as a whole, and a later write from a read that was behind brings them back.
    """
    if isinstance(action, UnassignAppRole):
        return account - _named(action.assignment, own_id)
    return account


def withdrawn(action: GrantAction) -> frozenset[Entry]:
    """Return the scopes that `action` takes back, as the account names them."""
    if not isinstance(action, WithdrawScopes):
        return frozenset()
    return _scopes(action.resource_id, action.removed)


def _scopes(resource_id: str, values: Iterable[str]) -> frozenset[Entry]:
    """Scopes of one API, which only the registration's own service principal holds."""
    return frozenset(Entry(resource_id, None, "scope", value) for value in values)
