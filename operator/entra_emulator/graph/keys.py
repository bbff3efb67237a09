"""`keyCredentials` in answers: a key is shown only to a read of one object that selects them."""

from __future__ import annotations

from entra_emulator.directory.certificates import KEYS
from entra_emulator.directory.store import Document, Entity
from entra_emulator.graph.calls import Call


def shown(call: Call, entity: Entity) -> Document:
    """The application or service principal as the answer to a read of it."""
    document = call.directory.replica_view(entity)
    seen = call.directory.seen(entity)
    if seen is None or KEYS.lower() not in map(str.lower, call.options.select or ()):
        return document
    return {**document, KEYS: seen[KEYS]}
