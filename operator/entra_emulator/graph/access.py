"""Who is calling: the access token of a Graph request."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Final

import jwt

from entra_emulator.directory.errors import GraphError
from entra_emulator.graph.calls import Caller
from entra_emulator.signin import resources
from entra_emulator.world import World

CLOCK_SKEW: Final = timedelta(minutes=5)
_CODE: Final = "InvalidAuthenticationToken"
_REVOKED: Final = (
    "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
    "TokenIssuedBeforeRevocationTimestamp"
)


def caller_of(world: World, authorization: str | None) -> Caller:
    """The caller that the Authorization header proves; GraphError 401 otherwise.

    A token is good if this emulator issued it for Microsoft Graph, its time has not passed, and it
    was not revoked. A user's token carries no application permissions, so it opens nothing here.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise GraphError(401, _CODE, "Access token is empty.")
    audiences = resources.graph_spellings(world)
    try:
        claims = world.key.verify(token, audiences)
    except jwt.InvalidAudienceError as error:
        message = "Access token validation failure. Invalid audience."
        raise GraphError(401, _CODE, message) from error
    except (jwt.InvalidTokenError, ValueError) as error:
        message = "CompactToken parsing failed with error code: 80049217"
        raise GraphError(401, _CODE, message) from error
    if datetime.fromtimestamp(claims["exp"], UTC) + CLOCK_SKEW <= world.clock.now():
        raise GraphError(401, _CODE, "Lifetime validation failed, the token is expired.")
    if world.tokens.is_revoked(claims["uti"]):
        raise GraphError(401, _CODE, _REVOKED)
    return Caller(claims["appid"], claims["oid"], frozenset(claims.get("roles", ())))


def challenge(world: World, error: GraphError) -> str:
    """What `WWW-Authenticate` adds for a revoked token: a claim that a new one must carry.

    Source: "Claims challenges, claims requests and client capabilities".
    """
    if error.message != _REVOKED:
        return ""
    since = int(world.clock.now().timestamp())
    wanted = f'{{"access_token":{{"nbf":{{"essential":true,"value":"{since}"}}}}}}'
    claims = base64.b64encode(wanted.encode()).decode()
    return f', error="insufficient_claims", claims="{claims}"'
