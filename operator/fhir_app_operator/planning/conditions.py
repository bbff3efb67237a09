"""The one mapping from the outcome of a pass to `Ready`, `Reconciling`, `Stalled` and `Synced`.

Follows kstatus (cli-utils, "The status of a custom resource") and Kubernetes' API conventions:
`Reconciling` and `Stalled` exist only while they are true, and never both; `lastTransitionTime`
moves only when `status` flips. **Ready means: the Secret holds a working credential for the
observed spec.**
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fhir_app_operator.api.v1alpha1 import Condition
from fhir_app_operator.api.v1alpha1.conditions import ConditionStatus
from fhir_app_operator.errors import OperatorError, Waiting

SUCCEEDED: Final = "Succeeded"
PROGRESSING: Final = "Progressing"
EXPIRED: Final = "CredentialExpired"

CONSENT: Final = "ConsentGranted"
"""Beside the others: no health check reads it, and it is there whatever becomes of a pass."""
DATA_PLANE: Final = "DataPlaneAccess"
"""The same, for clients of managed services."""
ACCESS: Final = (CONSENT, DATA_PLANE)
EXPIRING: Final = "CredentialExpiring"
INVALID_REQUEST: Final = "InvalidRequest"
POLICY_VIOLATED: Final = "PolicyViolated"
ABNORMAL: Final = (EXPIRING, INVALID_REQUEST, POLICY_VIOLATED)
"""Types that exist only while they are true, and that no health check reads."""

MESSAGE_LIMIT: Final = 4096

_REQUEST_ID: Final = re.compile(r" \(request-id [^)]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The conditions to write, and whether the generation counts as observed."""

    conditions: tuple[Condition, ...]
    observed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Composes conditions on top of those that the object has.

    `generation` is the spec's generation that the pass worked on, `now` the moment it ended.
    """

    previous: tuple[Condition, ...]
    generation: int
    now: datetime

    def succeeded(
        self, message: str, *, synced: str = "Entra and the Secret are as declared",
        unmanaged: str = "", absent: Iterable[str] = (),
    ) -> Verdict:  # fmt: skip
        """Return the conditions of a pass that left nothing to do.

        Args:
            message: what is in place.
            synced: what agrees with the manifest.
            unmanaged: in words, what others made on the object and was left alone.
            absent: in words, the clients that are to be pre-authorized and are not there yet.
        """
        if unmanaged:
            synced = f"{synced}; made by others and left alone: {unmanaged}"
        if waiting := "; ".join(absent):
            synced = f"{synced}; not pre-authorized yet: {waiting}"
        return self._verdict(
            self._condition("Ready", "True", SUCCEEDED, message),
            self._condition("Synced", "True", SUCCEEDED, synced),
            observed=True,
        )

    def progressing(self, message: str) -> Verdict:
        """Return the conditions while a new spec is worked on."""
        return self._verdict(
            self._condition("Ready", "Unknown", PROGRESSING, message),
            self._condition("Reconciling", "True", PROGRESSING, message),
            observed=False,
        )

    def failed(
        self, error: OperatorError, *, usable: bool | None, renewing: bool = False
    ) -> Verdict:
        """Return the conditions of a pass that ended in `error`.

        Args:
            error: what ended it.
            usable: whether the Secret is known to hold a working credential; None: not looked.
            renewing: whether it was a renewal that failed; all else is as declared.
        """
        ready = self._find("Ready")
        was_ready = (
            ready is not None
            and ready.status == "True"
            and ready.observed_generation == self.generation
        )
        weather = isinstance(error, Waiting)
        works_on = usable is not False if weather else bool(renewing and usable)
        if was_ready and ready is not None and works_on:
            synced = self._condition("Synced", "False", error.reason, error.message)
            return self._verdict(ready, synced, observed=True)
        not_ready = self._condition("Ready", "False", error.reason, error.message)
        if not weather:
            stalled = self._condition("Stalled", "True", error.reason, error.message)
            return self._verdict(not_ready, stalled, observed=True)
        return self._verdict(
            not_ready,
            self._condition("Reconciling", "True", "ProgressingWithRetry", error.message),
            observed=False,
        )

    def expired(self, error: OperatorError | None) -> Verdict:
        """Return the conditions when the Secret's credential is past its end."""
        detail = f": {error.message}" if error else ""
        message = f"the credential in the Secret has expired{detail}"
        person = error is not None and not isinstance(error, Waiting)
        more = (
            self._condition("Stalled", "True", EXPIRED, message)
            if person
            else self._condition("Reconciling", "True", "ProgressingWithRetry", message)
        )
        return self._verdict(
            self._condition("Ready", "False", EXPIRED, message), more, observed=person
        )

    def suspended(self, message: str) -> Verdict:
        """Return the conditions of a suspended object: all as it was, but not kept in sync.

        Without those of `ACCESS`, which go by what was granted.
        """
        passing = {"Synced", "Reconciling", "Stalled", *ABNORMAL, *ACCESS}
        kept = [c for c in self.previous if c.type not in passing]
        synced = self._condition("Synced", "False", "Suspended", message)
        return self._verdict(*kept, synced, observed=False)

    def expiring(self, end: datetime, reason: str, why: str) -> Condition:
        """Return the warning that the Secret's credential ends at `end` without a successor."""
        message = f"the credential in the Secret ends at {end:%Y-%m-%dT%H:%M:%SZ}; {why}"
        return self._condition(EXPIRING, "True", reason, message)

    def invalid_request(self, annotations: Mapping[str, str]) -> Condition:
        """Return the warning that these annotations are ignored, by what each must be."""
        by_rule: dict[str, list[str]] = {}
        for name, rule in annotations.items():
            by_rule.setdefault(rule, []).append(f"`{name}`")
        message = "; ".join(
            f"annotation {' and '.join(which)} is ignored: it must be {rule}"
            for rule, which in by_rule.items()
        )
        return self._condition(INVALID_REQUEST, "True", "InvalidAnnotation", message)

    def policy_violated(self, what: str) -> Condition:
        """Return the warning that the tenant's policy would not allow `what` any more."""
        message = f"the EntraTenant's `policy` does not allow {what}; it is left as it is"
        return self._condition(POLICY_VIOLATED, "True", "PolicyViolation", message)

    def consent(self, status: ConditionStatus, reason: str, message: str) -> Condition:
        """Return whether what the manifest asks for is granted."""
        return self._condition(CONSENT, status, reason, message)

    def data_plane(self, message: str) -> Condition:
        """Return that Azure decides about access to the data, which cannot be seen."""
        return self._condition(DATA_PLANE, "Unknown", "NotVisible", message)

    def kept(self, *kinds: str) -> tuple[Condition, ...]:
        """Return what the pass before said in conditions of these types, as it is."""
        return tuple(c for c in self.previous if c.type in kinds)

    def kept_abnormal(self) -> tuple[Condition, ...]:
        """Return the warnings of the pass before, as they are."""
        return tuple(c for c in self.previous if c.type in ABNORMAL)

    def _verdict(self, *conditions: Condition, observed: bool) -> Verdict:
        return Verdict(conditions=conditions, observed=observed)

    def _condition(
        self, kind: str, status: ConditionStatus, reason: str, message: str
    ) -> Condition:
        before = self._find(kind)
        flipped = before is None or before.status != status
        return Condition(
            type=kind,
            status=status,
            reason=reason,
            message=_stable(message, reason, before)[:MESSAGE_LIMIT],
            last_transition_time=self.now
            if flipped or before is None
            else before.last_transition_time,
            observed_generation=self.generation,
        )

    def _find(self, kind: str) -> Condition | None:
        return find(self.previous, kind)


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of type `kind`, if there is one."""
    return next((condition for condition in conditions if condition.type == kind), None)


def _stable(message: str, reason: str, before: Condition | None) -> str:
    """Keep the old message if only the request id differs: one outage, one status write."""
    if before is None or before.reason != reason:
        return message
    same = _REQUEST_ID.sub("", before.message) == _REQUEST_ID.sub("", message)
    return before.message if same else message
