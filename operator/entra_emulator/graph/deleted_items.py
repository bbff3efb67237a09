"""`/directory/deletedItems`: what was soft-deleted within the last 30 days.

Listing needs Application.Read.All (the page "List deletedItems"); a single object may be read,
restored and purged with OwnedBy by its owner ("Permanently delete item").
"""

from __future__ import annotations

from typing import Final

from entra_emulator.directory import deleted_items
from entra_emulator.directory.store import Entity, Kind
from entra_emulator.graph import applications, owners, service_principals
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

_OBJECTS = Shape(
    "directoryObject", frozenset({"id", "deletedDateTime", "displayName"}), frozenset()
)


def _list_applications(call: Call) -> Answer:
    return _list_of(call, Kind.APPLICATION, applications.SHAPE, applications.COLLECTION)


def _list_principals(call: Call) -> Answer:
    shape = service_principals.SHAPE
    return _list_of(call, Kind.SERVICE_PRINCIPAL, shape, service_principals.COLLECTION)


def _list_of(call: Call, kind: Kind, shape: Shape, collection: str) -> Answer:
    found = (
        (entity.sequence, call.directory.replica_view(entity))
        for entity in deleted_items.listed(call.directory, kind)
    )
    return call.many(found, shape, collection)


def _get(call: Call) -> Answer:
    entity = _find(call)
    return call.one(owners.as_directory_object(call, entity), _OBJECTS, "directoryObjects")


def _restore(call: Call) -> Answer:
    entity = _find(call)
    deleted_items.restore(call.directory, entity)
    document = call.directory.primary_view(entity)
    body = {
        "@odata.context": call.context("directoryObjects/$entity"),
        "@odata.type": owners.TYPES[entity.kind],
        **document,
    }
    return Answer(200, body)


def _purge(call: Call) -> Answer:
    deleted_items.purge(call.directory, _find(call))
    return Answer()


def _find(call: Call) -> Entity:
    entity = deleted_items.resolve(call.directory, call.keys[0].value)
    call.require_owned(entity)
    return entity


_LIST = frozenset({READ_ALL, WRITE_ALL, DIRECTORY_READ, DIRECTORY_WRITE})
_READ = _LIST | {OWNED_BY}
_WRITE = frozenset({WRITE_ALL, OWNED_BY})
_PATH = "directory/deletedItems"

ROUTES: Final = (
    Route("GET", f"{_PATH}/microsoft.graph.application", _LIST, _list_applications),
    Route("GET", f"{_PATH}/microsoft.graph.servicePrincipal", _LIST, _list_principals),
    Route("GET", f"{_PATH}/{{}}", _READ, _get),
    Route("POST", f"{_PATH}/{{}}/restore", _WRITE, _restore),
    Route("DELETE", f"{_PATH}/{{}}", _WRITE, _purge),
)
