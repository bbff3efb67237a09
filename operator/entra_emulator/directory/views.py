"""How stored documents look from outside: what is hidden, and what is derived from other objects.

A service principal shows what its application declares, at the moment it is read; only what was
set on the service principal itself is stored with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entra_emulator.directory.certificates import KEYS, without_keys
from entra_emulator.directory.entities import SERVICE_PRINCIPAL
from entra_emulator.directory.federated_credentials import FEDERATED
from entra_emulator.directory.redirect_uris import PLATFORMS

_DERIVED: Final = frozenset(
    {
        "appDisplayName",
        "appDescription",
        "appOwnerOrganizationId",
        "appRoles",
        "info",
        "oauth2PermissionScopes",
        "replyUrls",
        "servicePrincipalNames",
        "servicePrincipalType",
        "signInAudience",
        "resourceSpecificApplicationPermissions",
        "verifiedPublisher",
    }
)


def application(document: Mapping[str, Any]) -> dict[str, Any]:
    """The application as Graph shows it."""
    shown = {name: value for name, value in document.items() if name != FEDERATED}
    uris = shown["web"]["redirectUris"]
    settings = [{"uri": uri, "index": None} for uri in uris]
    shown["web"] = {**shown["web"], "redirectUriSettings": settings}
    shown[KEYS] = without_keys(shown[KEYS])
    return shown


def service_principal(
    document: Mapping[str, Any], backing: Mapping[str, Any] | None, owner_tenant: str
) -> dict[str, Any]:
    """The service principal as Graph shows it.

    `backing` is its application, if there still is one; `owner_tenant` the tenant that has it.
    """
    app = backing or {}
    derived = {
        "appDisplayName": app.get("displayName"),
        "appDescription": app.get("description"),
        "appOwnerOrganizationId": owner_tenant,
        "appRoles": app.get("appRoles", []),
        "info": app.get("info"),
        "oauth2PermissionScopes": app.get("api", {}).get("oauth2PermissionScopes", []),
        "replyUrls": [
            uri for name in PLATFORMS for uri in app.get(name, {}).get("redirectUris", [])
        ],
        "servicePrincipalNames": [document["appId"], *app.get("identifierUris", [])],
        "servicePrincipalType": "Application",
        "signInAudience": app.get("signInAudience"),
        "resourceSpecificApplicationPermissions": [],
        "verifiedPublisher": app.get("verifiedPublisher"),
    }
    merged = {**document, **derived}
    merged["displayName"] = document["displayName"] or app.get("displayName")
    merged[KEYS] = without_keys(document[KEYS])
    merged["tags"] = list(dict.fromkeys([*app.get("tags", []), *document["tags"]]))
    return {name: merged[name] for name in SERVICE_PRINCIPAL.members}


def set_members(
    stored: Mapping[str, Any], shown: Mapping[str, Any], body: Mapping[str, Any]
) -> dict[str, Any]:
    """The stored service principal with those members of `shown` that `body` set.

    What the body left out stays derived from the application.
    """
    names = body.keys() & shown.keys() - _DERIVED
    return {**stored, **{name: shown[name] for name in names}}
