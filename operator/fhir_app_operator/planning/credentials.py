"""When to issue a client secret, and which ones to revoke: an ordered chain, each with a reason.

The promise: the Secret always holds a credential that works, and nothing of ours stays in the
directory that no Secret holds. Retirement counts from the Secret's `written-at`, never from status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fhir_app_operator.planning.model import (
    Desired,
    Observed,
    PasswordCredential,
    Policy,
    RevokeCredential,
    SecretPolicy,
    SecretState,
)

DEFAULT_OVERLAP: Final = timedelta(hours=24)
_BURST: Final = 5
"""Unplanned issues within an hour that are served at once."""
_RATE_WINDOW: Final = timedelta(hours=1)
_FIRST_PAUSE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A new credential is needed, not before `at`."""

    reason: str
    at: datetime


def ours(desired: Desired, passwords: Iterable[PasswordCredential]) -> list[PasswordCredential]:
    """Return the credentials that this registration made, oldest first."""
    own = [p for p in passwords if desired.registration.nonce_of(p.display_name) is not None]
    return sorted(own, key=lambda password: (password.start, password.key_id))


def published(
    secret: SecretState | None, passwords: Iterable[PasswordCredential]
) -> PasswordCredential | None:
    """Return the directory's entry of the credential that the Secret holds, if it shows one."""
    if secret is None or not secret.credential_intact:
        return None
    return next((p for p in passwords if p.key_id == secret.key_id), None)


def renew_at(policy: SecretPolicy, credential: PasswordCredential) -> datetime:
    """Return when `credential` is due for renewal, from the lifetime the directory granted."""
    lifetime = credential.end - credential.start
    before = lifetime / 3 if policy.renew_before is None else policy.renew_before
    return credential.end - min(before, lifetime / 2)


def overlap(policy: SecretPolicy) -> timedelta:
    """Return how long a replaced credential stays valid."""
    if policy.overlap is not None:
        return policy.overlap
    before = policy.duration / 3 if policy.renew_before is None else policy.renew_before
    return min(DEFAULT_OVERLAP, before)


def due(desired: Desired, observed: Observed, now: datetime, policy: Policy) -> Issue | None:
    """Return why and when a new credential must be issued; None while the Secret's one is good.

    The order matters: a Secret that lost its value is an unplanned issue (rate-limited), a
    credential near its end a planned one.
    """
    if desired.credential is None or observed.application is None:
        return None
    passwords = observed.application.passwords
    secret = observed.secret
    current = published(secret, passwords)
    if current is None:
        if _may_not_show_yet(secret, now, policy):
            return None
        reason = _lost_reason(desired, secret, passwords)
        return Issue(reason=reason, at=_not_before(ours(desired, passwords), now))
    if now >= renew_at(desired.credential, current):
        return Issue(reason="CredentialDueForRenewal", at=now)
    return None


def _lost_reason(
    desired: Desired, secret: SecretState | None, passwords: Iterable[PasswordCredential]
) -> str:
    if secret is None:
        return "SecretDeleted" if ours(desired, passwords) else "CredentialMissing"
    if not secret.holds_credential:
        return "CredentialMissing"
    return "CredentialRemoved" if secret.credential_intact else "CredentialEdited"


def _may_not_show_yet(secret: SecretState | None, now: datetime, policy: Policy) -> bool:
    """Whether the Secret's credential is so young that the directory may not show it.

    Reads of Entra are eventually consistent: a negative one proves nothing about a young object.
    """
    if secret is None or not secret.credential_intact or secret.written_at is None:
        return False
    return now < secret.written_at + policy.replication_window


def _not_before(own: list[PasswordCredential], now: datetime) -> datetime:
    """Return when the next unplanned issue may happen, judged by our credentials' start times."""
    recent = [p for p in own if p.start > now - _RATE_WINDOW]
    if len(recent) < _BURST:
        return now
    pause: timedelta = min(_FIRST_PAUSE * 2 ** (len(recent) - _BURST), _RATE_WINDOW)
    return max(now, recent[-1].start + pause)


def revocations(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> list[tuple[datetime, RevokeCredential]]:
    """Return which credentials of ours go, and when; the earliest first.

    Nothing goes while the Secret does not hold a working credential: the newest usable one is
    never removed. A credential without our prefix is never removed.
    """
    if observed.application is None:
        return []
    own = ours(desired, observed.application.passwords)
    if desired.credential is None:
        return [(now, RevokeCredential(key_id=p.key_id, reason="CredentialNotWanted"))
                for p in own]  # fmt: skip
    current = published(observed.secret, observed.application.passwords)
    secret = observed.secret
    if current is None or secret is None or now >= current.end:
        return []
    written = secret.written_at or now
    retired = written + overlap(desired.credential)
    pending = observed.intent.nonce if observed.intent else None
    found = [
        (at, RevokeCredential(key_id=p.key_id, reason=reason))
        for p in own
        if p.key_id != current.key_id and desired.registration.nonce_of(p.display_name) != pending
        for at, reason in [_end_of(p, current, retired, policy)]
    ]
    return sorted(found, key=lambda pair: pair[0])


def _end_of(
    password: PasswordCredential, current: PasswordCredential, retired: datetime, policy: Policy
) -> tuple[datetime, str]:
    if password.start <= current.start:
        return min(retired, max(password.end, current.start)), "OverlapEnded"
    return password.start + policy.sweep_after, "CredentialUnclaimed"
