"""Soft-deleted objects: find, restore, purge.

Source: the Graph pages of `directory: deletedItems`. Restoring an application does not restore its
service principal, purging it does not purge it.
"""

from __future__ import annotations

from collections.abc import Iterator

from entra_emulator.directory import applications, service_principals
from entra_emulator.directory.directory import Directory
from entra_emulator.directory.errors import not_found
from entra_emulator.directory.store import Entity, Kind

KINDS = (Kind.APPLICATION, Kind.SERVICE_PRINCIPAL)


def resolve(directory: Directory, object_id: str) -> Entity:
    """The soft-deleted object that the replica shows; GraphError 404 otherwise."""
    entity = directory.store.locate(object_id)
    if entity is None or not _is_shown(directory, entity):
        raise not_found(object_id)
    return entity


def listed(directory: Directory, kind: Kind) -> Iterator[Entity]:
    """All soft-deleted objects of a kind that the replica shows."""
    found = (entity for entity in directory.store.deleted(kind) if _is_shown(directory, entity))
    return iter(sorted(found, key=lambda entity: entity.sequence))


def restore(directory: Directory, entity: Entity) -> None:
    """Bring the object back to life."""
    if entity.kind is Kind.APPLICATION:
        applications.restore(directory, entity)
    else:
        service_principals.restore(directory, entity)


def purge(directory: Directory, entity: Entity) -> None:
    """Remove the object for good, with the assignments and grants that hang on it."""
    for kind, props in (
        (Kind.ASSIGNMENT, ("principalId", "resourceId")),
        (Kind.GRANT, ("clientId", "resourceId")),
    ):
        for prop in props:
            for dependent in directory.store.find(kind, prop, entity.id):
                directory.store.remove(dependent)
    directory.store.remove(entity)


def purge_expired(directory: Directory) -> None:
    """Remove for good what the retention keeps no longer."""
    for entity in directory.expired():
        purge(directory, entity)


def _is_shown(directory: Directory, entity: Entity) -> bool:
    version = directory.store.seen(entity)
    return (
        entity.kind in KINDS
        and entity.is_deleted
        and version is not None
        and version.document["deletedDateTime"] is not None
    )
