"""When a credential goes, and why; what may still be in use stays.

The promise: nothing of ours stays in the directory that no Secret holds, and nothing goes that a
workload may still use. Retirement counts from the Secret's `written-at`, never from status; but for
what a followed certificate replaced: that one may change more often than an overlap is long, and
each time its moment would move on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fhir_app_operator.planning import federation
from fhir_app_operator.planning.credentials import (
    MOST,
    OVERLAP_ENDED,
    REVOCATION,
    is_federated,
    ours,
    overdue_at,
    overlap,
    published,
    replaced_at,
    switch_ends,
)
from fhir_app_operator.planning.model import (
    Application,
    DatedCredential,
    Desired,
    Federation,
    Following,
    IssuePolicy,
    Observed,
    Policy,
    Requests,
    RevokeCredential,
    SecretState,
)

UNMANAGED: Final = "CredentialUnmanaged"
_UNCLAIMED: Final = "CredentialUnclaimed"
_OUTPACED: Final = "CertificateOutpaced"
CROWDED_OUT: Final = "CredentialCrowdedOut"
LAST_MERCY: Final = timedelta(hours=1)
"""How long what a lost Secret held for a short while stays if the next one needs its place."""
SHORT_WHILE: Final = timedelta(hours=2)
"""Losses of the Secret that are farther apart do not belong to one series."""
Moment = tuple[datetime, RevokeCredential]


def revocations(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> list[Moment]:
    """Return which credentials go, and when; the earliest first.

    Never one that the Secret holds; never the newest usable one while the Secret has none that
    works. One that others made goes only if the registration says so.
    """
    if observed.application is None:
        return []
    dated = _dated(desired, observed, observed.application, now, policy)
    federated = federation.revocations(desired, observed, now)
    found = [*dated, *federated, *_unmanaged(desired, observed, observed.application, now)]
    return sorted(found, key=lambda moment: (moment[0], moment[1].key_id))


def _dated(
    desired: Desired, observed: Observed, application: Application, now: datetime, policy: Policy
) -> Iterable[Moment]:
    own = ours(desired, application.credentials)
    if desired.credential is None:
        # The Secret lets go of it first.
        held = published(observed.secret, own)
        return [_moment(now, p, "CredentialNotWanted") for p in own if p != held]
    if isinstance(desired.credential, Federation):
        return _superseded(desired.credential, desired.requests, observed.secret, own)
    holdings = _Holdings(
        desired=desired, wanted=desired.credential, observed=observed, now=now, policy=policy,
        own=own, current=published(observed.secret, application.credentials),
    )  # fmt: skip
    return holdings.retired()


def _superseded(
    wanted: Federation, requests: Requests, secret: SecretState | None, own: list[DatedCredential]
) -> Iterator[Moment]:
    """Yield what goes after a switch to federated credentials: all of ours, after the overlap."""
    if secret is None or secret.written_at is None or not is_federated(secret):
        return
    ends, reason = switch_ends(wanted, requests, secret.written_at)
    for credential in own:
        expired = max(credential.end, secret.written_at)
        yield min(
            _moment(ends, credential, reason), _moment(expired, credential, OVERLAP_ENDED),
            key=lambda moment: moment[0],
        )  # fmt: skip


def _unmanaged(
    desired: Desired, observed: Observed, application: Application, now: datetime
) -> Iterator[Moment]:
    """Yield when those of others go, if they are to: once ours works, after an overlap.

    Whoever used one has that long to change over to the Secret, or to tell its author.
    """
    secret, current = observed.secret, published(observed.secret, application.credentials)
    works = is_federated(secret) or (current is not None and now < current.end)
    if not desired.remove_unmanaged or desired.credential is None or not works:
        return
    since = (secret.written_at if secret else None) or now
    length = overlap(desired.credential)
    own = {p.key_id for p in ours(desired, application.credentials)}
    held = current.key_id if current else None
    for credential in application.credentials:
        if credential.key_id not in own and credential.key_id != held:
            yield _moment(max(since, credential.start) + length, credential, UNMANAGED)
    mine = federation.ours(desired.registration, application.federated)
    for each in application.federated:
        if each not in mine:
            yield since + length, federation.revoke(each, UNMANAGED)


def _moment(at: datetime, credential: DatedCredential, reason: str) -> Moment:
    return at, RevokeCredential(type=credential.type, key_id=credential.key_id, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holdings:
    """Our credentials, oldest first, and `current`, which the Secret provably holds."""

    desired: Desired
    wanted: IssuePolicy | Following
    observed: Observed
    now: datetime
    policy: Policy
    own: list[DatedCredential]
    current: DatedCredential | None

    def retired(self) -> Iterator[Moment]:
        """Yield the first moment at which each of ours may go, of those that ever may."""
        kept = self._kept()
        for credential in self.own:
            if credential.key_id in kept:
                continue
            rules = (self._by_age, self._by_request, self._by_need, self._by_loss, self._by_pace)
            moments = [found for rule in rules if (found := rule(credential)) is not None]
            if moments:
                yield min(moments, key=lambda moment: moment[0])

    @property
    def _written_at(self) -> datetime:
        secret = self.observed.secret
        return (secret.written_at if secret else None) or self.now

    def _kept(self) -> set[str | None]:
        """Key ids that stay: the Secret's, and the last resort while that does not work."""
        secret = self.observed.secret
        usable = [p.key_id for p in self.own if self.now < p.end]
        if secret is not None and secret.key_id in usable:
            return {secret.key_id}
        intact = {secret.key_id} if secret is not None and secret.credential_intact else set()
        # What an intent that came to nothing left behind is the last resort of nobody.
        known = [c.key_id for c in self.own if self.now < c.end and not self._came_to_nothing(c)]
        return {*intact, *(known or usable)[-1:]}

    def _by_age(self, credential: DatedCredential) -> Moment | None:
        """After its overlap if it was replaced, after a grace if the Secret never showed it."""
        current, length = self.current, overlap(self.wanted)
        if current is not None and credential.start <= current.start:
            since = replaced_at(self.wanted, self.observed, credential.key_id, self._written_at)
            at = min(since + length, max(credential.end, current.start))
            return _moment(at, credential, OVERLAP_ENDED)
        if current is None and self._is_in_use(credential):
            return None
        # Never published, or put back by a restored backup, or lost with the Secret. It may have
        # been in use until we first saw it out of the Secret.
        since = self.observed.retired.get(credential.key_id, self.now)
        grace = max(self.policy.sweep_after, self.policy.in_flight)
        at = max(credential.start + grace, since + length)
        return _moment(min(at, credential.end), credential, _UNCLAIMED)

    def _is_in_use(self, credential: DatedCredential) -> bool:
        """Whether it is the oldest usable one: the Secret is lost, but workloads run on."""
        usable = [p for p in self.own if self.now < p.end]
        return bool(usable) and usable[0] == credential

    def _by_request(self, credential: DatedCredential) -> Moment | None:
        """A person asked for the end of those that were replaced until that moment.

        Only what was issued before, and is not in the hands of a pass that may yet publish it.
        """
        asked = self.desired.requests.revoke_previous_at
        if asked is None or credential.start > asked:
            return None
        if self.current is None:
            settled = credential.start + self.policy.in_flight
            return _moment(max(asked, settled), credential, REVOCATION)
        if credential.start > self.current.start or not self._was_replaced(credential, asked):
            return None
        return _moment(asked, credential, REVOCATION)

    def _was_replaced(self, credential: DatedCredential, asked: datetime) -> bool:
        """Whether it was replaced by then, or by what was asked for or pending along with it.

        A renewal long after the request must leave its predecessor the overlap: status tells by
        then that the request was acted on. If status is lost, only a rotation can still be told.
        """
        if self.current is not None and self.current.start <= asked:
            return True
        if self.desired.requests.revoke_is_news:
            return True
        rotation = self.desired.requests.rotate_at
        together = rotation is not None and rotation <= asked + self.policy.max_skew
        return together and rotation is not None and credential.start < rotation

    def _by_need(self, credential: DatedCredential) -> Moment | None:
        """One that came to nothing goes early if the next needs its place."""
        intent = self.observed.intent
        if len(self.own) < MOST:
            return None
        if intent is not None and self._came_to_nothing(credential):
            return _moment(intent.requested_at + self.policy.in_flight, credential, _UNCLAIMED)
        return self._by_age_of_current(credential)

    def _by_age_of_current(self, credential: DatedCredential) -> Moment | None:
        """What the Secret never showed gives way before what it shows expires.

        The Secret was written before it was issued, so it never held it, unless it was restored
        from a backup. That is borne, since workloads would else run into the end of theirs.
        """
        current, written_at = self.current, self._written_at
        unseen = credential.start > written_at + self.policy.max_skew
        if current is None or not unseen or not isinstance(self.wanted, IssuePolicy):
            return None
        at = overdue_at(self.wanted, current.start, current.end)
        settled = credential.start + self.policy.in_flight
        return _moment(max(at, settled), credential, _UNCLAIMED)

    def _by_loss(self, credential: DatedCredential) -> Moment | None:
        """Of three whose Secret was lost again and again, one in the middle goes after an hour.

        Else there would be no Secret until an overlap ends. Only one that was in it for a short
        while: the oldest is what workloads run with, the newest what they were given last.
        """
        secret = self.observed.secret
        if not isinstance(self.wanted, IssuePolicy) or len(self.own) < MOST:
            return None
        if secret is not None and secret.credential_intact:
            return None
        known = [c for c in self.own if self.now < c.end and not self._came_to_nothing(c)]
        left = self.observed.retired.get(credential.key_id)
        if credential not in known[1:-1] or left is None or left > credential.start + SHORT_WHILE:
            return None
        return _moment(max(left, known[-1].start) + LAST_MERCY, credential, CROWDED_OUT)

    def _by_pace(self, credential: DatedCredential) -> Moment | None:
        """Of certificates that others keep, only one stays beside the Secret's and the new one.

        Their keeper decides how often they change: no overlap may make them pile up.
        """
        if not isinstance(self.wanted, Following) or self.current is None:
            return None
        identity = self.desired.registration
        needed = {self.current.key_id, identity.key_id(self.wanted.nonce)}
        former = sorted(
            (
                c
                for c in self.own
                if identity.is_followed(c.display_name) and c.key_id not in needed
            ),
            key=lambda each: self.observed.retired.get(each.key_id, self.now),
        )
        return _moment(self.now, credential, _OUTPACED) if credential in former[:-1] else None

    def _came_to_nothing(self, credential: DatedCredential) -> bool:
        """Whether it belongs to the intent of an earlier pass, which a success would have cleared.

        Not so if the process died between the Secret and status, and somebody deleted the Secret
        before the next pass. Without room, and for as long as a pass may last, that is borne.
        """
        intent = self.observed.intent
        nonce = self.desired.registration.nonce_of(credential.display_name)
        return intent is not None and not intent.fresh and intent.nonce == nonce
