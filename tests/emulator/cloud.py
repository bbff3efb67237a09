"""What the tests of the emulator do again and again: sign in, register, grant.

All calls go through the transport that checks Graph's answers. Nothing here knows the emulator's
inside.
"""

import base64
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import jwt

from entra_emulator import ADMIN_CLIENT_ID, GRAPH_APP_ID, OPERATOR_CLIENT_ID, TENANT_ID, Emulator
from tests.emulator.graph_schema import checked_transport

OPERATOR_SECRET = "operator-secret"
ADMIN_SECRET = "admin-secret"
GRAPH = "https://graph.microsoft.com/.default"
CREATE = {"Prefer": "create-if-missing"}
TOKEN = f"/{TENANT_ID}/oauth2/v2.0/token"
AUTHORIZE = f"/{TENANT_ID}/oauth2/v2.0/authorize"
ALICE = "alice@clinic.example"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]


@dataclass(frozen=True)
class App:
    """An application with its service principal."""

    id: str
    app_id: str
    principal_id: str


def role(value: str, *, members: tuple[str, ...] = ("Application",), **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "value": value,
        "displayName": value,
        "description": f"may {value}",
        "allowedMemberTypes": list(members),
        **more,
    }


def scope(value: str, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "value": value,
        "type": "User",
        "adminConsentDisplayName": value,
        "adminConsentDescription": f"may {value}",
        **more,
    }


class Cloud:
    """The emulator in process, with the operator and the administrator signed in."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.anybody = await self._client({})
        self.operator = await self.signed_in(OPERATOR_CLIENT_ID, OPERATOR_SECRET)
        self.admin = await self.signed_in(ADMIN_CLIENT_ID, ADMIN_SECRET)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _client(self, headers: Mapping[str, str]) -> httpx.AsyncClient:
        transport = checked_transport(httpx.ASGITransport(app=self.emulator.app))
        client = httpx.AsyncClient(
            transport=transport, base_url=self.emulator.origin, headers=headers
        )
        return await self._stack.enter_async_context(client)

    async def signed_in(self, client_id: str, secret: str) -> httpx.AsyncClient:
        """A Graph client under the client's own identity."""
        answer = await self.token(client_id=client_id, client_secret=secret, scope=GRAPH)
        assert answer.status_code == 200, answer.text
        return await self._client({"Authorization": f"Bearer {answer.json()['access_token']}"})

    async def token(self, **form: str) -> httpx.Response:
        """A request to the token endpoint, for client credentials unless the form says else."""
        headers = {"Origin": form.pop("origin")} if "origin" in form else {}
        data = {"grant_type": "client_credentials", **form}
        return await self.anybody.post(TOKEN, data=data, headers=headers)

    async def claims(self, **form: str) -> dict[str, Any]:
        """The claims of the access token that such a request gets."""
        answer = await self.token(**form)
        assert answer.status_code == 200, answer.text
        return self.verified(answer.json()["access_token"])

    def verified(self, token: str) -> dict[str, Any]:
        """The claims of a token that the published keys verify."""
        [key] = self.emulator._world.key.jwk_set()["keys"]
        public = jwt.PyJWK(key).key
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
        options["verify_nbf"] = False
        return jwt.decode(token, public, algorithms=["RS256"], options=options)

    async def register(self, name: str = "app", **members: Any) -> App:
        """An application of the operator, with its service principal."""
        body = {"displayName": name, "signInAudience": "AzureADMyOrg", **members}
        made = await self.operator.post("/v1.0/applications", json=body)
        assert made.status_code == 201, made.text
        app = made.json()
        principal = await self.operator.post(
            "/v1.0/servicePrincipals", json={"appId": app["appId"]}
        )
        assert principal.status_code == 201, principal.text
        return App(app["id"], app["appId"], principal.json()["id"])

    async def secret(self, app: App, **wishes: Any) -> str:
        """A new secret of the application."""
        body = {"passwordCredential": wishes}
        answer = await self.operator.post(f"/v1.0/applications/{app.id}/addPassword", json=body)
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["secretText"]
        return text

    async def assign(self, client_principal: str, resource: App, role_id: str) -> httpx.Response:
        """The administrator assigns an app role."""
        body = {
            "principalId": client_principal,
            "resourceId": resource.principal_id,
            "appRoleId": role_id,
        }
        path = f"/v1.0/servicePrincipals/{resource.principal_id}/appRoleAssignedTo"
        return await self.admin.post(path, json=body)

    async def grant(self, client: App, resource_principal: str, scopes: str) -> httpx.Response:
        """The administrator consents for all users."""
        body = {
            "clientId": client.principal_id,
            "consentType": "AllPrincipals",
            "principalId": None,
            "resourceId": resource_principal,
            "scope": scopes,
        }
        return await self.admin.post("/v1.0/oauth2PermissionGrants", json=body)

    async def graph_principal(self) -> str:
        """The object id of Microsoft Graph's service principal."""
        path = f"/v1.0/servicePrincipals(appId='{GRAPH_APP_ID}')"
        answer = await self.operator.get(path, params={"$select": "id"})
        principal: str = answer.json()["id"]
        return principal

    async def permitted(self, *permissions: str) -> httpx.AsyncClient:
        """A Graph client that was granted exactly these application permissions."""
        app = await self.register("permitted")
        secret = await self.secret(app)
        graph = App("", GRAPH_APP_ID, await self.graph_principal())
        path = f"/v1.0/servicePrincipals/{graph.principal_id}?$select=appRoles"
        roles = (await self.operator.get(path)).json()["appRoles"]
        ids = {item["value"]: item["id"] for item in roles}
        for permission in permissions:
            answer = await self.assign(app.principal_id, graph, ids[permission])
            assert answer.status_code == 201, answer.text
        return await self.signed_in(app.app_id, secret)

    async def authorize(self, **query: str) -> httpx.Response:
        """A request to the authorization endpoint, for the code flow unless the query says else."""
        return await self.anybody.get(AUTHORIZE, params={"response_type": "code", **query})

    async def code(self, **query: str) -> str:
        """The code that such a request gets."""
        back = returned(await self.authorize(**query))
        assert "code" in back, back
        return back["code"]


def returned(response: httpx.Response) -> dict[str, str]:
    """The parameters with which the browser is sent back."""
    assert response.status_code == 302, response.text
    parts = urlsplit(response.headers["location"])
    query = parse_qs(parts.query or parts.fragment)
    return {name: values[0] for name, values in query.items()}


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a Graph error."""
    return response.status_code, response.json()["error"]["code"]


def aadsts(response: httpx.Response) -> tuple[int, str, int]:
    """Status, OAuth error and AADSTS number of a sign-in error."""
    body = response.json()
    [number] = body["error_codes"]
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    return response.status_code, body["error"], number
