"""Rules of service principals: create, update, delete, restore.

Source: the Graph pages of `servicePrincipal` and its methods, and "Recover from deletions".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from entra_emulator.clock import timestamp
from entra_emulator.directory import certificates, schema, views
from entra_emulator.directory.certificates import KEYS
from entra_emulator.directory.directory import Directory, Key
from entra_emulator.directory.entities import SERVICE_PRINCIPAL
from entra_emulator.directory.errors import (
    bad_request,
    duplicate_key,
    no_backing_application,
    passwords_by_action,
)
from entra_emulator.directory.store import Entity, Kind

_TITLE: Final = SERVICE_PRINCIPAL.title


def create(
    directory: Directory,
    app_id: str,
    body: Mapping[str, Any],
    *,
    owners: Sequence[str],
    creator: str,
) -> Entity:
    """Make the service principal of the application `app_id`, which the replica must show."""
    app_id = app_id.lower()
    if directory.backing(app_id, replica=True) is None:
        raise no_backing_application(app_id)
    if directory.primary(Kind.SERVICE_PRINCIPAL, Key(app_id, "appId")) is not None:
        raise _in_use(app_id)
    wanted = {name: value for name, value in body.items() if name != "appId"}
    document = schema.create(SERVICE_PRINCIPAL, wanted) | {
        "id": str(uuid4()),
        "appId": app_id,
        "createdByAppId": creator,
    }
    if document["passwordCredentials"]:
        raise passwords_by_action()
    document[KEYS] = certificates.merge([], document[KEYS], directory.clock.now(), _TITLE)
    return directory.store.insert(Kind.SERVICE_PRINCIPAL, document, owners=owners)


def update(directory: Directory, entity: Entity, body: Mapping[str, Any]) -> None:
    """Merge `body` into the service principal."""
    shown = schema.update(SERVICE_PRINCIPAL, directory.primary_view(entity), body)
    document = views.set_members(entity.document, shown, body)
    present = entity.document
    if document["passwordCredentials"] != present["passwordCredentials"]:
        raise passwords_by_action()
    if KEYS in body:
        now = directory.clock.now()
        document[KEYS] = certificates.merge(present[KEYS], document[KEYS], now, _TITLE)
    if document != entity.document:
        directory.store.replace(entity, document)


def delete(directory: Directory, entity: Entity) -> None:
    """Soft-delete the service principal; its assignments and grants stop counting."""
    now = timestamp(directory.clock.now())
    directory.store.replace(entity, {**entity.document, "deletedDateTime": now})


def restore(directory: Directory, entity: Entity) -> None:
    """Bring a soft-deleted service principal back; its application must be there."""
    app_id = entity.document["appId"]
    if directory.backing(app_id, replica=False) is None:
        raise bad_request("Cannot restore ServicePrincipal without backing Application.")
    if directory.primary(Kind.SERVICE_PRINCIPAL, Key(app_id, "appId")) is not None:
        raise _in_use(app_id)
    directory.store.replace(entity, {**entity.document, "deletedDateTime": None})


def _in_use(app_id: str) -> Exception:
    return duplicate_key(
        "The service principal cannot be created, updated, or restored because the service "
        f"principal name {app_id} is already in use."
    )
