"""Rules of applications: create, update, delete, credentials.

Source: the Graph pages of `application` and its methods, and "Validation differences by supported
account types". Who may do it is decided in `graph.access`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from entra_emulator.clock import timestamp
from entra_emulator.directory import (
    certificates,
    credentials,
    entitlements,
    identifier_uris,
    redirect_uris,
    schema,
    service_principals,
)
from entra_emulator.directory.certificates import KEYS
from entra_emulator.directory.directory import Directory
from entra_emulator.directory.entities import APPLICATION, PERSONAL_AUDIENCES
from entra_emulator.directory.errors import (
    GraphError,
    bad_request,
    conflict,
    invalid_value,
    missing_value,
    passwords_by_action,
    read_only,
)
from entra_emulator.directory.federated_credentials import FEDERATED
from entra_emulator.directory.policies import Limits
from entra_emulator.directory.store import Document, Entity, Kind

_TITLE: Final = APPLICATION.title
MAX_ITEMS: Final = 1200
MAX_RESOURCES: Final = 50
MAX_PERMISSIONS: Final = 400
MAX_TAG: Final = 256


def create(
    directory: Directory, body: Mapping[str, Any], *, owners: Sequence[str], creator: str
) -> Document:
    """Make an application; the result shows the secrets that the body asked for.

    `owners` are object ids, `creator` is the appId of the caller.
    """
    wanted = dict(body)
    passwords = wanted.pop("passwordCredentials", None) or []
    if not wanted.get("displayName"):
        raise missing_value("displayName", "Application")
    app_id = str(uuid4())
    document = schema.create(APPLICATION, wanted) | {
        "id": str(uuid4()),
        "appId": app_id,
        "createdByAppId": creator,
        "createdDateTime": timestamp(directory.clock.now()),
        "publisherDomain": directory.domains[0],
        FEDERATED: [],
    }
    document[KEYS] = certificates.merge([], document[KEYS], directory.clock.now(), _TITLE)
    _check(directory, document, None)
    limits = directory.policies.limits(document["createdDateTime"])
    directory.policies.check_keys(document["createdDateTime"], [], document[KEYS])
    issued = [_issue(directory, item, limits) for item in _as_list(passwords)]
    for item in issued:
        document = credentials.add(document, item)
    entity = directory.store.insert(Kind.APPLICATION, document, owners=owners)
    return {**directory.primary_view(entity), "passwordCredentials": issued}


def update(directory: Directory, entity: Entity, body: Mapping[str, Any]) -> None:
    """Merge `body` into the application."""
    before = entity.document
    unchangeable = before["uniqueName"] is not None and "uniqueName" in body
    if unchangeable and body["uniqueName"] != before["uniqueName"]:
        raise read_only("uniqueName")
    wanted = _without_passwords(before, body)
    document = schema.update(APPLICATION, before, wanted)
    if KEYS in wanted:
        document[KEYS] = _merged_keys(directory, entity, document[KEYS])
    if document == before:
        return
    _check(directory, document, before)
    entitlements.check_visible_change(document, directory.seen(entity) or before)
    directory.store.replace(entity, document)


def _merged_keys(
    directory: Directory, entity: Entity, wanted: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    before, now = entity.document[KEYS], directory.clock.now()
    directory.contention.write(entity.id, now)
    merged = certificates.merge(before, wanted, now, _TITLE)
    directory.policies.check_keys(entity.document["createdDateTime"], before, merged)
    return merged


def delete(directory: Directory, entity: Entity) -> None:
    """Soft-delete the application and its service principal."""
    now = timestamp(directory.clock.now())
    directory.store.replace(entity, {**entity.document, "deletedDateTime": now})
    for principal in directory.store.find(
        Kind.SERVICE_PRINCIPAL, "appId", entity.document["appId"]
    ):
        if not principal.is_deleted:
            service_principals.delete(directory, principal)


def restore(directory: Directory, entity: Entity) -> None:
    """Bring a soft-deleted application back, without its service principal."""
    document = {**entity.document, "deletedDateTime": None}
    _check_unique_uris(directory, document)
    directory.store.replace(entity, document)


def _issue(directory: Directory, given: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    now = directory.clock.now()
    return directory.passwords.issue(given, now=now, title="Application", limits=limits)


def _without_passwords(before: Document, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without `passwordCredentials`, which a PATCH may repeat but not change."""
    wanted = dict(body)
    if "passwordCredentials" in wanted:
        given = wanted.pop("passwordCredentials")
        if given != before["passwordCredentials"]:
            raise passwords_by_action()
    return wanted


