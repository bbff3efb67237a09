"""The fence: whether a write may start. Asked by the gateways right before each one.

Microsoft Graph cannot refuse the write of a leader that is none any more, so the process that
sends it has to know by itself. How long it may is decided in `leadership.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from fhir_app_operator.errors import NotLeading

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_FINISHING: ContextVar[bool] = ContextVar("finishing", default=False)


@contextmanager
def finishing() -> Iterator[None]:
    """Mark what must not be left half done while the process still leads, even on its way out."""
    token = _FINISHING.set(True)
    try:
        yield
    finally:
        _FINISHING.reset(token)


def is_finishing() -> bool:
    """Return whether the caller is inside `finishing`."""
    return _FINISHING.get()


def elapsed() -> float:
    """Return seconds of a clock that nobody sets and that goes on while the machine sleeps.

    CLOCK_BOOTTIME on Linux; CLOCK_MONOTONIC on macOS, which counts sleep there. A stopped process
    sees the time that has passed on either. Source: clock_gettime(2), clock_gettime(3) of macOS.
    """
    return time.clock_gettime(_CLOCK)


class Fence:
    """Closed at first; open until a moment of `clock`, which each renewal of the lease moves on."""

    def __init__(self, clock: Callable[[], float] = elapsed) -> None:
        self._clock = clock
        self._until = -math.inf
        self._is_winding_down = False

    @property
    def is_open(self) -> bool:
        """Whether this process leads for certain."""
        return self._clock() < self._until

    def check(self) -> None:
        """Let a write start.

        Raises:
            NotLeading: it must not.
        """
        if not self.is_open or (self._is_winding_down and not is_finishing()):
            raise NotLeading

    def open_until(self, moment: float) -> None:
        """Let writes start before `moment` of the clock; `math.inf`: for ever."""
        self._until = moment

    def wind_down(self) -> None:
        """Let only that be written, from now on, which finishes something begun."""
        self._is_winding_down = True

    def close(self) -> None:
        """Let no further write start."""
        self._until = -math.inf
