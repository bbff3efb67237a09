"""`addPassword` and `removePassword` of applications and service principals."""

from __future__ import annotations

from typing import Any

from entra_emulator.directory import credentials
from entra_emulator.directory.errors import bad_request, missing_value
from entra_emulator.directory.schema import GUID
from entra_emulator.graph.calls import DIRECTORY_WRITE, OWNED_BY, WRITE_ALL, Answer, Call, Route
from entra_emulator.graph.owners import Find


def routes(collection: str, find: Find, title: str) -> tuple[Route, ...]:
    """The two actions on the objects that `find` finds; `title` is how refusals call those."""

    def add(call: Call) -> Answer:
        entity = find(call, call.keys[0], to_write=True)
        directory, now = call.directory, call.directory.clock.now()
        directory.contention.write(entity.id, now)
        limits = directory.policies.limits(entity.document.get("createdDateTime"))
        credential = directory.passwords.issue(_given(call), now=now, title=title, limits=limits)
        directory.store.replace(entity, credentials.add(entity.document, credential))
        context = call.context("microsoft.graph.passwordCredential")
        return Answer(200, {"@odata.context": context, **credential}, "https://graph.microsoft.com")

    def remove(call: Call) -> Answer:
        entity = find(call, call.keys[0], to_write=True)
        call.directory.contention.write(entity.id, call.directory.clock.now())
        document = credentials.remove(entity.document, _key_id(call))
        call.directory.store.replace(entity, document)
        return Answer()

    allowed = frozenset({WRITE_ALL, OWNED_BY, DIRECTORY_WRITE})
    return (
        Route("POST", f"{collection}/{{}}/addPassword", allowed, add),
        Route("POST", f"{collection}/{{}}/removePassword", allowed, remove),
    )


def _given(call: Call) -> dict[str, Any]:
    """The parameter of addPassword, which may be left out."""
    _only(call, "passwordCredential")
    given = call.body.get("passwordCredential")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise bad_request("Invalid value specified for parameter 'passwordCredential'.")
    return given


def _key_id(call: Call) -> str:
    """The parameter of removePassword."""
    _only(call, "keyId")
    key_id = call.body.get("keyId")
    if key_id is None:
        raise missing_value("keyId", "PasswordCredential")
    if not isinstance(key_id, str) or not GUID.fullmatch(key_id):
        raise bad_request("Invalid value specified for parameter 'keyId'.")
    return key_id


def _only(call: Call, parameter: str) -> None:
    for name in call.body:
        if name != parameter and "@odata." not in name:
            raise bad_request(f"Invalid property '{name}'.")
