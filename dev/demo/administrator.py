"""The administrator of the tenant, who grants what the manifests ask for, with a tool of their own.

The operator may not do that: its permission is Application.ReadWrite.OwnedBy. Here: the requests
to Microsoft Graph behind "Grant admin consent". Not here: what is asked for, which is read from
each application's `requiredResourceAccess`.
"""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from dev.demo.errors import DemoError
from dev.demo.signing_in import Trust, application_token
from dev.sandbox.entra import Entra

_GRAPH = "https://graph.microsoft.com"


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission that was granted: `kind` is "app role" or "delegated"."""

    client: str
    api: str
    permission: str
    kind: str


class Administrator:
    """Microsoft Graph as the administrator's tool; raises DemoError for any refusal."""

    def __init__(self, graph: httpx.Client) -> None:
        self._graph = graph

    def application(self, app_id: str) -> dict[str, Any]:
        """The application with that client id."""
        return self._send("GET", f"/applications(appId='{app_id}')")

    def service_principal(self, app_id: str) -> dict[str, Any]:
        """The service principal of the application with that client id."""
        return self._send("GET", f"/servicePrincipals(appId='{app_id}')")

    def consent(self, app_id: str) -> list[Grant]:
        """Grant all that the application asks for, for all users, and say what that was."""
        client = self.service_principal(app_id)
        grants: list[Grant] = []
        for wanted in self.application(app_id)["requiredResourceAccess"]:
            api = self.service_principal(wanted["resourceAppId"])
            ids = {kind: _ids(wanted, kind) for kind in ("Role", "Scope")}
            grants += self._assign_roles(client, api, ids["Role"])
            grants += self._consent_to_scopes(client, api, ids["Scope"])
        return grants

    def consent_for(self, user_id: str, app_id: str, api_app_id: str, scope: str) -> None:
        """Consent to scopes of an API for one user, whether the application asks for them or not.

        Source: Microsoft Graph, "Create oAuth2PermissionGrant".
        """
        client, api = self.service_principal(app_id), self.service_principal(api_app_id)
        body = {
            "clientId": client["id"], "consentType": "Principal", "principalId": user_id,
            "resourceId": api["id"], "scope": scope,
        }  # fmt: skip
        self._send("POST", "/oauth2PermissionGrants", body)

    def assign(self, principal_id: str, api_app_id: str, values: Collection[str]) -> None:
        """Give app roles of an API to a user, group or service principal by its object id.

        Raises DemoError for a value that is none of its roles.
        """
        api = self.service_principal(api_app_id)
        known = {str(role["value"]) for role in api["appRoles"]}
        if unknown := set(values) - known:
            raise DemoError(
                f"{api['displayName']} has no role {', '.join(sorted(unknown))}, "
                f"but: {', '.join(sorted(known)) or 'none'}"
            )
        ids = {role["id"] for role in api["appRoles"] if role["value"] in values}
        self._assign_roles({"id": principal_id, "displayName": principal_id}, api, ids)

    def _assign_roles(
        self, client: dict[str, Any], api: dict[str, Any], ids: set[str]
    ) -> list[Grant]:
        """Source: Microsoft Graph, "Grant an appRoleAssignment for a service principal"."""
        roles = [role for role in api["appRoles"] if role["id"] in ids]
        for role in roles:
            body = {"principalId": client["id"], "resourceId": api["id"], "appRoleId": role["id"]}
            self._send("POST", f"/servicePrincipals/{api['id']}/appRoleAssignedTo", body)
        return [_grant(client, api, role, "app role") for role in roles]

    def _consent_to_scopes(
        self, client: dict[str, Any], api: dict[str, Any], ids: set[str]
    ) -> list[Grant]:
        """Source: Microsoft Graph, "Create oAuth2PermissionGrant"."""
        scopes = [scope for scope in api["oauth2PermissionScopes"] if scope["id"] in ids]
        if scopes:
            body = {
                "clientId": client["id"],
                "consentType": "AllPrincipals",
                "resourceId": api["id"],
                "scope": " ".join(scope["value"] for scope in scopes),
            }
            self._send("POST", "/oauth2PermissionGrants", body)
        return [_grant(client, api, scope, "delegated") for scope in scopes]

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._graph.request(method, path, json=body)
        document: dict[str, Any] = answer.json()
        if answer.is_error:
            raise DemoError(f"{method} {path}: {answer.status_code} {document.get('error')}")
        return document


def signed_in(entra: Entra, trust: Trust) -> AbstractContextManager[Administrator]:
    """The administrator's tool, signed in with its own client secret."""
    return administrator_at(
        entra.origin, entra.tenant_id, entra.admin_client_id, entra.admin_client_secret, trust
    )


@contextmanager
def administrator_at(
    origin: str, tenant_id: str, client_id: str, client_secret: str, trust: Trust
) -> Iterator[Administrator]:
    """The same, for an Entra of which no more is known."""
    token = application_token(
        trust,
        authority=f"{origin}/{tenant_id}",
        client_id=client_id,
        client_secret=client_secret,
        scope=f"{_GRAPH}/.default",
    )
    with httpx.Client(
        base_url=f"{origin}/v1.0",
        headers={"Authorization": f"Bearer {token}"},
        verify=trust.context(),
        trust_env=False,
    ) as graph:
        yield Administrator(graph)


def _ids(wanted: dict[str, Any], kind: str) -> set[str]:
    return {access["id"] for access in wanted["resourceAccess"] if access["type"] == kind}


def _grant(client: dict[str, Any], api: dict[str, Any], entry: dict[str, Any], kind: str) -> Grant:
    return Grant(client["displayName"], api["displayName"], entry["value"], kind)
