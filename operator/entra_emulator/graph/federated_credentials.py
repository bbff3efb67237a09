"""`/applications/{id}/federatedIdentityCredentials`: by id, by name, and the upsert by name.

The rules of what they may be are in `directory.federated_credentials`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entra_emulator.directory import federated_credentials
from entra_emulator.directory.directory import Key
from entra_emulator.directory.entities import FEDERATED_IDENTITY_CREDENTIAL
from entra_emulator.directory.errors import bad_request, not_found, segment_not_found
from entra_emulator.directory.federated_credentials import FEDERATED
from entra_emulator.directory.store import Document, Entity
from entra_emulator.graph.calls import OWNED_BY, READ_ALL, WRITE_ALL, Answer, Call, Route
from entra_emulator.graph.options import Shape
from entra_emulator.graph.owners import Find

KEYS: Final = frozenset({None, "name"})
SHAPE: Final = Shape(
    FEDERATED_IDENTITY_CREDENTIAL.name,
    FEDERATED_IDENTITY_CREDENTIAL.members.keys(),
    frozenset({"id", "name", "issuer", "subject"}),
)


def routes(collection: str, find: Find) -> tuple[Route, ...]:
    """The operations on the credentials of the applications that `find` finds."""

    def list_all(call: Call) -> Answer:
        entity = find(call, call.keys[0])
        return call.many(enumerate(_shown(call, entity)[FEDERATED], 1), SHAPE, _named(entity))

    def get(call: Call) -> Answer:
        entity = find(call, call.keys[0])
        return call.one(_existing(_shown(call, entity), call.keys[1]), SHAPE, _named(entity))

    def create(call: Call) -> Answer:
        return _created(call, find(call, call.keys[0], to_write=True), call.body)

    def patch(call: Call) -> Answer:
        entity, key = find(call, call.keys[0], to_write=True), call.keys[1]
        upserts = key.prop == "name" and call.creates_if_missing
        if upserts and federated_credentials.find(entity.document, key.value) is None:
            return _created(call, entity, _with_key(call, key.value))
        credential = _existing(entity.document, key)
        changed = federated_credentials.change(entity.document, credential, call.body)
        call.directory.store.replace(entity, changed)
        return Answer()

    def delete(call: Call) -> Answer:
        entity = find(call, call.keys[0], to_write=True)
        credential = _existing(entity.document, call.keys[1])
        changed = federated_credentials.remove(entity.document, credential)
        call.directory.store.replace(entity, changed)
        return Answer()

    path = f"{collection}/{{}}/{FEDERATED}"
    return (
        Route("GET", path, _LIST, list_all),
        Route("POST", path, _WRITE, create),
        Route("GET", f"{path}/{{}}", _WRITE, get),
        Route("PATCH", f"{path}/{{}}", _WRITE, patch),
        Route("DELETE", f"{path}/{{}}", _WRITE, delete),
    )


_WRITE: Final = frozenset({WRITE_ALL, OWNED_BY})
"""Of a read of one, too: the page "Get federatedIdentityCredential" names no less."""
_LIST: Final = _WRITE | {READ_ALL}


def _shown(call: Call, entity: Entity) -> Document:
    """The application as the replica has it, with what its own resource hides."""
    seen = call.directory.seen(entity)
    if seen is None:
        raise not_found(entity.id)
    return seen


def _existing(application: Document, key: Key) -> Document:
    if key.prop not in KEYS:
        raise segment_not_found(FEDERATED)
    credential = federated_credentials.find(application, key.value)
    if credential is None:
        raise not_found(key.value)
    return credential


def _with_key(call: Call, name: str) -> dict[str, Any]:
    """The body of an upsert, which may repeat the name but not contradict it."""
    if call.body.get("name", name) != name:
        raise bad_request("The name in the body differs from the one in the URL.")
    return {**call.body, "name": name}


def _created(call: Call, entity: Entity, body: Mapping[str, Any]) -> Answer:
    changed, made = federated_credentials.add(entity.document, body)
    call.directory.store.replace(entity, changed)
    tenant = call.directory.tenant_id
    location = f"https://graph.microsoft.com/v2/{tenant}/{FEDERATED}/{made['id']}"
    context = call.context(f"{_named(entity)}/$entity")
    return Answer(201, {"@odata.context": context, **made}, location)


def _named(entity: Entity) -> str:
    return f"applications('{entity.id}')/{FEDERATED}"
