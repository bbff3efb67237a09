"""Authorization codes and refresh tokens that are still good."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

CODE_LIFETIME: Final = timedelta(minutes=10)
REFRESH_LIFETIME: Final = timedelta(days=90)
REFRESH_LIFETIME_SPA: Final = timedelta(hours=24)

Platform = Literal["web", "spa", "publicClient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What a user agreed to at the authorization endpoint."""

    client_id: str
    user_id: str
    scope: str
    platform: str
    redirect_uri: str
    nonce: str | None
    challenge: str | None
    challenge_method: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What a refresh token stands for."""

    client_id: str
    user_id: str
    scope: str
    platform: str
    nonce: str | None
    expires: datetime


@dataclass(slots=True)
class Sessions:
    """All of them, by the opaque text that stands for them."""

    codes: dict[str, SignIn] = field(default_factory=dict)
    redeemed: set[str] = field(default_factory=set)
    refreshes: dict[str, Refresh] = field(default_factory=dict)

    def issue_code(self, sign_in: SignIn) -> str:
        """A code for one redemption."""
        code = f"1.{secrets.token_urlsafe(48)}"
        self.codes[code] = sign_in
        return code

    def redeem(self, code: str) -> SignIn | None:
        """The sign-in of a code, which is used up by this; None if there is none (any more)."""
        sign_in = self.codes.pop(code, None)
        if sign_in is not None:
            self.redeemed.add(code)
        return sign_in

    def issue_refresh(self, refresh: Refresh) -> str:
        """A refresh token."""
        token = f"1.{secrets.token_urlsafe(48)}"
        self.refreshes[token] = refresh
        return token
