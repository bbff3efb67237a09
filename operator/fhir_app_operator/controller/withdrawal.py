"""What the operator granted on roles and scopes that a FHIR server is about to remove or rename.

It is taken back before, for nothing could name it afterwards. What others granted stays: it opens
nothing any more, unless the id stays. What clients ask for and get is settled in `consent`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Invalid, Stalled
from fhir_app_operator.planning import permissions
from fhir_app_operator.planning.model import Exposure, Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class _Granted:
    """What somebody was granted of what is about to go, by the account of a registration."""

    name: str
    """How the event calls the holder."""
    principal_id: str
    app_roles: frozenset[str]
    """Ids."""
    scopes: frozenset[str]


async def take_back(
    world: World, work: Pass, connection: Connection, before: Exposure, after: Exposure
) -> None:
    """Take back what the operator granted on what is in `before` and not in `after`; note whose.

    A role that only changes its value keeps its assignments in Entra. They would open what the new
    value stands for, whatever the tenant says of that.

    Raises:
        Invalid: a role is to change its value under its id, and what the operator granted on it
            cannot be taken back.
        Waiting: the directory or the API server is out of reach.
    """
    removed = permissions.without(before, after)
    renamed = {role.id for role in removed.app_roles} & {role.id for role in after.app_roles}
    resource_id, allowed = work.observed.service_principal_id, work.wanted().grants
    if resource_id is None or not (allowed.assigns or allowed.consents or renamed):
        return
    found = [each async for each in _granted(world, work, connection, removed)]
    roles = [each for each in found if each.app_roles and allowed.assigns]
    scopes = [each for each in found if each.scopes and allowed.consents]
    held = any(each.app_roles & renamed for each in found)
    if held and not allowed.assigns:
        raise _refusal()
    taken = set()
    try:
        taken |= await _unassign(connection, roles, resource_id) if roles else set()
        held = False
        taken |= {each.name for each in scopes if await _withdraw(connection, each, resource_id)}
    except Stalled:
        # A permission that is missing: a role that goes ends the grant all the same.
        if held:
            raise _refusal() from None
    work.withdrawn += sorted(taken)


def _refusal() -> Invalid:
    """Names nobody: accounts may be forged."""
    return Invalid(
        "`resource`: an app role is to change its value under its `id`, and what the operator "
        "assigned under the old value cannot be taken back, since the EntraTenant's `grants` or "
        "the operator's own permissions do not allow it; give the new value another `id`"
    )


async def _granted(
    world: World, work: Pass, connection: Connection, removed: Exposure
) -> AsyncIterator[_Granted]:
    """Yield what accounts tell of `removed`.

    Whom it was granted to is not believed to them, since whoever may write one could name anybody:
    of a client it is the service principal of the application with its tag, and others are named
    by the server's own account alone.
    """
    resource_id = work.observed.service_principal_id
    role_ids = frozenset(role.id for role in removed.app_roles)
    values = frozenset(scope.value for scope in removed.scopes)
    async for body in world.registrations.all():
        for record in (body.get("status") or {}).get("grants") or ():
            app_roles = role_ids.intersection(record.get("appRoles") or ())
            scopes = values.intersection(record.get("scopes") or ())
            if record["resourceId"] != resource_id or not (app_roles or scopes):
                continue
            holder = _identity(world, body)
            other: str | None = record.get("principalId")
            mine = holder.uid == work.identity.uid
            principal_id = other if mine else await connection.principal_of(holder)
            if principal_id and (other is None or mine):
                yield _Granted(
                    name=other or f"{holder.namespace}/{holder.name}",
                    principal_id=principal_id, app_roles=app_roles, scopes=scopes,
                )  # fmt: skip


def _identity(world: World, body: Mapping[str, Any]) -> Registration:
    meta = body["metadata"]
    return Registration(
        namespace=meta["namespace"], name=meta["name"], uid=meta["uid"],
        cluster_id=world.cluster_id,
    )  # fmt: skip


async def _unassign(connection: Connection, found: list[_Granted], resource_id: str) -> set[str]:
    """Return from whom something was taken."""
    names = {(each.principal_id, role): each.name for each in found for role in each.app_roles}
    taken = set()
    for assignment in await connection.app_role_assignments.of_resource(resource_id):
        name = names.get((assignment.principal_id, assignment.app_role_id))
        if name is not None:
            await connection.app_role_assignments.remove(assignment)
            taken.add(name)
    return taken


async def _withdraw(connection: Connection, granted: _Granted, resource_id: str) -> bool:
    """Return whether something was taken."""
    taken = False
    for grant in await connection.permission_grants.of_client(granted.principal_id):
        if grant.resource_id == resource_id and grant.scopes & granted.scopes:
            await connection.permission_grants.withdraw(grant.id, granted.scopes)
            taken = True
    return taken
