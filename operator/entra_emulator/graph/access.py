"""Who is calling: the access token of a Graph request."""

from __future__ import annotations

import base64
from typing import Final

from entra_emulator.directory.errors import GraphError
from entra_emulator.graph.calls import Caller
from entra_emulator.signin import bearer, resources
from entra_emulator.signin.bearer import BadToken, Flaw
from entra_emulator.world import World

_MESSAGES: Final = {
    Flaw.MISSING: "Access token is empty.",
    Flaw.UNREADABLE: "CompactToken parsing failed with error code: 80049217",
    Flaw.AUDIENCE: "Access token validation failure. Invalid audience.",
    Flaw.EXPIRED: "Lifetime validation failed, the token is expired.",
    Flaw.REVOKED: (
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and "
        "code: TokenIssuedBeforeRevocationTimestamp"
    ),
}


def caller_of(world: World, authorization: str | None) -> Caller:
    """The caller that the Authorization header proves; GraphError 401 otherwise.

    A user's token carries no application permissions, so it opens nothing here.
    """
    try:
        claims = bearer.claims_of(world, authorization, resources.graph_spellings(world))
    except BadToken as error:
        raise GraphError(401, "InvalidAuthenticationToken", _MESSAGES[error.flaw]) from error
    return Caller(claims["appid"], claims["oid"], frozenset(claims.get("roles", ())))


def challenge(world: World, error: GraphError) -> str:
    """What `WWW-Authenticate` adds for a revoked token: a claim that a new one must carry.

    Source: "Claims challenges, claims requests and client capabilities".
    """
    if error.message != _MESSAGES[Flaw.REVOKED]:
        return ""
    since = int(world.clock.now().timestamp())
    wanted = f'{{"access_token":{{"nbf":{{"essential":true,"value":"{since}"}}}}}}'
    claims = base64.b64encode(wanted.encode()).decode()
    return f', error="insufficient_claims", claims="{claims}"'
