"""When a new credential is issued, and why: an ordered chain, each link with a reason.

A Secret that lost its credential is an unplanned issue, rate-limited so that whoever deletes it
again and again gets no new one each time; a renewal or a rotation is a planned one. Never more than
`credentials.MOST` of ours at once: what would be one too many waits until one may go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from fhir_app_operator.planning.credentials import (
    MOST,
    is_federated,
    ours,
    published,
    renew_at,
    seconds,
)
from fhir_app_operator.planning.model import (
    Application,
    DatedCredential,
    Desired,
    IssuePolicy,
    Observed,
    Policy,
    SecretState,
)
from fhir_app_operator.planning.retirement import SHORT_WHILE, revocations

RENEWAL: Final = "CredentialDueForRenewal"
ROTATION: Final = "RotationRequested"
SWITCH: Final = "CredentialTypeChanged"
PLANNED: Final = (RENEWAL, ROTATION, SWITCH)
_FIRST_PAUSE: Final = timedelta(minutes=5)
_LONGEST_PAUSE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A new credential is needed, not before `at`.

    Args:
        reason: why.
        at: when; in the past for what is due.
        planned: the old one still works.
        crowded: it waits for one of ours to go.
    """

    reason: str
    at: datetime
    planned: bool = False
    crowded: bool = False


def due(desired: Desired, observed: Observed, now: datetime, policy: Policy) -> Issue | None:
    """Return why and when a new credential must be issued; None while the Secret's one is good."""
    if not isinstance(desired.credential, IssuePolicy) or observed.application is None:
        return None
    own = ours(desired, observed.application.credentials)
    current = published(observed.secret, observed.application.credentials)
    if current is not None:
        issue = _planned(desired, desired.credential, observed.secret, current, now)
        if issue is not None:
            issue = replace(issue, at=_after_failures(own, current.start, now))
    elif observed.secret is not None and is_federated(observed.secret):
        since = observed.secret.written_at or now
        issue = Issue(reason=SWITCH, at=_after_failures(own, since, now), planned=True)
    else:
        issue = _unplanned(desired, observed.application, observed.secret, now, policy)
    if issue is None or len(own) < MOST:
        return issue
    moments = revocations(desired, observed, now, policy)
    # At least all but two of ours may go some day: see what `retirement` keeps.
    goes = [at for at, action in moments if any(p.key_id == action.key_id for p in own)]
    return replace(issue, at=max(issue.at, goes[len(own) - MOST]), crowded=True)


def next_planned(desired: Desired, observed: Observed) -> datetime | None:
    """Return when the Secret's credential is to be replaced; None if it holds none."""
    if not isinstance(desired.credential, IssuePolicy) or observed.application is None:
        return None
    current = published(observed.secret, observed.application.credentials)
    if current is None:
        return None
    moment = renew_at(desired.credential, current, desired.registration.uid)
    asked = desired.requests.rotate_at
    if asked is None or is_rotated(asked, observed.secret, current):
        return moment
    return min(moment, asked)


def is_rotated(asked: datetime, secret: SecretState | None, current: DatedCredential) -> bool:
    """Whether the Secret's credential is the answer to a rotation that was asked for at `asked`.

    Its start is the directory's time; the moment of publication is ours, as is the one at which a
    request counts as past. Either proves it.
    """
    moments = [current.start]
    if secret is not None and secret.written_at is not None:
        moments.append(secret.written_at)
    return asked <= seconds(max(moments))


def _planned(
    desired: Desired, policy: IssuePolicy, secret: SecretState | None, current: DatedCredential,
    now: datetime,
) -> Issue | None:  # fmt: skip
    """A change of type, a renewal or a rotation; one that comes too late is urgent."""
    asked, planned = desired.requests.rotate_at, now < current.end
    followed = desired.registration.is_followed(current.display_name)
    if current.type is not policy.type or followed:
        return Issue(reason=SWITCH, at=now, planned=planned)
    if now >= renew_at(policy, current, desired.registration.uid):
        return Issue(reason=RENEWAL, at=now, planned=planned)
    if asked is not None and asked <= now and not is_rotated(asked, secret, current):
        return Issue(reason=ROTATION, at=now, planned=planned)
    return None


def _unplanned(
    desired: Desired, application: Application, secret: SecretState | None, now: datetime,
    policy: Policy,
) -> Issue | None:  # fmt: skip
    if _may_not_show_yet(secret, now, policy):
        return None
    own = ours(desired, application.credentials)
    reason = _lost_reason(secret, own)
    return Issue(reason=reason, at=_not_before(own, application, now, policy))


def _lost_reason(secret: SecretState | None, own: list[DatedCredential]) -> str:
    if secret is None:
        return "SecretDeleted" if own else "CredentialMissing"
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


def _not_before(
    own: list[DatedCredential], application: Application, now: datetime, policy: Policy
) -> datetime:
    """Return when the next unplanned issue may happen, judged by our credentials' start times.

    The first one at once; then each pause is twice the one before, from 5 minutes to an hour.
    """
    if not own or (len(own) == 1 and _is_first(own[0], application, policy)):
        return now
    pause = _FIRST_PAUSE
    if len(own) > 1 and not _is_first(own[-2], application, policy):
        gap = own[-1].start - own[-2].start
        if gap <= SHORT_WHILE:
            pause = min(max(_FIRST_PAUSE, 2 * gap), _LONGEST_PAUSE)
    return max(now, own[-1].start + pause)


def _is_first(password: DatedCredential, application: Application, policy: Policy) -> bool:
    """Whether `password` was made together with its application: nothing was lost before it."""
    made = application.created_at
    return made is not None and password.start - made < policy.replication_window


def _after_failures(own: list[DatedCredential], since: datetime, now: datetime) -> datetime:
    """Return when a planned issue may be tried again: each try that failed may have left one."""
    unpublished = [p for p in own if p.start > since]
    if not unpublished:
        return now
    pause: timedelta = min(_FIRST_PAUSE * 2 ** (len(unpublished) - 1), _LONGEST_PAUSE)
    return max(now, unpublished[-1].start + pause)
