"""What the operator granted on roles and scopes that a FHIR server is about to remove.

It is taken back before they go, for nothing could name it afterwards. What others granted on them
stays: it opens nothing any more. What clients ask for and get is settled in `consent`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning.model import Exposure


@dataclass(frozen=True, slots=True, kw_only=True)
class _Granted:
    """What somebody was granted of what is about to go, by the account of a registration."""

    name: str
    """How the event calls the holder."""
    principal_id: str
    app_roles: frozenset[str]
    """Ids."""
    scopes: frozenset[str]


async def take_back(world: World, work: Pass, connection: Connection, removed: Exposure) -> None:
    """Take back what the operator granted on `removed`, as far as the tenant lets it; note whose.

    Raises:
        Waiting: the directory or the API server is out of reach.
    """
    resource_id, allowed = work.observed.service_principal_id, work.wanted().grants
    if resource_id is None or not (allowed.assigns or allowed.consents):
        return
    found = [each async for each in _granted(world, resource_id, removed)]
    roles = [each for each in found if each.app_roles and allowed.assigns]
    scopes = [each for each in found if each.scopes and allowed.consents]
    try:
        if roles:
            await _unassign(connection, roles, resource_id)
        for each in scopes:
            await _withdraw(connection, each, resource_id)
    except Stalled:
        return  # a permission that is missing: the role goes all the same, and ends the grant
    work.withdrawn += dict.fromkeys(each.name for each in (*roles, *scopes))


async def _granted(world: World, resource_id: str, removed: Exposure) -> AsyncIterator[_Granted]:
    role_ids = frozenset(role.id for role in removed.app_roles)
    values = frozenset(scope.value for scope in removed.scopes)
    async for body in world.registrations.all():
        status, meta = body.get("status") or {}, body["metadata"]
        for record in status.get("grants") or ():
            app_roles = role_ids.intersection(record.get("appRoles") or ())
            scopes = values.intersection(record.get("scopes") or ())
            other: str | None = record.get("principalId")
            principal_id = other or status.get("servicePrincipalId")
            if principal_id and record["resourceId"] == resource_id and (app_roles or scopes):
                yield _Granted(
                    name=other or f"{meta['namespace']}/{meta['name']}",
                    principal_id=principal_id, app_roles=app_roles, scopes=scopes,
                )  # fmt: skip


async def _unassign(connection: Connection, found: list[_Granted], resource_id: str) -> None:
    ours = {(each.principal_id, role) for each in found for role in each.app_roles}
    for assignment in await connection.app_role_assignments.of_resource(resource_id):
        if (assignment.principal_id, assignment.app_role_id) in ours:
            await connection.app_role_assignments.remove(assignment)


async def _withdraw(connection: Connection, granted: _Granted, resource_id: str) -> None:
    for grant in await connection.permission_grants.of_client(granted.principal_id):
        if grant.resource_id == resource_id and grant.scopes & granted.scopes:
            left = grant.scopes - granted.scopes
            await connection.permission_grants.set_scopes(grant.id, left)
