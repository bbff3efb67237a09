"""Grants: which of what a manifest asks for may be granted, what is missing, what is taken back.

Pure. Two calls of Graph make up "admin consent": app role assignments for application permissions,
and one grant for all users for delegated ones (Microsoft Graph, "Grant an appRoleAssignment to a
service principal" and "Create oAuth2PermissionGrant"). Asking for permissions in
`requiredResourceAccess` grants nothing; that is `planning.desired`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from fhir_app_operator.api.v1alpha1 import Grants
from fhir_app_operator.api.v1alpha1.conditions import ConditionStatus
from fhir_app_operator.api.v1alpha1.grants import AllowedPermissions
from fhir_app_operator.api.v1alpha1.well_known import GRAPH_APP_ID
from fhir_app_operator.errors import OperatorError
from fhir_app_operator.planning.model import (
    AppRoleAssignment,
    Asked,
    AssignAppRole,
    ConsentToScopes,
    DesiredGrants,
    GrantAction,
    ObservedGrants,
    PermissionGrant,
    PermissionIds,
    RecordedGrant,
    ResourceAccess,
    UnassignAppRole,
    WantedGrants,
    WithdrawScopes,
)

OPENID_SCOPES: Final = ("offline_access", "openid")
"""Asked for by user flows; they belong to Microsoft Graph, not to the FHIR server."""
_PATIENT: Final = re.compile(r"patient[^A-Za-z0-9]", re.IGNORECASE)
"""A SMART scope of the patient's own compartment: the patient consents to it."""
_LISTED: Final = 20
"""How many permissions a message lists."""
_SHORTEST: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(days=1)


# ---- what may be granted


def matches(pattern: str, value: str) -> bool:
    """Whether `value` is meant by `pattern`, in which `*` stands for any characters.

    Takes the first place for each part, which no later part can want: linear, where a regular
    expression with many stars tries every division and holds the event loop for minutes.
    """
    first, *parts = pattern.split("*")
    if not parts:
        return value == pattern
    last, at = parts.pop(), len(first)
    end = len(value) - len(last)
    if end < at or not (value.startswith(first) and value.endswith(last)):
        return False
    for part in parts:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def may_assign(grants: Grants | None, app_id: str, value: str, *, server: bool) -> bool:
    """Whether the operator may assign the app role `value` of the API `app_id`.

    Args:
        grants: what the tenant says; None allows nothing.
        app_id: the API.
        value: the role.
        server: whether the API is a FHIR server registered in the tenant.
    """
    if grants is None or not grants.assigns:
        return False
    entries = _entries(grants, app_id, server=server)
    patterns = (pattern for entry in entries for pattern in entry.app_roles)
    return _listed(patterns, value, by_name=app_id == GRAPH_APP_ID)


def may_consent(grants: Grants | None, app_id: str, value: str, *, server: bool) -> bool:
    """Whether the operator may consent to the scope `value` for all users; see `may_assign`.

    What every sign-in needs of Microsoft Graph goes without saying. A patient's scope, and
    everything else of Microsoft Graph, must be listed by name.
    """
    if grants is None or not grants.consents:
        return False
    if app_id == GRAPH_APP_ID and value in OPENID_SCOPES:
        return True
    entries = _entries(grants, app_id, server=server)
    patterns = (pattern for entry in entries for pattern in entry.scopes)
    by_name = app_id == GRAPH_APP_ID or _PATIENT.match(value) is not None
    return _listed(patterns, value, by_name=by_name)


def _entries(grants: Grants, app_id: str, *, server: bool) -> Iterable[AllowedPermissions]:
    return (
        entry for entry in grants.allowed if entry.api == app_id or (entry.api is None and server)
    )


def _listed(patterns: Iterable[str], value: str, *, by_name: bool) -> bool:
    return any(
        pattern == value if by_name else matches(pattern, value)
        for pattern in patterns
    )  # fmt: skip


