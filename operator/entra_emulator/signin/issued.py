"""Access tokens as a whole: how long they live, and which ones are revoked."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

LIFETIME: Final = 3599
"""Seconds that a token is good for, unless it is set."""
_DIGITS: Final = 8


@dataclass(slots=True)
class Issued:
    """Every token has a number in its `uti`, so that all issued so far can be told from later ones.

    `lifetime` in seconds is that of tokens issued from now on.
    """

    lifetime: int = LIFETIME
    _count: int = 0
    _revoked: int = 0

    def identifier(self) -> str:
        """The `uti` of the next token."""
        self._count += 1
        return f"{self._count:0{_DIGITS}x}{secrets.token_urlsafe(10)}"

    def revoke(self) -> None:
        """Let Graph refuse all tokens issued so far, whatever their time."""
        self._revoked = self._count

    def is_revoked(self, identifier: str) -> bool:
        """Whether the token with this `uti` is revoked."""
        return int(identifier[:_DIGITS], 16) <= self._revoked

    def reset(self) -> None:
        """The usual lifetime again; what is revoked stays revoked."""
        self.lifetime = LIFETIME
