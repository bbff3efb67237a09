"""A clinic: a FHIR server, a client of all platforms, and the grant between them."""

from typing import Any

import httpx

from tests.emulator.cloud import ALICE, CHALLENGE, VERIFIER, App, Cloud, role, scope

FHIR = "https://fhir.clinic.example"
SCOPE = f"{FHIR}/user_impersonation"
WEB, SPA, NATIVE = "https://portal.example/cb", "https://spa.example/", "http://localhost"
PLATFORMS = {
    "web": {"redirectUris": [WEB]},
    "spa": {"redirectUris": [SPA]},
    "publicClient": {"redirectUris": [NATIVE, "myapp://auth"]},
}
PEOPLE = role("people", members=("User",))


class Clinic:
    """A FHIR server, a client of all platforms, and the grant between them."""

    def __init__(self, cloud: Cloud, server: App, client: App, secret: str) -> None:
        self.cloud, self.server, self.client, self.secret = cloud, server, client, secret

    def request(self, **query: Any) -> dict[str, str]:
        """The parameters of an authorization request."""
        base: dict[str, Any] = {
            "client_id": self.client.app_id,
            "redirect_uri": WEB,
            "scope": SCOPE,
            "login_hint": ALICE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        merged = {**base, **query}
        return {name: value for name, value in merged.items() if value is not None}

    async def code(self, **query: Any) -> str:
        return await self.cloud.code(**self.request(**query))

    async def redeem(self, code: str, **form: Any) -> httpx.Response:
        """A redemption by a confidential client, unless the form says else."""
        base = {
            "grant_type": "authorization_code",
            "client_id": self.client.app_id,
            "client_secret": self.secret,
            "redirect_uri": WEB,
            "code": code,
            "code_verifier": VERIFIER,
        }
        merged = {**base, **form}
        given = {name: value for name, value in merged.items() if value is not None}
        return await self.cloud.token(**given)

    async def refresh(self, token: str, **form: Any) -> httpx.Response:
        """A refresh by a confidential client, unless the form says else."""
        base = {
            "grant_type": "refresh_token",
            "client_id": self.client.app_id,
            "client_secret": self.secret,
            "refresh_token": token,
        }
        merged = {**base, **form}
        given = {name: value for name, value in merged.items() if value is not None}
        return await self.cloud.token(**given)


async def open_clinic(cloud: Cloud) -> Clinic:
    api = {"oauth2PermissionScopes": [scope("user_impersonation"), scope("more")]}
    server = await cloud.register("server", identifierUris=[FHIR], api=api, appRoles=[PEOPLE])
    client = await cloud.register("portal", **PLATFORMS)
    await cloud.grant(client, server.principal_id, "user_impersonation")
    return Clinic(cloud, server, client, await cloud.secret(client))