def wanted(
    grants: Grants | None, api: Asked, *, for_all: bool,
    barred: frozenset[ResourceAccess] = frozenset(),
) -> WantedGrants:  # fmt: skip
    """Return what is asked for on one API, and how much of it the operator may grant.

    Args:
        grants: what the tenant says.
        api: what is asked for.
        for_all: whether its scopes are to be consented to for all users.
        barred: permissions that the tenant's policy does not allow.
    """
    scopes = frozenset(api.scopes if for_all else ())
    barred_roles = frozenset(v for v, access in api.role_access.items() if access in barred)
    barred_scopes = frozenset(v for v, access in api.scope_access.items() if access in barred)
    return WantedGrants(
        app_id=api.app_id,
        name=api.name,
        app_roles=api.app_roles,
        scopes=scopes,
        grantable_roles=frozenset(
            value
            for value in api.app_roles.keys() - barred_roles
            if may_assign(grants, api.app_id, value, server=api.server)
        ),
        grantable_scopes=frozenset(
            value
            for value in scopes - barred_scopes - api.pre_authorized
            if may_consent(grants, api.app_id, value, server=api.server)
        ),
        barred_roles=barred_roles,
        barred_scopes=barred_scopes,
        pre_authorized=api.pre_authorized,
    )


# ---- what is to be done


def plan(desired: DesiredGrants, observed: ObservedGrants) -> tuple[GrantAction, ...]:
    """Return what is to be taken back, then what is to be granted; empty if all is right.

    Taken back is only what the operator granted by its own account and what nobody asks for, or
    allows, any more; nothing at all while an API was not found: it may only be hidden.
    """
    found = {
        observed.resources[api.app_id]: api
        for api in desired.apis
        if api.app_id in observed.resources
    }
    actions: list[GrantAction] = []
    if len(found) == len(desired.apis):
        for record in observed.recorded:
            if record.principal_id is not None:
                continue
            actions += _withdrawals(desired, observed, record, found.get(record.resource_id))
    for action in actions:
        observed = fold(observed, action)
    for resource_id, api in found.items():
        actions += _assignments(observed, resource_id, api)
        actions += _consents(observed, resource_id, api)
    return tuple(actions)


def _withdrawals(
    desired: DesiredGrants, observed: ObservedGrants, record: RecordedGrant,
    api: WantedGrants | None,
) -> Iterable[GrantAction]:  # fmt: skip
    if desired.assigns:
        kept = api.kept_role_ids if api else frozenset[str]()
        for assignment in observed.assignments:
            ours = assignment.resource_id == record.resource_id
            if ours and assignment.app_role_id in record.app_roles - kept:
                yield UnassignAppRole(assignment=assignment)
    if desired.consents:
        unwanted = record.scopes - (api.kept_scopes if api else frozenset())
        for grant in observed.consents:
            removed = grant.scopes & unwanted
            if grant.resource_id == record.resource_id and removed:
                yield WithdrawScopes(
                    grant_id=grant.id, resource_id=grant.resource_id, removed=removed
                )


def _assignments(
    observed: ObservedGrants, resource_id: str, api: WantedGrants
) -> Iterable[AssignAppRole]:
    held = _held(observed, resource_id)
    for value in sorted(api.grantable_roles):
        if api.app_roles[value] not in held:
            yield AssignAppRole(
                app_id=api.app_id, resource_id=resource_id, app_role_id=api.app_roles[value],
                value=value,
            )  # fmt: skip


def _consents(
    observed: ObservedGrants, resource_id: str, api: WantedGrants
) -> Iterable[ConsentToScopes]:
    grant = next((each for each in observed.consents if each.resource_id == resource_id), None)
    held = grant.scopes if grant else frozenset[str]()
    added = api.grantable_scopes - held
    if added:
        yield ConsentToScopes(
            app_id=api.app_id, resource_id=resource_id, grant_id=grant.id if grant else None,
            added=added,
        )  # fmt: skip


def _held(
    observed: ObservedGrants, resource_id: str, principal_id: str | None = None
) -> frozenset[str]:
    """Ids of the roles of that API that are assigned, to whom it may be or to one principal."""
    return frozenset(
        each.app_role_id
        for each in observed.assignments
        if each.resource_id == resource_id and principal_id in (None, each.principal_id)
    )


def fold(observed: ObservedGrants, action: GrantAction) -> ObservedGrants:
    """Return what is granted after `action`."""
    match action:
        case AssignAppRole():
            assigned = AppRoleAssignment(
                id="", principal_id=action.principal_id or "",
                resource_id=action.resource_id, app_role_id=action.app_role_id,
            )  # fmt: skip
            return replace(observed, assignments=(*observed.assignments, assigned))
        case UnassignAppRole():
            left = tuple(a for a in observed.assignments if a != action.assignment)
            return replace(observed, assignments=left)
        case ConsentToScopes(grant_id=str(grant_id)):
            return _changed(observed, grant_id, lambda held: held | action.added)
        case ConsentToScopes():
            made = PermissionGrant(id="", resource_id=action.resource_id, scopes=action.added)
            return replace(observed, consents=(*observed.consents, made))
        case WithdrawScopes():
            return _changed(observed, action.grant_id, lambda held: held - action.removed)


