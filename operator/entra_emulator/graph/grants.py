"""`/oauth2PermissionGrants`: delegated permissions that were granted."""

from __future__ import annotations

from typing import Final

from entra_emulator.directory import permissions
from entra_emulator.directory.errors import bad_request
from entra_emulator.directory.store import Entity, Kind
from entra_emulator.graph import service_principals
from entra_emulator.graph.calls import DIRECTORY_READ, DIRECTORY_WRITE, Answer, Call, Route
from entra_emulator.graph.options import Shape

COLLECTION: Final = "oauth2PermissionGrants"
GRANT: Final = "DelegatedPermissionGrant.ReadWrite.All"
_MEMBERS = frozenset({"id", "clientId", "consentType", "principalId", "resourceId", "scope"})
_SHAPE = Shape("oAuth2PermissionGrant", _MEMBERS, _MEMBERS - {"scope"})


def _list(call: Call) -> Answer:
    found = (
        (entity.sequence, call.directory.replica_view(entity))
        for entity in call.directory.store.all(Kind.GRANT)
        if permissions.is_live(call.directory, entity)
    )
    return call.many(found, _SHAPE, COLLECTION)


def _list_of_client(call: Call) -> Answer:
    client = service_principals.find(call, call.keys[0])
    found = [
        (entity.sequence, call.directory.replica_view(entity))
        for entity in permissions.grants_to(call.directory, client.id)
    ]
    return call.many(sorted(found, key=lambda pair: pair[0]), _SHAPE, COLLECTION)


def _get(call: Call) -> Answer:
    return call.one(call.directory.replica_view(_resolve(call)), _SHAPE, COLLECTION)


def _create(call: Call) -> Answer:
    for name in call.body:
        if name not in _MEMBERS and "@odata." not in name:
            raise bad_request(f"Invalid property '{name}'.")
    entity = permissions.grant(call.directory, call.body)
    return call.created(entity.document, COLLECTION)


def _patch(call: Call) -> Answer:
    permissions.change_grant(call.directory, _resolve(call), call.body)
    return Answer()


def _delete(call: Call) -> Answer:
    call.directory.store.remove(_resolve(call))
    return Answer()


def _resolve(call: Call) -> Entity:
    return permissions.resolve(call.directory, Kind.GRANT, call.keys[0].value)


_READ = frozenset({GRANT, DIRECTORY_READ, DIRECTORY_WRITE})
_WRITE = frozenset({GRANT, DIRECTORY_WRITE})

ROUTES: Final = (
    Route("GET", "oauth2PermissionGrants", _READ, _list, units=2),
    Route("POST", "oauth2PermissionGrants", _WRITE, _create),
    Route("GET", "oauth2PermissionGrants/{}", _READ, _get, units=2),
    Route("PATCH", "oauth2PermissionGrants/{}", _WRITE, _patch),
    Route("DELETE", "oauth2PermissionGrants/{}", _WRITE, _delete),
    Route("GET", "servicePrincipals/{}/oauth2PermissionGrants", _READ, _list_of_client, units=2),
)
