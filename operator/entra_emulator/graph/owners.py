"""`owners` of applications and service principals: one navigation, two resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from entra_emulator.constants import TENANT_ID
from entra_emulator.directory.directory import Key
from entra_emulator.directory.errors import bad_request, not_found
from entra_emulator.directory.store import Document, Entity, Kind
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

Find = Callable[..., Entity]

MAX_BOUND: Final = 20
MAX_OWNERS: Final = 100
BINDING: Final = "owners@odata.bind"
_REFERENCE = re.compile(
    r"(?:https?://[^/]+/(?:v1\.0|beta)/)?/?"
    r"(?:directoryObjects|users|servicePrincipals)(?:/|\(')([0-9a-fA-F-]{36})(?:'\))?"
)
_SHAPE = Shape("directoryObject", frozenset({"id", "deletedDateTime", "displayName"}), frozenset())
TYPES: Final = {
    Kind.SERVICE_PRINCIPAL: "#microsoft.graph.servicePrincipal",
    Kind.APPLICATION: "#microsoft.graph.application",
    Kind.USER: "#microsoft.graph.user",
}


def bound(call: Call, body: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The owners of an object to be created, and the rest of its body.

    The caller becomes an owner by itself, besides those that the body binds.
    """
    rest = dict(body)
    references = rest.pop(BINDING, None) or []
    if not isinstance(references, list) or len(references) > MAX_BOUND:
        raise bad_request(f"'{BINDING}' takes a list of at most {MAX_BOUND} references.")
    found = [call.caller.object_id, *(_referenced(call, item).id for item in references)]
    return list(dict.fromkeys(found)), rest


def as_directory_object(call: Call, entity: Entity) -> Document:
    """The object as a member of a collection of directory objects."""
    return {"@odata.type": TYPES[entity.kind], **call.directory.replica_view(entity)}


def routes(collection: str, find: Find) -> tuple[Route, ...]:
    """The operations on the owners of the objects that `find` finds."""

    def listed(call: Call) -> list[Entity]:
        entity = find(call, call.keys[0])
        version = call.directory.store.seen(entity)
        owners = () if version is None else version.owners
        located = [call.directory.store.locate(owner) for owner in owners]
        return [one for one in located if one is not None and call.directory.seen(one) is not None]

    def list_owners(call: Call) -> Answer:
        found = [(one.sequence, as_directory_object(call, one)) for one in listed(call)]
        return call.many(sorted(found, key=lambda pair: pair[0]), _SHAPE, "directoryObjects")

    def add(call: Call) -> Answer:
        entity = find(call, call.keys[0], to_write=True)
        owner = _referenced(call, call.body.get("@odata.id"))
        if owner.id in entity.owners:
            raise bad_request(
                "One or more added object references already exist for the following modified "
                "properties: 'owners'."
            )
        if len(entity.owners) >= MAX_OWNERS:
            raise bad_request(f"The object has the maximum of {MAX_OWNERS} owners.")
        _set(call, entity, [*entity.owners, owner.id])
        return Answer()

    def remove(call: Call) -> Answer:
        entity = find(call, call.keys[0], to_write=True)
        owner_id = call.keys[1].value.lower()
        if owner_id not in entity.owners:
            raise not_found(owner_id)
        _set(call, entity, [owner for owner in entity.owners if owner != owner_id])
        return Answer()

    read = frozenset({READ_ALL, WRITE_ALL, OWNED_BY, DIRECTORY_READ, DIRECTORY_WRITE})
    write = frozenset({WRITE_ALL, OWNED_BY, DIRECTORY_WRITE})
    also = {name: frozenset({DIRECTORY_READ}) for name in (WRITE_ALL, OWNED_BY)}
    path = f"{collection}/{{}}/owners"
    return (
        Route("GET", path, read, list_owners),
        Route("POST", f"{path}/$ref", write, add, also=also),
        Route("DELETE", f"{path}/{{}}/$ref", write, remove),
    )


def _set(call: Call, entity: Entity, owners: list[str]) -> None:
    call.directory.store.replace(entity, entity.document, owners=owners)


def _referenced(call: Call, reference: Any) -> Entity:
    """The user or service principal that an `@odata.id` names."""
    match = _REFERENCE.fullmatch(_local(reference)) if isinstance(reference, str) else None
    if match is None:
        raise bad_request("The reference must be the URL of a user or service principal.")
    for kind in (Kind.SERVICE_PRINCIPAL, Kind.USER):
        entity = call.directory.lookup(kind, Key(match[1]))
        if entity is not None:
            return entity
    raise not_found(match[1])


def _local(reference: str) -> str:
    """The reference without the tenant that some clients put before the object."""
    return reference.replace(f"/{TENANT_ID}/", "/")
