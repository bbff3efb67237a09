"""What our own writes came to, while reads may still be behind them.

Answers of writes are trusted over later reads: a replica that is behind would make us write the
same again, pass after pass, and bring back what we removed. Kept in memory only: after a restart a
stale read costs a write that changes nothing. What was issued is told by the Secret instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fhir_app_operator.planning import permissions
from fhir_app_operator.planning.model import Application


@dataclass(slots=True)
class _Written:
    """The writes to one application: its latest state, and those that it left behind."""

    at: datetime
    latest: Application | None = None
    outdated: list[Application] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    """Key ids."""
    disabled: frozenset[str] = frozenset()
    """Ids of roles and scopes, until enough reads have shown them as disabled."""
    principal: str | None = None
    """Object id of the service principal that was made."""
    assignment_required: bool | None = None
    """What was written to it."""


class OwnWrites:
    """The lately written applications of one directory, by the registration's UID.

    Args:
        clock: the time, in UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._written: dict[str, _Written] = {}

    def updated(self, uid: str, before: Application, after: Application) -> None:
        """Remember that a PATCH led from `before` to `after`."""
        written = self._entry(uid)
        written.outdated = [each for each in written.outdated if not _alike(each, after)]
        written.outdated.append(before)
        written.latest = after
        written.disabled |= permissions.disabled_by(before.exposure, after.exposure)
        written.disabled &= permissions.disabled(after.exposure)

    def unseen_disabled(self, uid: str, *, trusted_for: timedelta) -> frozenset[str]:
        """Return the roles and scopes disabled so lately that a replica may not know it yet."""
        written = self._lately(uid, trusted_for)
        return written.disabled if written else frozenset()

    def saw_disabled(self, uid: str, ids: frozenset[str]) -> None:
        """Remember that enough reads have shown the `ids` as disabled."""
        if uid in self._written:
            self._written[uid].disabled -= ids

    def removed(self, uid: str, key_id: str) -> None:
        """Remember that a credential was removed."""
        self._entry(uid).removed.add(key_id)

    def added(self, uid: str, key_id: str) -> None:
        """Remember that a credential that may have been removed before is there again."""
        if uid in self._written:
            self._written[uid].removed.discard(key_id)

    def made_principal(self, uid: str, object_id: str) -> None:
        """Remember that the service principal was made, or met."""
        self._entry(uid).principal = object_id

    def principal(self, uid: str, *, trusted_for: timedelta) -> str | None:
        """Return the object id of a service principal made so lately that no read shows it."""
        written = self._lately(uid, trusted_for)
        return written.principal if written else None

    def required_assignment(self, uid: str, *, required: bool) -> None:
        """Remember whether the service principal was told to ask for an assignment."""
        self._entry(uid).assignment_required = required

    def assignment_required(self, uid: str, *, trusted_for: timedelta) -> bool | None:
        """Return what was written so lately that reads may not show it; None: nothing was."""
        written = self._lately(uid, trusted_for)
        return written.assignment_required if written else None

    def corrected(self, uid: str, read: Application, *, trusted_for: timedelta) -> Application:
        """Return `read`, or what it must be if it shows what our writes left behind.

        Args:
            uid: the registration.
            read: what a read shows.
            trusted_for: how long a write is trusted over reads.
        """
        written = self._lately(uid, trusted_for)
        if written is None:
            return read
        for key_id in written.removed:
            read = read.without_credential(key_id)
        if written.latest is None or not any(_alike(read, each) for each in written.outdated):
            return read
        return _with_credentials_of(written.latest, read)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a registration's application."""
        self._written.pop(uid, None)

    def _lately(self, uid: str, trusted_for: timedelta) -> _Written | None:
        written = self._written.get(uid)
        if written is not None and self._clock() >= written.at + trusted_for:
            self.forget(uid)
            return None
        return written

    def _entry(self, uid: str) -> _Written:
        written = self._written.setdefault(uid, _Written(self._clock()))
        written.at = self._clock()
        return written


def _alike(one: Application, other: Application) -> bool:
    """Whether both are in the same state, credentials apart."""
    return _with_credentials_of(one, other) == other


def _with_credentials_of(application: Application, read: Application) -> Application:
    return replace(application, passwords=read.passwords, keys=read.keys, federated=read.federated)