def _changed(
    observed: ObservedGrants, grant_id: str, change: Callable[[frozenset[str]], frozenset[str]]
) -> ObservedGrants:
    """Return what is granted after a change of one grant; one without any scopes goes."""
    consents = (
        replace(grant, scopes=change(grant.scopes)) if grant.id == grant_id else grant
        for grant in observed.consents
    )
    return replace(observed, consents=tuple(grant for grant in consents if grant.scopes))


def is_exposed(action: AssignAppRole | ConsentToScopes, exposed: PermissionIds) -> bool:
    """Whether what `action` grants is still what it was decided on: the same id, the same value."""
    if isinstance(action, AssignAppRole):
        return exposed.app_roles.get(action.value) == action.app_role_id
    return action.added <= exposed.scopes.keys()


# ---- what to say


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The condition `ConsentGranted`."""

    status: ConditionStatus
    reason: str
    message: str


def report(desired: DesiredGrants, observed: ObservedGrants, url: str) -> Report:
    """Return whether everything is granted; if not, what is missing, and where to consent.

    `url` is where an administrator of the tenant consents.
    """
    if not desired.apis and desired.pre_authorized:
        return Report(
            status="True",
            reason="PreAuthorized",
            message="the server lets the client have its scopes without consent",
        )
    if not desired.apis:
        return Report(
            status="Unknown",
            reason="UserConsent",
            message="each user is asked for consent at the first sign-in; an administrator "
            f"consents for all at {url}",
        )
    missing = [text for api in desired.apis for text in _missing(desired, observed, api)]
    if not missing:
        return Report(status="True", reason="Granted", message="all that is asked for is granted")
    return Report(
        status="False",
        reason="ConsentMissing",
        message=f"not granted: {listed(missing)}. An administrator of the tenant consents at {url}",
    )


def _missing(desired: DesiredGrants, observed: ObservedGrants, api: WantedGrants) -> Iterable[str]:
    resource_id = observed.resources.get(api.app_id, "")
    held = _held(observed, resource_id)
    for value, role_id in sorted(api.app_roles.items()):
        if role_id not in held:
            said = why(
                barred=value in api.barred_roles,
                listed=not desired.assigns or value in api.grantable_roles,
            )
            yield f"app role '{value}' of {api.name}{said}"
    consented = {s for g in observed.consents if g.resource_id == resource_id for s in g.scopes}
    for value in sorted(api.scopes - consented - api.pre_authorized):
        said = why(
            barred=value in api.barred_scopes,
            listed=not desired.consents or value in api.grantable_scopes,
        )
        yield f"scope '{value}' of {api.name}{said}"


def listed(missing: Iterable[str]) -> str:
    """Return the texts as one, cut when they are many."""
    texts = tuple(missing)
    said = "; ".join(texts[:_LISTED])
    return f"{said} and {len(texts) - _LISTED} more" if len(texts) > _LISTED else said


def why(*, barred: bool, listed: bool) -> str:
    """Return why the operator does not grant something itself; empty if it may, or never does."""
    if barred:
        return " (against `policy` of the EntraTenant)"
    return "" if listed else " (not in `grants.allowed` of the EntraTenant)"


def unsettled(error: OperatorError, url: str | None, *, unreadable: bool) -> Report:
    """Return what to say when reading or granting ended in `error`.

    `url` is where an administrator consents, if it is about that.
    """
    where = f". An administrator of the tenant consents at {url}" if url else ""
    return Report(
        status="Unknown" if unreadable else "False",
        reason=error.reason,
        message=f"{error.message}{where}",
    )


def recheck_after(age: timedelta, pending: int) -> timedelta:
    """Return how long to wait before looking again for a consent that is missing.

    Args:
        age: for how long it has been missing: the older, the rarer.
        pending: how many registrations of the tenant wait like this one; together they look once
            a minute, which is what a fleet's budget of calls allows.
    """
    return min(_LONGEST, max(_SHORTEST * max(1, pending), age / 2))
