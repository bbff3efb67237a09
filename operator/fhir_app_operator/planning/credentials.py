"""Which credentials are ours, which one the Secret holds, and the moments of a lifetime.

When one is issued is in `issuance`, when one goes in `retirement`. All times are compared in whole
seconds: the directory keeps fractions, annotations and status do not, and a moment that differs by
a fraction from itself is a renewal that never comes, or never ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning.model import (
    CredentialPolicy,
    DatedCredential,
    Desired,
    Following,
    IssuePolicy,
    Observed,
    Policy,
    Requests,
    SecretState,
)

DEFAULT_OVERLAP: Final = timedelta(hours=24)
MOST: Final = 3
"""Credentials of ours at any moment: two that may be in use, and one in flight."""
OVERLAP_ENDED: Final = "OverlapEnded"
REVOCATION: Final = "RevocationRequested"
SPREAD: Final = 10
"""Renewals are spread over one part in so many of the lifetime."""


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


def is_federated(secret: SecretState | None) -> bool:
    """Whether the Secret is as it was written for federated credentials."""
    federated = CredentialType.FEDERATED_IDENTITY
    return secret is not None and secret.type is federated and secret.credential_intact


def switch_ends(
    policy: CredentialPolicy, requests: Requests, written_at: datetime
) -> tuple[datetime, str]:
    """Return when, and why, what a change of type at `written_at` replaced goes.

    After the overlap, or when its end was asked for: later than that, or along with the change.
    """
    asked = requests.revoke_previous_at
    ends = written_at + overlap(policy)
    if asked is not None and asked < ends and (requests.revoke_is_news or asked >= written_at):
        return asked, REVOCATION
    return ends, OVERLAP_ENDED


def replaced_at(
    policy: CredentialPolicy, observed: Observed, key_id: str, written_at: datetime
) -> datetime:
    """Return since when the credential of that key id counts as replaced by the Secret's.

    Args:
        policy: what is wanted.
        observed: the world.
        key_id: the key id, or the name of a federated credential.
        written_at: when the Secret's credential was published.
    """
    if not isinstance(policy, Following):
        return written_at
    return min(written_at, observed.retired.get(key_id, written_at))


def certificate_settles(observed: Observed, policy: Policy) -> datetime | None:
    """Return when the directory must show the Secret's certificate, if it holds one.

    Until then another writer's list of certificates may still land and take it away again.
    """
    secret = observed.secret
    if secret is None or secret.type is not CredentialType.CERTIFICATE:
        return None
    return secret.written_at + policy.replication_window if secret.written_at else None


def seconds(moment: datetime) -> datetime:
    """Return `moment` without its fraction of a second."""
    return moment.replace(microsecond=0)


def margin(policy: IssuePolicy, lifetime: timedelta) -> timedelta:
    """Return how long before its end a credential of that lifetime is renewed at the latest.

    At most half of it counts: a directory that grants less than was asked for must not bring about
    a renewal that is due at once.
    """
    before = lifetime / 3 if policy.renew_before is None else policy.renew_before
    return min(before, lifetime / 2)


def renew_at(policy: IssuePolicy, credential: DatedCredential, uid: str) -> datetime:
    """Return when `credential` is due for renewal, from the lifetime that the directory granted.

    Up to a tenth of the lifetime before `renewBefore`, by a share that only the registration's UID
    decides: what was made in one hour does not renew in one hour, and a restart draws nothing anew.
    """
    lifetime = credential.end - credential.start
    early = share(f"renewal {uid}") * lifetime / SPREAD
    return seconds(credential.end - margin(policy, lifetime) - early)


def is_overdue(policy: IssuePolicy, start: datetime, end: datetime, now: datetime) -> bool:
    """Whether the end is near and the renewal long past its time."""
    return overdue_at(policy, start, end) <= now < end


def overdue_at(policy: IssuePolicy, start: datetime, end: datetime) -> datetime:
    """Return when a renewal that was not possible becomes urgent: half of the margin is gone."""
    return end - margin(policy, end - start) / 2


def share(what: str) -> float:
    """Return a number from 0 to below 1 that is the same for a text for ever: UIDs are spread."""
    return int.from_bytes(hashlib.sha256(what.encode()).digest()[:6]) / 2**48


def overlap(policy: CredentialPolicy) -> timedelta:
    """Return how long a replaced credential stays valid."""
    if not isinstance(policy, IssuePolicy):
        return DEFAULT_OVERLAP
    if policy.overlap is not None:
        return policy.overlap
    before = policy.duration / 3 if policy.renew_before is None else policy.renew_before
    return min(DEFAULT_OVERLAP, before)
