"""The time of a server, from the `Date` of its answers (RFC 9110, section 6.6.1).

The one measure of how far the local clock is off. It knows no clock of its own but a monotonic one:
a local clock that was set in between is noticed, and an answer of long ago says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from fhir_app_operator.api.v1alpha1.schema import FAR_AHEAD, LONG_AGO, reckonable

RECENT: Final = timedelta(minutes=10)
"""How long an answer tells the time: quartz drifts by seconds a day at most."""


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class ServerClock:
    """What time the server last said it was, and how long ago.

    Args:
        monotonic: seconds of a clock that nobody sets; the event loop's unless given.
    """

    def __init__(self, monotonic: Callable[[], float] = _loop_time) -> None:
        self._monotonic = monotonic
        self._said: tuple[datetime, float] | None = None

    def note(self, date: str | None) -> None:
        """Take in the `Date` of an answer that came just now; nonsense counts for nothing."""
        try:
            moment = parsedate_to_datetime(date or "")
        except (ValueError, OverflowError):
            return
        said = reckonable(moment)
        if LONG_AGO < said < FAR_AHEAD:
            self._said = (said, self._monotonic())

    def ahead(self, now: datetime) -> timedelta | None:
        """Return how far the local time `now` is ahead of the server's, negative if behind.

        Right to about a second. None without a recent answer.
        """
        if self._said is None:
            return None
        moment, noted = self._said
        passed = timedelta(seconds=self._monotonic() - noted)
        return now - (moment + passed) if passed <= RECENT else None
