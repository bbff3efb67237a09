"""What `/healthz` and `/readyz` ask: does the event loop turn, are the watches kept up?

Everything here is written by the event loop and read by the thread that answers probes. Not here:
the workers, which the queue knows; what a probe's answer leads to, which is Kubernetes' business.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

LOOP_LIMIT: Final = 30.0
"""Seconds without a turn of the event loop after which it counts as stuck."""
_INTERVAL: Final = 1.0
_FRAMES: Final = 8


class Heartbeat:
    """Notes that the event loop turns.

    Args:
        limit: seconds without a turn that make it stuck.
        now: a monotonic clock in seconds.
    """

    def __init__(
        self, limit: float = LOOP_LIMIT, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._now = now
        self._last: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread: int | None = None

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._thread = threading.get_ident()
        self._beat(asyncio.get_running_loop())

    def stop(self) -> None:
        """End; from then on nothing is wrong."""
        if self._timer is not None:
            self._timer.cancel()
        self._last = None

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._last = self._now()
        self._timer = loop.call_later(min(_INTERVAL, self._limit / 3), self._beat, loop)

    def problem(self) -> str | None:
        """Return what is wrong, or None."""
        last = self._last
        silence = 0.0 if last is None else self._now() - last
        if silence <= self._limit:
            return None
        return f"the event loop has not turned for {silence:.0f} seconds"

    def position(self) -> list[str]:
        """Return what the event loop's thread is at, innermost last: places, and no values."""
        frame = sys._current_frames().get(self._thread or 0)  # noqa: SLF001 - its documented name
        found = traceback.extract_stack(frame, limit=None) if frame is not None else []
        return [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in found[-_FRAMES:]]


class Watches:
    """When each watch was last asked for, and when the API server last answered.

    A healthy watch is asked for again every few minutes, for the server ends it; one that fails is
    tried again within seconds. So a watch that is not even tried is stuck in this process, and a
    restart helps; one that is tried in vain is not.

    Args:
        limit: seconds without a try, or without an answer, that are too many; must exceed the
            longest life of a watch.
        now: a monotonic clock in seconds.
    """

    def __init__(self, limit: float, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._now = now
        self._tried: dict[str, float] = {}
        self._answered: dict[str, float] = {}

    def expect(self, paths: Iterable[str]) -> None:
        """From now on the resources at `paths` are to be watched."""
        now = self._now()
        self._tried = dict.fromkeys(paths, now)
        self._answered = dict(self._tried)

    def tried(self, path: str) -> None:
        """A listing or watch of `path` was asked for."""
        if path in self._tried:
            self._tried[path] = self._now()

    def answered(self, path: str) -> None:
        """The API server began to answer a listing or watch of `path`."""
        if path in self._answered:
            self._answered[path] = self._now()

    def stuck(self) -> str | None:
        """Return which watch this process no longer tries to have, or None."""
        return self._overdue(self._tried, "has not been asked for")

    def unanswered(self) -> str | None:
        """Return which watch the API server has not answered for too long, or None."""
        return self._overdue(self._answered, "has not been answered by the API server")

    def _overdue(self, last: dict[str, float], what: str) -> str | None:
        now = self._now()
        for path, at in list(last.items()):
            if now - at > self._limit:
                return f"the watch of {path.rpartition('/')[2]} {what} for {now - at:.0f} seconds"
        return None
