"""Time as the emulator sees it.

Every time stamp, expiry and replication lag is read from one of these clocks. Nothing else in the
package asks the operating system for the time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the emulator needs of a clock."""

    def now(self) -> datetime:
        """The current time, with a time zone."""

    def advance(self, by: timedelta) -> None:
        """Let `by` pass at once; never negative."""


class SystemClock:
    """The computer's clock, plus whatever it was advanced by."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """The current time, with a time zone."""
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        """Let `by` pass at once; ValueError if it is negative."""
        self._ahead += _forward(by)


class ManualClock:
    """A clock that stands still until it is advanced. `start` must have a time zone."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock's start needs a time zone")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The current time, with a time zone."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Let `by` pass at once; ValueError if it is negative."""
        self._now += _forward(by)


def _forward(by: timedelta) -> timedelta:
    if by < timedelta(0):
        raise ValueError("time does not run backwards")
    return by


def timestamp(moment: datetime) -> str:
    """`moment` as Graph writes it: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
