"""Objects of the directory with their history: the primary copy and the replicas that read it.

An object's state is an immutable document that is replaced as a whole. Each replacement is a
version with its time, so that the directory as it was some time ago can be read at any moment: that
is how Entra's eventual consistency is shown. How far behind a read is, is told by `replicas`. Rules
about what documents may hold are in the sibling modules.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from entra_emulator.clock import Clock
from entra_emulator.directory.replicas import MAX_LAG, Replicas

Document = Mapping[str, Any]

LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)
"""Creation time of seeds: no lag hides them."""


class Kind(StrEnum):
    """The kinds of objects."""

    APPLICATION = "application"
    SERVICE_PRINCIPAL = "servicePrincipal"
    USER = "user"
    GROUP = "group"
    ASSIGNMENT = "appRoleAssignment"
    GRANT = "oAuth2PermissionGrant"


INDEXED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.APPLICATION: ("appId", "uniqueName", "identifierUris"),
    Kind.SERVICE_PRINCIPAL: ("appId",),
    Kind.USER: ("userPrincipalName",),
    Kind.GROUP: ("members",),
    Kind.ASSIGNMENT: ("principalId", "resourceId"),
    Kind.GRANT: ("clientId", "resourceId"),
}
"""Properties that `Store.find` can look up; text is compared without regard to case."""


@dataclass(frozen=True, slots=True)
class Version:
    """What an object was from `since` on."""

    since: datetime
    document: Document
    owners: tuple[str, ...] = ()


@dataclass(slots=True)
class Entity:
    """One object: identity, and its versions from oldest to newest."""

    kind: Kind
    id: str
    sequence: int
    versions: list[Version] = field(default_factory=list)

    @property
    def document(self) -> Document:
        """The newest state."""
        return self.versions[-1].document

    @property
    def owners(self) -> tuple[str, ...]:
        """Object ids of the owners, oldest first."""
        return self.versions[-1].owners

    @property
    def is_deleted(self) -> bool:
        """Whether the object is soft-deleted."""
        return self.document.get("deletedDateTime") is not None

    def at(self, moment: datetime) -> Version | None:
        """The version that was the newest at `moment`; None before the object was made."""
        position = bisect.bisect_right(self.versions, moment, key=lambda version: version.since)
        return self.versions[position - 1] if position else None


class Store:
    """All objects by id. Writes act on the primary copy; reads choose the copy they want."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entities: dict[str, Entity] = {}
        self._of_kind: dict[Kind, dict[str, Entity]] = {kind: {} for kind in Kind}
        self._deleted: dict[Kind, dict[str, Entity]] = {kind: {} for kind in Kind}
        self._index: dict[tuple[Kind, str, str], dict[str, Entity]] = {}
        self._sequence = 0
        self.replicas = Replicas()

    @property
    def lag(self) -> timedelta:
        """How far behind the lagging replica is."""
        return self.replicas.lag

    @lag.setter
    def lag(self, value: timedelta) -> None:
        self.replicas.lag = value

    def copy(self) -> Store:
        """The same objects with their history, apart from these.

        Documents are immutable and shared.
        """
        other = Store(self._clock)
        other.lag, other._sequence = self.lag, self._sequence
        copies = {
            each.id: Entity(each.kind, each.id, each.sequence, list(each.versions))
            for each in self._entities.values()
        }
        other._entities = copies
        other._of_kind = {k: _taken(copies, v) for k, v in self._of_kind.items()}
        other._deleted = {k: _taken(copies, v) for k, v in self._deleted.items()}
        other._index = {k: _taken(copies, v) for k, v in self._index.items()}
        return other

    def insert(
        self,
        kind: Kind,
        document: Document,
        *,
        owners: Iterable[str] = (),
        since: datetime | None = None,
    ) -> Entity:
        """Add an object whose document carries its `id`."""
        self._sequence += 1
        entity = Entity(kind, document["id"], self._sequence)
        entity.versions.append(Version(since or self._clock.now(), document, tuple(owners)))
        self._entities[entity.id] = entity
        self._of_kind[kind][entity.id] = entity
        self._reindex(entity, None, document)
        return entity

    def replace(
        self, entity: Entity, document: Document, *, owners: Iterable[str] | None = None
    ) -> None:
        """Make `document` the newest state; without `owners` they stay as they are."""
        before = entity.document
        kept = entity.owners if owners is None else tuple(owners)
        entity.versions.append(Version(self._clock.now(), document, kept))
        self._forget_history(entity)
        self._reindex(entity, before, document)
        if entity.is_deleted:
            self._deleted[entity.kind][entity.id] = entity
        else:
            self._deleted[entity.kind].pop(entity.id, None)

    def remove(self, entity: Entity) -> None:
        """Take the object out for good, from both copies at once."""
        self._reindex(entity, entity.document, None)
        self._deleted[entity.kind].pop(entity.id, None)
        del self._entities[entity.id], self._of_kind[entity.kind][entity.id]

    def get(self, kind: Kind, object_id: str) -> Entity | None:
        """The object in the primary copy, soft-deleted or not. GUIDs are taken in either case."""
        objects = self._of_kind[kind]
        return objects.get(object_id) or objects.get(object_id.lower())

    def locate(self, object_id: str) -> Entity | None:
        """The object of whatever kind in the primary copy, soft-deleted or not."""
        return self._entities.get(object_id) or self._entities.get(object_id.lower())

    def find(self, kind: Kind, prop: str, value: str) -> list[Entity]:
        """Objects whose indexed property is, or holds, `value`; soft-deleted ones included."""
        return list(self._index.get((kind, prop, value.casefold()), {}).values())

    def all(self, kind: Kind) -> Iterator[Entity]:
        """All objects of a kind in the order of their creation."""
        return iter(list(self._of_kind[kind].values()))

    def deleted(self, kind: Kind) -> Iterator[Entity]:
        """The soft-deleted objects of a kind in the primary copy, longest deleted first."""
        return iter(list(self._deleted[kind].values()))

    def seen(self, entity: Entity) -> Version | None:
        """What the serving replica shows of the object; None if it has not arrived there."""
        return entity.at(self._clock.now() - self.replicas.behind)

    def is_young(self, entity: Entity) -> bool:
        """Whether the serving replica does not have the object yet."""
        return self.seen(entity) is None

    def _reindex(self, entity: Entity, before: Document | None, after: Document | None) -> None:
        for prop in INDEXED.get(entity.kind, ()):
            old, new = _values(before, prop), _values(after, prop)
            for value in old - new:
                holders = self._index[entity.kind, prop, value]
                del holders[entity.id]
                if not holders:
                    del self._index[entity.kind, prop, value]
            for value in new - old:
                self._index.setdefault((entity.kind, prop, value), {})[entity.id] = entity

    def _forget_history(self, entity: Entity) -> None:
        horizon = self._clock.now() - MAX_LAG
        while len(entity.versions) > 1 and entity.versions[1].since <= horizon:
            del entity.versions[0]


def _taken(copies: Mapping[str, Entity], originals: Iterable[str]) -> dict[str, Entity]:
    return {object_id: copies[object_id] for object_id in originals}


def _values(document: Document | None, prop: str) -> set[str]:
    value = None if document is None else document.get(prop)
    if value is None:
        return set()
    return {str(item).casefold() for item in (value if isinstance(value, list) else [value])}
