"""The body of a create or PATCH of an application, from the words of planning to Graph's JSON.

What reads show is in `wire`.
"""

from __future__ import annotations

from typing import Any

from fhir_app_operator.planning.model import (
    ApplicationChanges,
    AppRole,
    PermissionScope,
    PreAuthorized,
    ResourceAccess,
)


def changes_document(changes: ApplicationChanges) -> dict[str, Any]:
    """Return the body of a create or PATCH that makes `changes`, and nothing else."""
    api = _without_none({
        "requestedAccessTokenVersion": changes.token_version,
        "oauth2PermissionScopes": _each(changes.scopes, _scope_document),
        "preAuthorizedApplications": _pre_authorized(changes.pre_authorized),
    })  # fmt: skip
    return _without_none({
        "displayName": changes.display_name,
        "notes": changes.notes,
        "tags": _sorted(changes.tags),
        "signInAudience": changes.sign_in_audience,
        "identifierUris": _sorted(changes.identifier_uris),
        "web": _web(changes),
        "spa": _platform(changes.spa_redirect_uris),
        "publicClient": _platform(changes.public_client_redirect_uris),
        "isFallbackPublicClient": changes.is_fallback_public_client,
        "api": api or None,
        "appRoles": _each(changes.app_roles, _role_document),
        "requiredResourceAccess": _required(changes.resource_access),
        "serviceManagementReference": changes.service_management_reference,
    })  # fmt: skip


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _sorted(values: frozenset[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)


def _platform(uris: frozenset[str] | None) -> dict[str, Any] | None:
    return None if uris is None else {"redirectUris": sorted(uris)}


def _web(changes: ApplicationChanges) -> dict[str, Any] | None:
    web = _platform(changes.web_redirect_uris) or {}
    if changes.id_token_issuance is not None:
        web["implicitGrantSettings"] = {"enableIdTokenIssuance": changes.id_token_issuance}
    return web or None


def _each(entries: Any, render: Any) -> list[Any] | None:
    return None if entries is None else [render(entry) for entry in entries]


def _role_document(role: AppRole) -> dict[str, Any]:
    return {
        "id": role.id,
        "value": role.value,
        "displayName": role.display_name,
        "description": role.description,
        "allowedMemberTypes": sorted(role.allowed_member_types),
        "isEnabled": role.is_enabled,
    }


def _scope_document(scope: PermissionScope) -> dict[str, Any]:
    return {
        "id": scope.id,
        "value": scope.value,
        "type": scope.type,
        "adminConsentDisplayName": scope.admin_consent_display_name,
        "adminConsentDescription": scope.admin_consent_description,
        "userConsentDisplayName": scope.user_consent_display_name,
        "userConsentDescription": scope.user_consent_description,
        "isEnabled": scope.is_enabled,
    }


def _required(accesses: frozenset[ResourceAccess] | None) -> list[dict[str, Any]] | None:
    if accesses is None:
        return None
    by_api: dict[str, list[dict[str, str]]] = {}
    for access in sorted(accesses):
        entries = by_api.setdefault(access.resource_app_id, [])
        entries.append({"id": access.id, "type": access.type})
    return [
        {"resourceAppId": app_id, "resourceAccess": entries} for app_id, entries in by_api.items()
    ]


def _pre_authorized(clients: frozenset[PreAuthorized] | None) -> list[dict[str, Any]] | None:
    if clients is None:
        return None
    return [
        {"appId": client.app_id, "delegatedPermissionIds": sorted(client.scope_ids)}
        for client in sorted(clients, key=lambda each: each.app_id)
    ]
