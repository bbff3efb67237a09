"""What people ask for by annotation, once each: a rotation, the end of replaced credentials.

Each value is compared with the live credential, so that a registration that is restored without
its status rotates nothing. A time that is yet to come acts when it comes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import FhirAppRegistration
from fhir_app_operator.planning import following, issuance
from fhir_app_operator.planning.credentials import REVOCATION, is_federated, published, seconds
from fhir_app_operator.planning.model import (
    Desired,
    Federation,
    Following,
    IssuePolicy,
    Observed,
    Policy,
    Requests,
)
from fhir_app_operator.planning.retirement import revocations

_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
LONGEST: Final = 512
"""Characters of a request's value: status echoes it in a field of that length."""
_TIMES: Final = (names.ROTATE_REQUESTED_ANNOTATION, names.REVOKE_PREVIOUS_REQUESTED_ANNOTATION)


def read(registration: FhirAppRegistration) -> Requests:
    """Return what the annotations ask for; nothing where a value is no time, or was acted on."""
    annotations, status = registration.metadata.annotations, registration.status
    revoke = annotations.get(names.REVOKE_PREVIOUS_REQUESTED_ANNOTATION)
    done = revoke == status.last_handled_revoke_previous_at
    return Requests(
        rotate_at=moment(annotations.get(names.ROTATE_REQUESTED_ANNOTATION)),
        revoke_previous_at=None if done else moment(revoke),
        revoke_is_news=not done and bool(status.conditions),
    )


def moment(text: str | None) -> datetime | None:
    """Return the time in `text` (RFC 3339) in whole seconds; None if it is none."""
    if text is None or not _RFC_3339.fullmatch(text):
        return None
    try:
        return seconds(datetime.fromisoformat(_shortened(text.upper())).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _shortened(text: str) -> str:
    """Without the fraction of a second, of which Python reads six digits at most."""
    return re.sub(r"\.[0-9]+", "", text)


def invalid(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return, for each request annotation that is ignored, what its value must be."""
    found = {
        name: "an RFC 3339 time such as 2026-03-01T12:00:00Z"
        for name in _TIMES
        if name in annotations and moment(annotations[name]) is None
    }
    long = [n for n in names.REQUEST_ANNOTATIONS if len(annotations.get(n, "")) > LONGEST]
    return dict.fromkeys(long, f"at most {LONGEST} characters long") | found


def reconcile_asked(registration: FhirAppRegistration) -> bool:
    """Whether a pass was asked for by annotation, and none has answered yet."""
    value = registration.metadata.annotations.get(names.RECONCILE_REQUESTED_ANNOTATION)
    known = value is not None and len(value) <= LONGEST
    return known and value != registration.status.last_handled_reconcile_at


def outstanding(registration: FhirAppRegistration) -> bool:
    """Whether a request by annotation was not acted on yet: somebody may be waiting for it.

    One that is invalid never is.
    """
    status = registration.status
    refused = invalid(registration.metadata.annotations)
    annotations = {
        name: value
        for name, value in registration.metadata.annotations.items()
        if name not in refused
    }
    handled = {
        names.RECONCILE_REQUESTED_ANNOTATION: status.last_handled_reconcile_at,
        names.ROTATE_REQUESTED_ANNOTATION: status.last_handled_rotate_at,
        names.REVOKE_PREVIOUS_REQUESTED_ANNOTATION: status.last_handled_revoke_previous_at,
    }
    return any(name in annotations and annotations[name] != handled[name] for name in handled)


def is_rotation_done(desired: Desired, observed: Observed, now: datetime) -> bool:
    """Whether the Secret holds a credential that is younger than the rotation asked for.

    Where there are no credentials, there is nothing to rotate.
    """
    asked = desired.requests.rotate_at
    if asked is None or asked > now or observed.application is None:
        return False
    if not isinstance(desired.credential, IssuePolicy):
        return True
    current = published(observed.secret, observed.application.credentials)
    return current is not None and issuance.is_rotated(asked, observed.secret, current)


def is_revocation_done(desired: Desired, observed: Observed, now: datetime, policy: Policy) -> bool:
    """Whether nothing is left that the end of replaced credentials was asked for.

    What is to replace the Secret's credential comes first, be it by request, renewal or change of
    type: what that replaces is meant, too.
    """
    asked, rotation = desired.requests.revoke_previous_at, desired.requests.rotate_at
    if asked is None or asked > now or observed.application is None:
        return False
    together = rotation is not None and rotation <= asked + policy.max_skew
    if together and not is_rotation_done(desired, observed, now):
        return False
    if desired.requests.revoke_is_news and _is_replacing(desired, observed, now, policy):
        return False
    left = revocations(desired, observed, now, policy)
    return all(action.reason != REVOCATION for _, action in left)


def _is_replacing(desired: Desired, observed: Observed, now: datetime, policy: Policy) -> bool:
    """Whether another credential than the Secret's is due."""
    match desired.credential:
        case IssuePolicy():
            return issuance.due(desired, observed, now, policy) is not None
        case Following():
            return bool(following.due(desired, observed, now, policy))
        case Federation():
            return not is_federated(observed.secret)
        case None:
            return False
