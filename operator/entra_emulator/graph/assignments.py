"""`appRoleAssignedTo` and `appRoleAssignments`: one object, seen from both its ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from entra_emulator.constants import GRAPH_APP_ID
from entra_emulator.directory import permissions
from entra_emulator.directory.errors import bad_request, denied, not_found
from entra_emulator.directory.store import Entity, Kind
from entra_emulator.graph import service_principals
from entra_emulator.graph.calls import (
    DIRECTORY_READ,
    DIRECTORY_WRITE,
    OWNED_BY,
    READ_ALL,
    WRITE_ALL,
    Answer,
    Call,
    Route,
)
from entra_emulator.graph.options import Shape

ASSIGN: Final = "AppRoleAssignment.ReadWrite.All"
_ENDS: Final = {"appRoleAssignedTo": "resourceId", "appRoleAssignments": "principalId"}
_MEMBERS = (
    "id",
    "deletedDateTime",
    "appRoleId",
    "createdDateTime",
    "principalDisplayName",
    "principalId",
    "principalType",
    "resourceDisplayName",
    "resourceId",
)
_SHAPE = Shape(
    "appRoleAssignment",
    frozenset(_MEMBERS),
    frozenset({"resourceId", "principalId", "principalDisplayName", "appRoleId"}),
)


def _end(call: Call) -> tuple[str, str]:
    """The navigation of the call, and the property of an assignment that leads back."""
    name = call.route.template.split("/")[2]
    return name, _ENDS[name]


def _list(call: Call) -> Answer:
    principal = service_principals.find(call, call.keys[0])
    name, prop = _end(call)
    of_end = permissions.assignments_of if prop == "resourceId" else permissions.assignments_to
    found: Iterable[Entity] = of_end(call.directory, principal.id)
    pairs = sorted((entity.sequence, entity.document) for entity in found)
    return call.many(pairs, _SHAPE, f"servicePrincipals('{principal.id}')/{name}")


def _get(call: Call) -> Answer:
    principal = service_principals.find(call, call.keys[0])
    name, _ = _end(call)
    entity = _of_principal(call, principal)
    collection = f"servicePrincipals('{principal.id}')/{name}"
    return call.one(entity.document, _SHAPE, collection)


def _create(call: Call) -> Answer:
    principal = service_principals.locate(call, call.keys[0])
    name, prop = _end(call)
    for member in call.body:
        if member not in _MEMBERS and "@odata." not in member:
            raise bad_request(f"Invalid property '{member}'.")
    if str(call.body.get(prop, principal.id)).lower() != principal.id:
        raise bad_request(f"The {prop} in the body differs from the object in the URL.")
    body = {**call.body, prop: principal.id}
    _refuse_graph(call, str(body.get("resourceId", "")))
    entity = permissions.assign(call.directory, body)
    return call.created(entity.document, f"servicePrincipals('{principal.id}')/{name}")


def _delete(call: Call) -> Answer:
    principal = service_principals.locate(call, call.keys[0])
    entity = _of_principal(call, principal)
    _refuse_graph(call, entity.document["resourceId"])
    call.directory.store.remove(entity)
    return Answer()


def _of_principal(call: Call, principal: Entity) -> Entity:
    _, prop = _end(call)
    entity = permissions.resolve(call.directory, Kind.ASSIGNMENT, call.keys[1].value)
    if entity.document[prop] != principal.id:
        raise not_found(call.keys[1].value)
    return entity


def _refuse_graph(call: Call, resource_id: str) -> None:
    """Application.ReadWrite.All alone grants the roles of every API but Microsoft Graph."""
    if ASSIGN in call.caller.permissions:
        return
    graph = call.directory.store.find(Kind.SERVICE_PRINCIPAL, "appId", GRAPH_APP_ID)
    if resource_id.lower() in {entity.id for entity in graph}:
        raise denied()


_READ = frozenset({READ_ALL, WRITE_ALL, OWNED_BY, DIRECTORY_READ, DIRECTORY_WRITE})
_CREATE = frozenset({ASSIGN, WRITE_ALL})
_ALSO = {ASSIGN: frozenset({READ_ALL, DIRECTORY_READ})}
_DELETE = frozenset({ASSIGN, WRITE_ALL})


def _routes(name: str, units: int) -> tuple[Route, ...]:
    path = f"servicePrincipals/{{}}/{name}"
    return (
        Route("GET", path, _READ, _list, units=units),
        Route("POST", path, _CREATE, _create, also=_ALSO),
        Route("GET", f"{path}/{{}}", _READ, _get),
        Route("DELETE", f"{path}/{{}}", _DELETE, _delete),
    )


ROUTES: Final = (*_routes("appRoleAssignedTo", 1), *_routes("appRoleAssignments", 2))
