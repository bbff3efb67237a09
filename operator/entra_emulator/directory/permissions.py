"""App role assignments and delegated permission grants: what was really granted.

Source: the Graph pages of `appRoleAssignment` and `oAuth2PermissionGrant`. Both count only while
client and resource are live.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import uuid4

from entra_emulator.clock import timestamp
from entra_emulator.constants import DEFAULT_ACCESS_ROLE
from entra_emulator.directory.directory import Directory, Key
from entra_emulator.directory.errors import (
    GraphError,
    bad_request,
    duplicate_key,
    invalid_value,
    missing_value,
    not_found,
)
from entra_emulator.directory.schema import GUID
from entra_emulator.directory.store import Document, Entity, Kind

MAX_SCOPE: Final = 3850
_ASSIGNMENT: Final = "AppRoleAssignment"
_GRANT: Final = "OAuth2PermissionGrant"
_TYPES: Final = {
    Kind.SERVICE_PRINCIPAL: "ServicePrincipal",
    Kind.USER: "User",
    Kind.GROUP: "Group",
}
"""`principalType` of those who can hold an app role."""


# ---- app role assignments


def assign(directory: Directory, body: Mapping[str, Any]) -> Entity:
    """Assign an app role of a resource to a service principal, user or group."""
    principal_id, resource_id, role_id = (
        _guid(body, name, _ASSIGNMENT) for name in ("principalId", "resourceId", "appRoleId")
    )
    resource = directory.resolve(Kind.SERVICE_PRINCIPAL, Key(resource_id))
    principal = _principal(directory, principal_id)
    _check_role(directory, resource, role_id, principal)
    for entity in directory.store.find(Kind.ASSIGNMENT, "principalId", principal_id):
        if (entity.document["resourceId"], entity.document["appRoleId"]) == (resource_id, role_id):
            raise bad_request("Permission being assigned already exists on the object")
    document = {
        "id": _opaque_id(),
        "deletedDateTime": None,
        "appRoleId": role_id,
        "createdDateTime": timestamp(directory.clock.now()),
        "principalDisplayName": directory.primary_view(principal)["displayName"],
        "principalId": principal_id,
        "principalType": _TYPES[principal.kind],
        "resourceDisplayName": directory.primary_view(resource)["displayName"],
        "resourceId": resource_id,
    }
    return directory.store.insert(Kind.ASSIGNMENT, document)


def assignments_to(directory: Directory, principal_id: str) -> Iterator[Entity]:
    """Assignments whose principal is `principal_id`, as the replica shows them."""
    return _live(directory, Kind.ASSIGNMENT, "principalId", principal_id)


def assignments_of(directory: Directory, resource_id: str) -> Iterator[Entity]:
    """Assignments of roles of the resource, as the replica shows them."""
    return _live(directory, Kind.ASSIGNMENT, "resourceId", resource_id)


def role_values(directory: Directory, principal_id: str, resource: Entity) -> list[str]:
    """The values of the resource's app roles that the principal was assigned, for a token."""
    roles = {role["id"]: role for role in directory.replica_view(resource)["appRoles"]}
    values: dict[str, None] = {}
    for entity in _held_by(directory, principal_id):
        role = roles.get(entity.document["appRoleId"])
        if entity.document["resourceId"] == resource.id and role is not None:
            values |= {role["value"]: None} if role["isEnabled"] and role["value"] else {}
    return list(values)


def is_assigned(directory: Directory, principal_id: str, resource: Entity) -> bool:
    """Whether the principal has any assignment to the resource, default access included."""
    return any(
        entity.document["resourceId"] == resource.id for entity in _held_by(directory, principal_id)
    )


def _held_by(directory: Directory, principal_id: str) -> Iterator[Entity]:
    """Assignments to the principal and to the groups that have it as a direct member.

    Source: "Assign users and groups to an application": nested memberships do not count.
    """
    yield from assignments_to(directory, principal_id)
    for group in directory.store.find(Kind.GROUP, "members", principal_id):
        yield from assignments_to(directory, group.id)


def _principal(directory: Directory, principal_id: str) -> Entity:
    """The principal, which the replica must show."""
    for kind in _TYPES:
        entity = directory.lookup(kind, Key(principal_id))
        if entity is not None:
            return entity
    raise bad_request("Not a valid reference update.")


def _check_role(directory: Directory, resource: Entity, role_id: str, principal: Entity) -> None:
    roles = directory.replica_view(resource)["appRoles"]
    if role_id == DEFAULT_ACCESS_ROLE:
        if any(role["isEnabled"] for role in roles):
            raise bad_request("Permission being assigned was not found on application.")
        return
    role = next((role for role in roles if role["id"] == role_id), None)
    if role is None or not role["isEnabled"]:
        raise bad_request("Permission being assigned was not found on application.")
    wanted = "Application" if principal.kind is Kind.SERVICE_PRINCIPAL else "User"
    if wanted not in role["allowedMemberTypes"]:
        raise bad_request(
            f"Permission being assigned is not assignable to a principal of type {wanted}."
        )


