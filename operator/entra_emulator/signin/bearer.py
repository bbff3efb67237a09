"""Access tokens as the services of the cloud get them: in an Authorization header.

Each service words its refusals in its own way, so only the cause is told here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, Final

import jwt

from entra_emulator.world import World

CLOCK_SKEW: Final = timedelta(minutes=5)


class Flaw(Enum):
    """Why a token opens nothing."""

    MISSING = auto()
    UNREADABLE = auto()
    AUDIENCE = auto()
    EXPIRED = auto()
    REVOKED = auto()


class BadToken(Exception):
    """The request carries no token that is good for the service."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.name)
        self.flaw = flaw


def claims_of(world: World, authorization: str | None, audiences: list[str]) -> Mapping[str, Any]:
    """The claims of the header's token; BadToken if it does not hold.

    A token holds if this emulator issued it for one of `audiences`, its time has not passed, and
    it was not revoked.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise BadToken(Flaw.MISSING)
    try:
        claims = world.key.verify(token, audiences)
    except jwt.InvalidAudienceError as error:
        raise BadToken(Flaw.AUDIENCE) from error
    except (jwt.InvalidTokenError, ValueError) as error:
        raise BadToken(Flaw.UNREADABLE) from error
    if datetime.fromtimestamp(claims["exp"], UTC) + CLOCK_SKEW <= world.clock.now():
        raise BadToken(Flaw.EXPIRED)
    if world.tokens.is_revoked(claims["uti"]):
        raise BadToken(Flaw.REVOKED)
    return claims
