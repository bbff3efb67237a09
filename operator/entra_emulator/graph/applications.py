"""`/applications`: Graph's operations on application registrations.

The rules of what an application may be are in `directory.applications`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from entra_emulator.directory import applications
from entra_emulator.directory.directory import Key
from entra_emulator.directory.entities import APPLICATION
from entra_emulator.directory.errors import (
    bad_request,
    denied,
    not_found,
    segment_not_found,
)
from entra_emulator.directory.schema import GUID
from entra_emulator.directory.store import Entity, Kind
from entra_emulator.graph import federated_credentials, keys, owners, passwords
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

COLLECTION: Final = "applications"
KEYS: Final = frozenset({None, "appId", "uniqueName"})
SHAPE: Final = Shape(
    "application",
    APPLICATION.members.keys(),
    frozenset(
        {
            "id",
            "appId",
            "displayName",
            "uniqueName",
            "identifierUris",
            "tags",
            "signInAudience",
            "createdByAppId",
            "publisherDomain",
        }
    ),
)


def find(call: Call, key: Key, *, to_write: bool = False) -> Entity:
    """The application that the caller names and may act on."""
    if key.prop not in KEYS:
        raise segment_not_found(COLLECTION)
    if key.prop is None and not GUID.fullmatch(key.value):
        raise not_found(key.value)
    entity = call.directory.resolve(Kind.APPLICATION, key, to_write=to_write)
    call.require_owned(entity)
    return entity


def _list(call: Call) -> Answer:
    directory = call.directory
    found = (
        (entity.sequence, directory.replica_view(entity))
        for entity in directory.live(Kind.APPLICATION)
    )
    return call.many(found, SHAPE, COLLECTION)


def _get(call: Call) -> Answer:
    entity = find(call, call.keys[0])
    return call.one(keys.shown(call, entity), SHAPE, COLLECTION)


def _get_property(call: Call) -> Answer:
    entity = find(call, call.keys[0])
    names = {name.lower(): name for name in APPLICATION.members}
    name = names.get(call.keys[1].value.lower())
    if name is None or call.keys[1].prop is not None:
        raise segment_not_found(call.keys[1].value)
    value = call.directory.replica_view(entity)[name]
    context = call.context(f"{COLLECTION}('{entity.id}')/{name}")
    return Answer(200, {"@odata.context": context, "value": value})


def _create(call: Call) -> Answer:
    return _created(call, call.body)


def _created(call: Call, body: Mapping[str, Any]) -> Answer:
    api = body.get("api")
    if isinstance(api, dict) and api.get("acceptMappedClaims") and not call.is_unrestricted():
        raise denied()  # OwnedBy may set it later, by an update of what is then its own
    bound, rest = owners.bound(call, body)
    document = applications.create(call.directory, rest, owners=bound, creator=call.caller.app_id)
    answer = {**document, "createdDateTime": _with_fraction(call.directory.clock.now())}
    return call.created(answer, COLLECTION, "Application")


def _with_fraction(moment: datetime) -> str:
    """Seven digits, as only the answer of a creation has them."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _patch(call: Call) -> Answer:
    key = call.keys[0]
    upserts = key.prop == "uniqueName" and call.creates_if_missing
    if upserts and call.directory.lookup(Kind.APPLICATION, key) is None:
        return _created(call, _with_key(call))
    applications.update(call.directory, find(call, key, to_write=True), call.body)
    return Answer()


def _with_key(call: Call) -> dict[str, Any]:
    """The body of an upsert, which may repeat the key but not contradict it."""
    name = call.keys[0].value
    if call.body.get("uniqueName", name) != name:
        raise bad_request("The uniqueName in the body differs from the one in the URL.")
    if call.body.get("passwordCredentials"):
        raise bad_request("Passwords cannot be set by this request; use addPassword.")
    return {**call.body, "uniqueName": name}


def _delete(call: Call) -> Answer:
    applications.delete(call.directory, find(call, call.keys[0], to_write=True))
    return Answer()


_LIST = frozenset({READ_ALL, WRITE_ALL, OWNED_BY, DIRECTORY_READ})
_READ = _LIST | {DIRECTORY_WRITE}
_CREATE = frozenset({"AppRegistration.Create", WRITE_ALL, OWNED_BY})
_WRITE = frozenset({WRITE_ALL, OWNED_BY})

ROUTES: Final = (
    Route("GET", "applications", _LIST, _list, units=2),
    Route("POST", "applications", _CREATE, _create),
    Route("GET", "applications/{}", _READ, _get, units=2),
    Route("PATCH", "applications/{}", _WRITE, _patch),
    Route("DELETE", "applications/{}", _WRITE, _delete),
    *passwords.routes(COLLECTION, find, APPLICATION.title),
    *owners.routes(COLLECTION, find),
    *federated_credentials.routes(COLLECTION, find),
    Route("GET", "applications/{}/{}", _READ, _get_property, units=2),
)