def _check(directory: Directory, document: Document, before: Document | None) -> None:
    if not document["displayName"]:
        raise invalid_value("displayName", "Application", "The value must not be empty.")
    _check_tags(document["tags"])
    _check_audience(document)
    _check_required_access(document["requiredResourceAccess"])
    entitlements.check(document, before)
    redirect_uris.check(document)
    _check_identifier_uris(directory, document, before)
    _check_unique_name(directory, document)
    if _count_items({**document, FEDERATED: []}) > MAX_ITEMS:
        raise GraphError(
            403,
            "Directory_ResourceSizeExceeded",
            "The size of the object has exceeded its limit. Please reduce the number of values "
            "and retry your request.",
        )


def _check_tags(tags: Sequence[str]) -> None:
    for tag in tags:
        if not 1 <= len(tag) <= MAX_TAG or any(character.isspace() for character in tag):
            why = f"A tag has 1 to {MAX_TAG} characters and no white space."
            raise invalid_value("tags", "Application", why)
    if len(set(tags)) != len(tags):
        raise invalid_value("tags", "Application", "The collection holds a value twice.")


def _check_audience(document: Document) -> None:
    version = document["api"]["requestedAccessTokenVersion"]
    if version not in {None, 1, 2}:
        prop = "api.requestedAccessTokenVersion"
        raise invalid_value(prop, "Application", "The value must be 1, 2 or null.")
    if document["signInAudience"] not in PERSONAL_AUDIENCES:
        return
    if version != 2:  # noqa: PLR2004 - the version is a name here, not a number
        prop = "api.requestedAccessTokenVersion"
        raise invalid_value(prop, "Application", "Personal accounts need access token version 2.")
    if document["appRoles"]:
        raise invalid_value("appRoles", "Application", "Personal accounts do not have app roles.")


def _check_required_access(entries: Sequence[Mapping[str, Any]]) -> None:
    resources = [entry["resourceAppId"] for entry in entries]
    if len(set(resources)) != len(resources):
        raise invalid_value("requiredResourceAccess", "Application", "A resource is listed twice.")
    permissions = sum(len(entry["resourceAccess"]) for entry in entries)
    if len(resources) > MAX_RESOURCES or permissions > MAX_PERMISSIONS:
        why = f"At most {MAX_RESOURCES} resources and {MAX_PERMISSIONS} permissions are allowed."
        raise invalid_value("requiredResourceAccess", "Application", why)


def _check_identifier_uris(
    directory: Directory, document: Document, before: Document | None
) -> None:
    exempt = document["api"]["requestedAccessTokenVersion"] == 2  # noqa: PLR2004 - as above
    was_exempt = before is not None and before["api"]["requestedAccessTokenVersion"] == 2  # noqa: PLR2004
    known = [] if before is None or was_exempt else before["identifierUris"]
    identifier_uris.check(
        document["identifierUris"],
        known=known,
        app_id=document["appId"],
        tenant_id=directory.tenant_id,
        domains=directory.domains,
        needs_proof=not exempt,
    )
    _check_unique_uris(directory, document)


def _check_unique_uris(directory: Directory, document: Document) -> None:
    for uri in document["identifierUris"]:
        for holder in directory.store.find(Kind.APPLICATION, "identifierUris", uri):
            if holder.id != document["id"] and not holder.is_deleted:
                raise conflict("identifierUris")


def _check_unique_name(directory: Directory, document: Document) -> None:
    name = document["uniqueName"]
    if name is None:
        return
    if not name:
        raise invalid_value("uniqueName", "Application", "The value must not be empty.")
    for holder in directory.store.find(Kind.APPLICATION, "uniqueName", name):
        if holder.id != document["id"]:
            raise conflict("uniqueName")


def _count_items(value: Any) -> int:
    if isinstance(value, list):
        return len(value) + sum(_count_items(item) for item in value)
    if isinstance(value, dict):
        return sum(_count_items(item) for item in value.values())
    return 0


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise bad_request("Invalid value specified for property 'passwordCredentials'.")
    return value
