"""The tenant's directory: its objects, and how they are found and seen.

Two views of every object: the primary copy, on which writes act, and the replica, which is `lag`
behind and answers reads. Rules of single resources are in the sibling modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from entra_emulator.clock import Clock
from entra_emulator.constants import MICROSOFT_TENANT_ID, TENANT_ID, VERIFIED_DOMAINS
from entra_emulator.directory import credentials, views
from entra_emulator.directory.contention import Contention
from entra_emulator.directory.credentials import Passwords
from entra_emulator.directory.errors import not_found
from entra_emulator.directory.policies import Policies
from entra_emulator.directory.schema import read_moment
from entra_emulator.directory.store import Document, Entity, Kind, Store

RETENTION: Final = timedelta(days=30)
"""How long a soft-deleted object can be restored."""


@dataclass(frozen=True, slots=True)
class Key:
    """How a request names an object: by id, or by an alternate key such as `appId`."""

    value: str
    prop: str | None = None


class Directory:
    """One tenant. `catalogue` holds the applications of other tenants, Microsoft's, by appId.

    `issuer_keys` are the public keys (PEM) of the issuers that federated credentials trust: Entra
    fetches them from the issuer, here they are given.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tenant_id = TENANT_ID
        self.domains = VERIFIED_DOMAINS
        self.store = Store(clock)
        self.passwords = Passwords()
        self.catalogue: dict[str, Document] = {}
        self.issuer_keys: dict[str, str] = {}
        self.policies = Policies()
        self.contention = Contention()

    def copy(self) -> Directory:
        """The directory as it is now, with its secrets: a point to come back to."""
        other = Directory(self.clock)
        other.store = self.store.copy()
        other.passwords = self.passwords.copy()
        other.catalogue = dict(self.catalogue)
        other.issuer_keys = dict(self.issuer_keys)
        return other

    # ---- finding

    def resolve(self, kind: Kind, key: Key, *, to_write: bool = False) -> Entity:
        """The object that the replica shows under `key`; GraphError 404 if there is none.

        With `to_write` it must be live in the primary copy too.
        """
        entity = self.lookup(kind, key)
        if entity is None or (to_write and entity.is_deleted):
            raise not_found(key.value)
        return entity

    def lookup(self, kind: Kind, key: Key) -> Entity | None:
        """The object that the replica shows under `key`, if there is one."""
        found = (entity for entity in self._candidates(kind, key) if self.seen(entity) is not None)
        return next(found, None)

    def primary(self, kind: Kind, key: Key) -> Entity | None:
        """The live object in the primary copy."""
        found = (entity for entity in self._candidates(kind, key) if not entity.is_deleted)
        return next(found, None)

    def _candidates(self, kind: Kind, key: Key) -> list[Entity]:
        if key.prop is not None:
            return self.store.find(kind, key.prop, key.value)
        entity = self.store.get(kind, key.value)
        return [] if entity is None else [entity]

    # ---- seeing

    def seen(self, entity: Entity) -> Document | None:
        """The document as the replica has it, unless there it is missing or soft-deleted."""
        version = self.store.seen(entity)
        if version is None or version.document.get("deletedDateTime") is not None:
            return None
        return version.document

    def live(self, kind: Kind) -> Iterator[Entity]:
        """All objects of a kind that the replica shows, in the order of their creation."""
        return (entity for entity in self.store.all(kind) if self.seen(entity) is not None)

    def is_young(self, entity: Entity) -> bool:
        """Whether the object has not reached the replica yet."""
        return self.store.is_young(entity)

    def replica_view(self, entity: Entity) -> Document:
        """The object as a read shows it; GraphError 404 if the replica has nothing."""
        version = self.store.seen(entity)
        if version is None:
            raise not_found(entity.id)
        return self._shown(entity.kind, version.document, replica=True)

    def primary_view(self, entity: Entity) -> Document:
        """The object as the answer of a write shows it."""
        return self._shown(entity.kind, entity.document, replica=False)

    def _shown(self, kind: Kind, document: Document, *, replica: bool) -> Document:
        if kind is Kind.APPLICATION:
            return views.application(document)
        if kind is Kind.SERVICE_PRINCIPAL:
            app_id = document["appId"]
            backing = self.backing(app_id, replica=replica)
            owner = MICROSOFT_TENANT_ID if app_id in self.catalogue else self.tenant_id
            return views.service_principal(document, backing, owner)
        return document

    # ---- applications behind service principals

    def backing(self, app_id: str, *, replica: bool) -> Document | None:
        """The application that `app_id` names, of this tenant or another; None if none is live."""
        if app_id in self.catalogue:
            return self.catalogue[app_id]
        for entity in self.store.find(Kind.APPLICATION, "appId", app_id):
            if replica:
                return self.seen(entity)
            return None if entity.is_deleted else entity.document
        return None

    # ---- expectations of tests

    def accepts(self, app_id: str, secret: str) -> bool:
        """Whether the primary copy has a live client with that secret, usable now."""
        for kind in (Kind.APPLICATION, Kind.SERVICE_PRINCIPAL):
            entity = self.primary(kind, Key(app_id, "appId"))
            found = None if entity is None else self.passwords.matching(entity.document, secret)
            if found is not None and credentials.is_usable(found, self.clock.now()):
                return True
        return False

    # ---- the passing of time

    def expired(self) -> list[Entity]:
        """What was soft-deleted longer ago than the retention, and is to be purged."""
        now = self.clock.now()
        return [
            entity
            for kind in (Kind.APPLICATION, Kind.SERVICE_PRINCIPAL)
            for entity in self.store.deleted(kind)
            if now - _deleted_at(entity.document) >= RETENTION
        ]


def _deleted_at(document: Mapping[str, Any]) -> datetime:
    return read_moment(document["deletedDateTime"])
