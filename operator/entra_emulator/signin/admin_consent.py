"""The page on which an administrator consents for the whole tenant to what a client asks for.

Whoever opens it counts as an administrator: there are no passwords here. Source: "Grant
tenant-wide admin consent to an application", "Construct the URL for granting tenant-wide admin
consent". It grants what `requiredResourceAccess` lists and takes nothing back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from entra_emulator.directory import permissions, redirect_uris
from entra_emulator.directory.directory import Key
from entra_emulator.directory.store import Document, Entity, Kind
from entra_emulator.signin import clients, errors, flow_errors
from entra_emulator.signin.clients import required
from entra_emulator.world import World


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission of an API: a `Role` or a `Scope`, with its entry there."""

    resource: Entity
    resource_name: str
    kind: str
    entry: Mapping[str, Any]

    @property
    def value(self) -> str:
        """Its name in a token."""
        value: str = self.entry["value"]
        return value


@dataclass(frozen=True, slots=True)
class Request:
    """A request that can be agreed to."""

    principal: Document
    application: Document
    permissions: tuple[Permission, ...]
    back: str | None
    """Where the administrator's browser goes afterwards; None: nowhere."""


def read(world: World, query: Mapping[str, str]) -> Request:
    """What an administrator is asked for; SignInError if it cannot be granted."""
    principal, application = clients.find(world, required(query, "client_id"))
    back = query.get("redirect_uri")
    if back is not None and redirect_uris.match(application, back) is None:
        raise flow_errors.redirect_mismatch(back, application["appId"])
    return Request(principal, application, tuple(_permissions(world, application)), back)


def grant(world: World, request: Request) -> None:
    """Grant all of it: roles to the client, scopes to it for all users."""
    scopes: dict[str, list[str]] = {}
    for permission in request.permissions:
        if permission.kind == "Role":
            _assign(world, request.principal["id"], permission)
        else:
            scopes.setdefault(permission.resource.id, []).append(permission.value)
    for resource_id, values in scopes.items():
        _consent(world, request.principal["id"], resource_id, values)


def _permissions(world: World, application: Document) -> Iterator[Permission]:
    for wanted in application["requiredResourceAccess"]:
        app_id = wanted["resourceAppId"]
        resource = world.directory.lookup(Kind.SERVICE_PRINCIPAL, Key(app_id, "appId"))
        if resource is None:
            raise errors.unknown_resource(app_id, world.directory.tenant_id)
        shown = world.directory.replica_view(resource)
        for access in wanted["resourceAccess"]:
            prop = "appRoles" if access["type"] == "Role" else "oauth2PermissionScopes"
            found = (each for each in shown[prop] if each["id"] == access["id"])
            entry = next((each for each in found if each["isEnabled"]), None)
            if entry is None:
                raise errors.unknown_permission(
                    application["displayName"], shown["displayName"], access["id"]
                )
            yield Permission(resource, shown["displayName"], access["type"], entry)


def _assign(world: World, principal_id: str, permission: Permission) -> None:
    role_id, resource_id = permission.entry["id"], permission.resource.id
    for entity in world.directory.store.find(Kind.ASSIGNMENT, "principalId", principal_id):
        if (entity.document["resourceId"], entity.document["appRoleId"]) == (resource_id, role_id):
            return
    body = {"principalId": principal_id, "resourceId": resource_id, "appRoleId": role_id}
    permissions.assign(world.directory, body)


def _consent(world: World, client_id: str, resource_id: str, values: list[str]) -> None:
    directory = world.directory
    for entity in directory.store.find(Kind.GRANT, "clientId", client_id):
        held = entity.document
        if held["resourceId"] == resource_id and held["consentType"] == "AllPrincipals":
            scope = " ".join(dict.fromkeys([*held["scope"].split(), *values]))
            permissions.change_grant(directory, entity, {"scope": scope})
            return
    permissions.grant(directory, {
        "clientId": client_id, "consentType": "AllPrincipals", "resourceId": resource_id,
        "scope": " ".join(values),
    })  # fmt: skip
