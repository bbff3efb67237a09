"""`/applications`: Graph's operations on application registrations.

The rules of what an application may be are in `directory.applications`.
"""

from __future__ import annotations

from typing import Any, Final

from entra_emulator.directory import applications
from entra_emulator.directory.directory import Key
from entra_emulator.directory.entities import APPLICATION
from entra_emulator.directory.errors import (
    bad_request,
    missing_value,
    not_found,
    segment_not_found,
)
from entra_emulator.directory.schema import GUID
from entra_emulator.directory.store import Entity, Kind
from entra_emulator.graph import owners
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
    return call.one(call.directory.replica_view(entity), SHAPE, COLLECTION)


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


def _created(call: Call, body: Any) -> Answer:
    bound, rest = owners.bound(call, body)
    _, document = applications.create(
        call.directory, rest, owners=bound, creator=call.caller.app_id
    )
    return call.created(document, COLLECTION)


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


def _add_password(call: Call) -> Answer:
    entity = find(call, call.keys[0], to_write=True)
    given = password_parameter(call)
    credential = applications.add_password(call.directory, entity, given)
    context = call.context("microsoft.graph.passwordCredential")
    return Answer(200, {"@odata.context": context, **credential}, "https://graph.microsoft.com")


def _remove_password(call: Call) -> Answer:
    entity = find(call, call.keys[0], to_write=True)
    applications.remove_password(call.directory, entity, key_parameter(call))
    return Answer()


def password_parameter(call: Call) -> dict[str, Any]:
    """The parameter of addPassword; it may be left out."""
    for name in call.body:
        if name != "passwordCredential" and "@odata." not in name:
            raise bad_request(f"Invalid property '{name}'.")
    given = call.body.get("passwordCredential")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise bad_request("Invalid value specified for parameter 'passwordCredential'.")
    return given


def key_parameter(call: Call) -> str:
    """The parameter of removePassword."""
    for name in call.body:
        if name != "keyId" and "@odata." not in name:
            raise bad_request(f"Invalid property '{name}'.")
    key_id = call.body.get("keyId")
    if key_id is None:
        raise missing_value("keyId", "PasswordCredential")
    if not isinstance(key_id, str) or not GUID.fullmatch(key_id):
        raise bad_request("Invalid value specified for parameter 'keyId'.")
    return key_id


_LIST = frozenset({READ_ALL, WRITE_ALL, OWNED_BY, DIRECTORY_READ})
_READ = _LIST | {DIRECTORY_WRITE}
_CREATE = frozenset({"AppRegistration.Create", WRITE_ALL, OWNED_BY})
_WRITE = frozenset({WRITE_ALL, OWNED_BY})
_SECRETS = _WRITE | {DIRECTORY_WRITE}

ROUTES: Final = (
    Route("GET", "applications", _LIST, _list, units=2),
    Route("POST", "applications", _CREATE, _create),
    Route("GET", "applications/{}", _READ, _get, units=2),
    Route("PATCH", "applications/{}", _WRITE, _patch),
    Route("DELETE", "applications/{}", _WRITE, _delete),
    Route("POST", "applications/{}/addPassword", _SECRETS, _add_password),
    Route("POST", "applications/{}/removePassword", _SECRETS, _remove_password),
    *owners.routes(COLLECTION, find),
    Route("GET", "applications/{}/{}", _READ, _get_property, units=2),
)
