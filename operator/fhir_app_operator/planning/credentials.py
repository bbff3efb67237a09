"""When to issue a credential, and which ones to revoke: an ordered chain, each with a reason.

The promise: the Secret always holds a credential that works, and nothing of ours stays in the
directory that no Secret holds. Retirement counts from the Secret's `written-at`, never from status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning.model import (
    DatedCredential,
    Desired,
    IssuePolicy,
    Observed,
    Policy,
    RevokeCredential,
    SecretState,
)

RENEWAL: Final = "CredentialDueForRenewal"
"""Why a credential is replaced that still works and is of the right type."""
DEFAULT_OVERLAP: Final = timedelta(hours=24)
_UNCLAIMED: Final = "CredentialUnclaimed"
_BURST: Final = 5
"""Unplanned issues within an hour that are served at once."""
_RATE_WINDOW: Final = timedelta(hours=1)
_FIRST_PAUSE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A new credential is needed, not before `at`; `planned` while the old one still works."""

    reason: str
    at: datetime
    planned: bool = False


def ours(desired: Desired, found: Iterable[DatedCredential]) -> list[DatedCredential]:
    """Return the credentials that this registration made, oldest first."""
    own = [c for c in found if desired.registration.nonce_of(c.display_name) is not None]
    return sorted(own, key=lambda credential: (credential.start, credential.key_id))


def published(
    secret: SecretState | None, found: Iterable[DatedCredential]
) -> DatedCredential | None:
    """Return the directory's entry of the credential that the Secret holds, if it shows one."""
    if secret is None or not secret.credential_intact:
        return None
    return next((c for c in found if c.key_id == secret.key_id), None)


def certificate_settles(observed: Observed, policy: Policy) -> datetime | None:
    """Return when the directory must show the Secret's certificate, if it holds one.

    Until then another writer's list of certificates may still land and take it away again.
    """
    secret = observed.secret
    if secret is None or secret.type is not CredentialType.CERTIFICATE:
        return None
    return secret.written_at + policy.replication_window if secret.written_at else None


def renew_at(policy: IssuePolicy, credential: DatedCredential) -> datetime:
    """Return when `credential` is due for renewal, from the lifetime the directory granted."""
    lifetime = credential.end - credential.start
    before = lifetime / 3 if policy.renew_before is None else policy.renew_before
    return credential.end - min(before, lifetime / 2)


def overlap(policy: IssuePolicy) -> timedelta:
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
    found, secret = observed.application.credentials, observed.secret
    wanted = desired.credential
    current = published(secret, found)
    if current is None:
        if _may_not_show_yet(secret, now, policy):
            return None
        reason = _lost_reason(desired, secret, found)
        return Issue(reason=reason, at=_not_before(ours(desired, found), now))
    switched = current.type is not wanted.type
    if switched or now >= renew_at(wanted, current):
        at = _after_failures([c for c in ours(desired, found) if c.start > current.start], now)
        reason = "CredentialTypeChanged" if switched else RENEWAL
        return Issue(reason=reason, at=at, planned=True)
    return None


def _after_failures(unpublished: list[DatedCredential], now: datetime) -> datetime:
    """Return when a renewal may be tried again: each try that failed left a credential behind."""
    if not unpublished:
        return now
    pause: timedelta = min(_FIRST_PAUSE * 2 ** min(len(unpublished) - 1, 10), _RATE_WINDOW)
    return max(now, unpublished[-1].start + pause)


def _lost_reason(
    desired: Desired, secret: SecretState | None, found: Iterable[DatedCredential]
) -> str:
    if secret is None:
        return "SecretDeleted" if ours(desired, found) else "CredentialMissing"
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


def _not_before(own: list[DatedCredential], now: datetime) -> datetime:
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

    The newest usable credential is never removed, and none that the Secret holds or that may still
    be in use. A credential without our prefix is never removed.
    """
    if observed.application is None:
        return []
    own = ours(desired, observed.application.credentials)
    if desired.credential is None:
        return [(now, _revoke(credential, "CredentialNotWanted")) for credential in own]
    current = published(observed.secret, observed.application.credentials)
    pending = observed.intent.nonce if observed.intent else None
    rest = [p for p in own if desired.registration.nonce_of(p.display_name) != pending]
    if current is None or observed.secret is None or now >= current.end:
        found = _leftovers(rest, observed, policy)
    else:
        retired = (observed.secret.written_at or now) + overlap(desired.credential)
        found = [
            _end_of(p, current, retired, desired, observed, now, policy)
            for p in rest
            if p.key_id != current.key_id
        ]
    return sorted(found, key=lambda pair: pair[0])


def _leftovers(
    own: list[DatedCredential], observed: Observed, policy: Policy
) -> list[tuple[datetime, RevokeCredential]]:
    """What may go while no Secret holds a proven credential.

    The oldest one may be what workloads still use, the newest one what the Secret gets next; what
    lies between them was issued and never published.
    """
    held = observed.secret.key_id if observed.secret else None
    return [
        (p.start + policy.sweep_after, _revoke(p, _UNCLAIMED))
        for p in own[1:-1]
        if p.key_id != held
    ]


def _end_of(
    credential: DatedCredential, current: DatedCredential, retired: datetime,
    desired: Desired, observed: Observed, now: datetime, policy: Policy,
) -> tuple[datetime, RevokeCredential]:  # fmt: skip
    if credential.start <= current.start:
        at = min(retired, max(credential.end, current.start))
        return at, _revoke(credential, "OverlapEnded")
    # Newer than what the Secret holds: never published, or put back by a restored backup. In the
    # second case it was in use until we first saw it out of the Secret.
    since = observed.retired.get(credential.key_id, now)
    grace = overlap(desired.credential) if desired.credential else timedelta(0)
    at = max(credential.start + policy.sweep_after, since + grace)
    return at, _revoke(credential, _UNCLAIMED)


def _revoke(credential: DatedCredential, reason: str) -> RevokeCredential:
    return RevokeCredential(type=credential.type, key_id=credential.key_id, reason=reason)
