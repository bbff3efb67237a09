"""The claims of access and id tokens, by the token version of the resource.

Source: "Access token claims reference" and "ID token claims reference". The resource's application
chooses the version of its access tokens, whatever endpoint the client uses.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from entra_emulator.directory import permissions
from entra_emulator.directory.store import Document
from entra_emulator.signin import resources
from entra_emulator.signin.resources import Wanted
from entra_emulator.world import World

Authentication = Literal["0", "1", "2"]
"""How the client proved itself: not at all (public), by secret, by assertion."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a request, as its service principal and application are seen."""

    principal: Document
    application: Document
    authentication: Authentication

    @property
    def app_id(self) -> str:
        """The client id."""
        app_id: str = self.application["appId"]
        return app_id


def for_application(world: World, client: Client, wanted: Wanted) -> str:
    """An access token of the client for itself."""
    roles = permissions.role_values(world.directory, client.principal["id"], wanted.resource)
    subject = client.principal["id"]
    claims = _access_claims(world, client, wanted, subject) | {"oid": subject}
    if _version(world, wanted) == 1:
        claims |= {"idp": issuer(world, 1)}
    if resources.is_graph(world, wanted.audience):
        claims |= {"app_displayname": client.application["displayName"], "idtyp": "app"}
    if roles:
        claims["roles"] = roles
    return world.key.sign(claims)


def for_user(world: World, client: Client, wanted: Wanted, user: Document, scp: list[str]) -> str:
    """An access token of the client on behalf of a user, with the granted scopes `scp`."""
    resource_app = world.directory.replica_view(wanted.resource)["appId"]
    claims = _access_claims(world, client, wanted, _pairwise(user["id"], resource_app))
    claims |= {"oid": user["id"], "name": user["displayName"], "scp": " ".join(scp)}
    roles = permissions.role_values(world.directory, user["id"], wanted.resource)
    if roles:
        claims["roles"] = roles
    if _version(world, wanted) == 1:
        claims |= {
            "acr": "1",
            "amr": ["pwd"],
            "family_name": user["surname"],
            "given_name": user["givenName"],
            "ipaddr": "127.0.0.1",
            "unique_name": user["userPrincipalName"],
            "upn": user["userPrincipalName"],
        }
    else:
        claims["preferred_username"] = user["userPrincipalName"]
    return world.key.sign(claims)


def id_token(
    world: World, client_id: str, user: Document, *, nonce: str | None, version: int
) -> str:
    """An id token for the client; `version` is that of the endpoint."""
    now = _seconds(world.clock.now())
    claims: dict[str, Any] = {
        "aud": client_id,
        "iss": issuer(world, version),
        "iat": now,
        "nbf": now,
        "exp": now + world.tokens.lifetime,
        "name": user["displayName"],
        "oid": user["id"],
        "rh": _opaque(),
        "sub": _pairwise(user["id"], client_id),
        "tid": world.directory.tenant_id,
        "uti": _opaque(),
        "ver": f"{version}.0",
    }
    if version == 1:
        claims |= {"unique_name": user["userPrincipalName"], "upn": user["userPrincipalName"]}
    else:
        claims["preferred_username"] = user["userPrincipalName"]
    if nonce is not None:
        claims["nonce"] = nonce
    return world.key.sign(claims)


def client_info(world: World, user: Document) -> str:
    """What MSAL tells accounts apart by."""
    text = f'{{"uid":"{user["id"]}","utid":"{world.directory.tenant_id}"}}'
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def issuer(world: World, version: int) -> str:
    """The `iss` of tokens of that version."""
    tenant = world.directory.tenant_id
    if version == 1:
        return f"https://sts.windows.net/{tenant}/"
    return f"{world.origin}/{tenant}/v2.0"


def _access_claims(world: World, client: Client, wanted: Wanted, subject: str) -> dict[str, Any]:
    now = _seconds(world.clock.now())
    version = _version(world, wanted)
    app_id = world.directory.replica_view(wanted.resource)["appId"]
    party, proof = ("appid", "appidacr") if version == 1 else ("azp", "azpacr")
    return {
        "aud": wanted.audience if version == 1 else app_id,
        "iss": issuer(world, version),
        "iat": now,
        "nbf": now,
        "exp": now + world.tokens.lifetime,
        "aio": _opaque(),
        party: client.app_id,
        proof: client.authentication,
        "rh": _opaque(),
        "sub": subject,
        "tid": world.directory.tenant_id,
        "uti": world.tokens.identifier(),
        "ver": f"{version}.0",
    }


def _version(world: World, wanted: Wanted) -> int:
    app_id = world.directory.replica_view(wanted.resource)["appId"]
    application: Mapping[str, Any] = world.directory.backing(app_id, replica=True) or {}
    version: int | None = application.get("api", {}).get("requestedAccessTokenVersion")
    return version or 1


def _pairwise(user_id: str, app_id: str) -> str:
    """A subject that is the user's at this application only."""
    digest = hashlib.sha256(f"{user_id}/{app_id}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _opaque() -> str:
    return secrets.token_urlsafe(16)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
