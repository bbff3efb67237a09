"""App roles of a server that its manifest gives to users, groups and service principals.

Pure. What may be granted, and the account of what was, is `planning.grants`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from fhir_app_operator.api.v1alpha1 import FhirAppRegistration, Grants, TenantPolicy
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning import grants, policy, smart
from fhir_app_operator.planning.model import (
    AppRoleAssignment,
    AssignAppRole,
    DesiredGrants,
    Exposure,
    GrantAction,
    ObservedGrants,
    UnassignAppRole,
    WantedAssignment,
)


def wanted(
    registration: FhirAppRegistration,
    exposure: Exposure,
    tenant: Grants | None,
    rules: TenantPolicy | None,
) -> tuple[WantedAssignment, ...]:
    """Return who is to be given which app role.

    Args:
        registration: the server.
        exposure: what its manifest declares.
        tenant: what the operator may grant by itself.
        rules: what may be asked for at all; what it bars and withdraws is left out.

    Raises:
        Invalid: an app role that the server does not declare.
    """
    resource, rules = registration.spec.resource, rules or TenantPolicy()
    if resource is None:
        return ()
    declared = {role.value for role in exposure.app_roles}
    found = []
    for index, entry in enumerate(resource.assignments):
        for place, name in enumerate(entry.app_roles):
            try:
                value = smart.encode(name, resource.smart.scope_encoding)
            except smart.InvalidScopeError:
                value = ""
            if value not in declared:
                where = f"resource.assignments[{index}].appRoles[{place}]"
                raise Invalid(f"`{where}`: '{name}' is not among `resource.appRoles`")
            barred = not policy.allows_role(rules, "", value)
            found.append(
                WantedAssignment(
                    principal_id=entry.principal_id,
                    value=value,
                    grantable=not barred and grants.may_assign(tenant, "", value, server=True),
                    barred=barred and not rules.withdraws,
                )
            )
    return tuple(found)


def plan(desired: DesiredGrants, observed: ObservedGrants, own_id: str) -> tuple[GrantAction, ...]:
    """Return what is to be taken back, then what is to be assigned; empty if all is right.

    Taken back is only what the operator assigned by its own account; nothing while the directory
    hides a role of which the manifest speaks.

    Args:
        desired: what the manifest gives.
        observed: who holds the registration's own app roles, and the account.
        own_id: its service principal.
    """
    ids, assigned = (
        observed.own_roles,
        {(a.principal_id, a.app_role_id) for a in _of(observed, own_id)},
    )
    known = [each for each in desired.assignments if each.value in ids]
    actions: list[GrantAction] = []
    if desired.assigns and len(known) == len(desired.assignments):
        kept = {(e.principal_id, ids[e.value]) for e in known if e.grantable or e.barred}
        ours = {(r.principal_id, role) for r in observed.recorded for role in r.app_roles}
        actions += [
            UnassignAppRole(assignment=each)
            for each in _of(observed, own_id)
            if (each.principal_id, each.app_role_id) in ours - kept
        ]
    actions += [
        AssignAppRole(
            app_id=observed.own_app_id, resource_id=own_id, app_role_id=ids[each.value],
            value=each.value, principal_id=each.principal_id,
        )
        for each in known
        if each.grantable and (each.principal_id, ids[each.value]) not in assigned
    ]  # fmt: skip
    return tuple(actions)


def _of(observed: ObservedGrants, own_id: str) -> Iterable[AppRoleAssignment]:
    return (each for each in observed.assignments if each.resource_id == own_id)


def report(
    desired: DesiredGrants, observed: ObservedGrants, own_id: str, graph_url: str
) -> grants.Report:
    """Return whether everything is assigned; if not, what is missing, and how to assign it."""
    assigned = {(a.principal_id, a.app_role_id) for a in _of(observed, own_id)}
    missing = [
        each
        for each in desired.assignments
        if (each.principal_id, observed.own_roles.get(each.value)) not in assigned
    ]
    if not missing:
        return grants.Report(status="True", reason="Granted", message="all app roles are assigned")
    first = missing[0]
    body = json.dumps(
        {
            "principalId": first.principal_id,
            "resourceId": own_id,
            "appRoleId": observed.own_roles.get(first.value, "?"),
        }
    )
    said = grants.listed(
        f"app role '{each.value}' to {each.principal_id}"
        f"{grants.why(barred=each.barred, listed=not desired.assigns or each.grantable)}"
        for each in missing
    )
    return grants.Report(
        status="False",
        reason="AssignmentMissing",
        message=f"not assigned: {said}. An administrator of the tenant assigns the first with: az "
        f"rest --method POST --url {graph_url}/v1.0/servicePrincipals/{own_id}/appRoleAssignedTo "
        f"--body '{body}'",
    )
