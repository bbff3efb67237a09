"""Credentials without their values: in the directory, as wanted, and as a durable intent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCredential:
    """A client secret in the directory, without its value."""

    key_id: str
    display_name: str | None
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPolicy:
    """How long client secrets live; `renew_before` None means a third of the granted lifetime."""

    duration: timedelta
    renew_before: timedelta | None = None
    overlap: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A pending credential. `fresh`: written in this pass, so nobody asked for it before."""

    nonce: str
    requested_at: datetime
    fresh: bool = False