# ---- delegated permission grants


def grant(directory: Directory, body: Mapping[str, Any]) -> Entity:
    """Grant scopes of a resource to a client, for one user or for all."""
    client_id = _guid(body, "clientId", _GRANT)
    resource_id = _guid(body, "resourceId", _GRANT)
    consent = body.get("consentType")
    if consent not in {"AllPrincipals", "Principal"}:
        raise invalid_value("consentType", _GRANT, "The value is AllPrincipals or Principal.")
    principal_id = None
    if consent == "Principal":
        principal_id = _guid(body, "principalId", _GRANT)
        directory.resolve(Kind.USER, Key(principal_id))
    elif body.get("principalId") is not None:
        raise invalid_value("principalId", _GRANT, "AllPrincipals does not name a principal.")
    client = directory.primary(Kind.SERVICE_PRINCIPAL, Key(client_id))
    resource = directory.lookup(Kind.SERVICE_PRINCIPAL, Key(resource_id))
    if client is None or resource is None:
        raise _missing_reference()
    document = {
        "id": _opaque_id(),
        "clientId": client_id,
        "consentType": consent,
        "principalId": principal_id,
        "resourceId": resource_id,
        "scope": _scope(body.get("scope")),
    }
    _refuse_second(directory, document)
    entity = directory.store.insert(Kind.GRANT, document)
    if directory.is_young(client):
        raise _landed_unseen()
    return entity


def change_grant(directory: Directory, entity: Entity, body: Mapping[str, Any]) -> None:
    """Replace the scopes of a grant; nothing else of it can change."""
    for name, value in body.items():
        if "@odata." in name or name == "scope":
            continue
        if name not in entity.document:
            raise bad_request(f"Invalid property '{name}'.")
        if value != entity.document[name]:
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
    if "scope" in body:
        document = {**entity.document, "scope": _scope(body["scope"])}
        directory.store.replace(entity, document)


def grants_to(directory: Directory, client_id: str) -> Iterator[Entity]:
    """Grants whose client is that service principal, as the replica shows them."""
    return _live(directory, Kind.GRANT, "clientId", client_id)


def scopes_granted(
    directory: Directory, client_id: str, resource_id: str, user_id: str
) -> list[str]:
    """The scopes of the resource that the client may use for the user."""
    scopes: dict[str, None] = {}
    for entity in grants_to(directory, client_id):
        document = directory.replica_view(entity)
        if document["resourceId"] == resource_id and document["principalId"] in {None, user_id}:
            scopes |= dict.fromkeys(document["scope"].split())
    return list(scopes)


def _refuse_second(directory: Directory, document: Document) -> None:
    names = ("resourceId", "consentType", "principalId")
    for entity in directory.store.find(Kind.GRANT, "clientId", document["clientId"]):
        if all(entity.document[name] == document[name] for name in names):
            raise duplicate_key("Permission entry already exists.")


def _scope(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_SCOPE:
        why = f"The value is a text of at most {MAX_SCOPE} characters."
        raise invalid_value("scope", _GRANT, why)
    return " ".join(value.split())


def _missing_reference() -> GraphError:
    return bad_request(
        "One or more of the queried reference-property objects are not present in the directory."
    )


def _landed_unseen() -> GraphError:
    """What a grant to a fresh client answers although it was written."""
    return GraphError(
        404,
        "Directory_ObjectNotFound",
        "Unable to read the company information from the directory.",
    )


# ---- both


def is_live(directory: Directory, entity: Entity) -> bool:
    """Whether the replica shows the assignment or grant, and both its ends."""
    document = directory.seen(entity)
    if document is None:
        return False
    client = document["principalId"] if entity.kind is Kind.ASSIGNMENT else document["clientId"]
    return all(_is_seen(directory, end) for end in (client, document["resourceId"]))


def resolve(directory: Directory, kind: Kind, object_id: str) -> Entity:
    """The assignment or grant with that id; GraphError 404 if there is none to see."""
    entity = directory.store.get(kind, object_id)
    if entity is None or not is_live(directory, entity):
        raise not_found(object_id)
    return entity


def _live(directory: Directory, kind: Kind, prop: str, value: str) -> Iterator[Entity]:
    for entity in directory.store.find(kind, prop, value):
        if is_live(directory, entity):
            yield entity


def _is_seen(directory: Directory, object_id: str) -> bool:
    entity = directory.store.locate(object_id)
    return entity is not None and directory.seen(entity) is not None


def _guid(body: Mapping[str, Any], name: str, title: str) -> str:
    value = body.get(name)
    if value is None:
        raise missing_value(name, title)
    if not isinstance(value, str) or not GUID.fullmatch(value):
        raise invalid_value(name, title, "The value must be a GUID.")
    return value.lower()


def _opaque_id() -> str:
    """43 characters of base64, as Graph makes them for assignments and grants."""
    return base64.urlsafe_b64encode(uuid4().bytes + uuid4().bytes).decode().rstrip("=")
