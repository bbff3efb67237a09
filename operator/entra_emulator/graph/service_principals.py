"""`/servicePrincipals`: Graph's operations on service principals, and what they own.

Reading one is open to OwnedBy, whoever owns it (the page "Get servicePrincipal" lists it, and
clients find Microsoft Graph's that way); everything else needs ownership.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entra_emulator.directory import service_principals
from entra_emulator.directory.directory import Key
from entra_emulator.directory.entities import SERVICE_PRINCIPAL
from entra_emulator.directory.errors import (
    bad_request,
    foreign_application,
    missing_value,
    not_found,
    segment_not_found,
)
from entra_emulator.directory.schema import GUID
from entra_emulator.directory.store import Entity, Kind
from entra_emulator.graph import applications, keys, owners, passwords
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

COLLECTION: Final = "servicePrincipals"
KEYS: Final = frozenset({None, "appId"})
SHAPE: Final = Shape(
    "servicePrincipal",
    SERVICE_PRINCIPAL.members.keys(),
    frozenset(
        {
            "id",
            "appId",
            "displayName",
            "servicePrincipalNames",
            "tags",
            "accountEnabled",
            "alternativeNames",
            "appOwnerOrganizationId",
            "servicePrincipalType",
        }
    ),
)


def locate(call: Call, key: Key, *, to_write: bool = False) -> Entity:
    """The service principal that the caller names, whoever owns it."""
    if key.prop not in KEYS:
        raise segment_not_found(COLLECTION)
    if not GUID.fullmatch(key.value):
        raise not_found(key.value)
    return call.directory.resolve(Kind.SERVICE_PRINCIPAL, key, to_write=to_write)


def find(call: Call, key: Key, *, to_write: bool = False) -> Entity:
    """The service principal that the caller names and may act on."""
    entity = locate(call, key, to_write=to_write)
    call.require_owned(entity)
    return entity


def _list(call: Call) -> Answer:
    directory = call.directory
    found = (
        (entity.sequence, directory.replica_view(entity))
        for entity in directory.live(Kind.SERVICE_PRINCIPAL)
    )
    return call.many(found, SHAPE, COLLECTION)


def _get(call: Call) -> Answer:
    entity = locate(call, call.keys[0])
    return call.one(keys.shown(call, entity), SHAPE, COLLECTION)


def _create(call: Call) -> Answer:
    app_id = call.body.get("appId")
    if app_id is None:
        raise missing_value("appId", "ServicePrincipal")
    if not isinstance(app_id, str) or not GUID.fullmatch(app_id):
        raise bad_request("Invalid value specified for property 'appId'.")
    return _created(call, app_id, call.body)


def _created(call: Call, app_id: str, body: Mapping[str, Any]) -> Answer:
    if not call.is_unrestricted():
        application = call.directory.primary(Kind.APPLICATION, Key(app_id, "appId"))
        if application is None or not call.owns(application):
            raise foreign_application()
    bound, rest = owners.bound(call, body)
    entity = service_principals.create(
        call.directory, app_id, rest, owners=bound, creator=call.caller.app_id
    )
    return call.created(call.directory.primary_view(entity), COLLECTION, "ServicePrincipal")


def _patch(call: Call) -> Answer:
    key = call.keys[0]
    if key.prop == "appId" and call.creates_if_missing and GUID.fullmatch(key.value):
        if call.body.get("appId", key.value) != key.value:
            raise bad_request("The appId in the body differs from the one in the URL.")
        if call.directory.lookup(Kind.SERVICE_PRINCIPAL, key) is None:
            return _created(call, key.value, call.body)
    entity = find(call, key, to_write=True)
    service_principals.update(call.directory, entity, call.body)
    return Answer()


def _delete(call: Call) -> Answer:
    service_principals.delete(call.directory, find(call, call.keys[0], to_write=True))
    return Answer()


def _owned(call: Call) -> Answer:
    return _owned_of(call, (Kind.APPLICATION, Kind.SERVICE_PRINCIPAL), _MIXED, "directoryObjects")


def _owned_applications(call: Call) -> Answer:
    return _owned_of(call, (Kind.APPLICATION,), applications.SHAPE, applications.COLLECTION)


def _owned_principals(call: Call) -> Answer:
    return _owned_of(call, (Kind.SERVICE_PRINCIPAL,), SHAPE, COLLECTION)


def _owned_of(call: Call, kinds: tuple[Kind, ...], shape: Shape, collection: str) -> Answer:
    owner = find(call, call.keys[0])
    found = [
        (entity.sequence, _member(call, entity, mixed=len(kinds) > 1))
        for kind in kinds
        for entity in call.directory.live(kind)
        if _is_owner(call, owner, entity)
    ]
    return call.many(sorted(found, key=lambda pair: pair[0]), shape, collection)


def _member(call: Call, entity: Entity, *, mixed: bool) -> Mapping[str, Any]:
    if mixed:
        return owners.as_directory_object(call, entity)
    return call.directory.replica_view(entity)


def _is_owner(call: Call, owner: Entity, entity: Entity) -> bool:
    version = call.directory.store.seen(entity)
    return version is not None and owner.id in version.owners


_MIXED = Shape("directoryObject", frozenset({"id", "deletedDateTime", "displayName"}), frozenset())
_LIST = frozenset({READ_ALL, WRITE_ALL, OWNED_BY, DIRECTORY_READ})
_READ = _LIST | {DIRECTORY_WRITE}
_WRITE = frozenset({WRITE_ALL, OWNED_BY, DIRECTORY_WRITE})

ROUTES: Final = (
    Route("GET", "servicePrincipals", _LIST, _list),
    Route("POST", "servicePrincipals", _WRITE, _create),
    Route("GET", "servicePrincipals/{}", _READ, _get),
    Route("PATCH", "servicePrincipals/{}", _WRITE, _patch),
    Route("DELETE", "servicePrincipals/{}", _WRITE, _delete),
    Route("GET", "servicePrincipals/{}/ownedObjects", _READ, _owned),
    Route(
        "GET",
        "servicePrincipals/{}/ownedObjects/microsoft.graph.application",
        _READ,
        _owned_applications,
    ),
    Route(
        "GET",
        "servicePrincipals/{}/ownedObjects/microsoft.graph.servicePrincipal",
        _READ,
        _owned_principals,
    ),
    *passwords.routes(COLLECTION, find, SERVICE_PRINCIPAL.title),
    *owners.routes(COLLECTION, find),
)
