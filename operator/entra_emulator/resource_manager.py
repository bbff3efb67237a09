"""Azure Resource Manager, as far as tools that sign in ask it: endpoints and subscriptions.

The tenant has no subscription and no resources; nothing else of Azure is served. Source: recorded
answers of `management.azure.com`, "List subscriptions", and what Azure CLI reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from entra_emulator.constants import (
    GRAPH_HOST,
    LOGIN_HOSTS,
    MANAGEMENT_HOST,
    MANAGEMENT_URLS,
    STOCK_HOSTS,
)
from entra_emulator.signin import bearer, resources
from entra_emulator.signin.bearer import BadToken, Flaw
from entra_emulator.world import World

SINGLE_SINCE: Final = "2022-09-01"
"""From this version on the endpoints are one object, before they are a list of clouds."""
_VERSION = re.compile(r"\d{4}-\d\d-\d\d(?:-preview)?", re.ASCII)
_REFUSALS: Final = {
    Flaw.MISSING: (
        "AuthenticationFailed",
        "Authentication failed. The 'Authorization' header is missing.",
    ),
    Flaw.UNREADABLE: ("InvalidAuthenticationToken", "The access token is invalid."),
    Flaw.AUDIENCE: (
        "InvalidAuthenticationTokenAudience",
        "The access token has been obtained for wrong audience or resource.",
    ),
    Flaw.EXPIRED: (
        "ExpiredAuthenticationToken",
        "The access token expiry UTC time is earlier than current UTC time.",
    ),
    Flaw.REVOKED: ("InvalidAuthenticationToken", "The access token was revoked."),
}


def routes(world: World) -> list[Route]:
    """The endpoints of one emulated cloud."""

    async def endpoints(request: Request) -> Response:
        version = _version(request)
        if version is None:
            return _no_version()
        cloud = _endpoints(world.seen_at(request.headers.get("host")))
        return JSONResponse(cloud if version >= SINGLE_SINCE else [cloud])

    async def subscriptions(request: Request) -> Response:
        seen = world.seen_at(request.headers.get("host"))
        try:
            claims = bearer.claims_of(
                seen,
                request.headers.get("authorization"),
                resources.management_spellings(),
            )
        except BadToken as error:
            return _unauthorized(seen, error.flaw)
        request.state.caller = claims["appid"]
        if _version(request) is None:
            return _no_version()
        return JSONResponse({"value": [], "count": {"type": "Total", "value": 0}})

    return [
        Route("/metadata/endpoints", endpoints, methods=["GET"]),
        Route("/subscriptions", subscriptions, methods=["GET"]),
    ]


def _endpoints(world: World) -> Mapping[str, Any]:
    """Where the cloud's services are; a client under a stock name is told stock names."""
    stock = urlsplit(world.origin).netloc in STOCK_HOSTS
    login = f"https://{LOGIN_HOSTS[0]}" if stock else world.origin
    graph = f"https://{GRAPH_HOST}" if stock else world.origin
    manager = f"https://{MANAGEMENT_HOST}" if stock else world.origin
    return {
        "name": "AzureCloud" if stock else "EntraEmulator",
        "authentication": {
            "loginEndpoint": login,
            "audiences": list(MANAGEMENT_URLS),
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": f"{manager}/",
        "microsoftGraphResourceId": f"{graph}/",
        "suffixes": {},
    }


def _version(request: Request) -> str | None:
    given = request.query_params.get("api-version", "")
    return given if _VERSION.fullmatch(given) else None


def _no_version() -> Response:
    return _refusal(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def _unauthorized(world: World, flaw: Flaw) -> Response:
    code, message = _REFUSALS[flaw]
    response = _refusal(401, code, message)
    login = _endpoints(world)["authentication"]["loginEndpoint"]
    response.headers["WWW-Authenticate"] = (
        f'Bearer authorization_uri="{login}/{world.directory.tenant_id}", '
        f'error="invalid_token", error_description="{message}"'
    )
    return response


def _refusal(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
