"""One governor per tenant: keeps all work together below Graph's quotas, urgent work first.

Source: Microsoft Graph, "Service-specific throttling limits", Identity and access: for an
application in a tenant 3,000 writes in 2.5 minutes and, in the smallest tenants, 3,500 resource
units in 10 seconds. A `Retry-After` for one call makes everybody wait.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

BACKGROUND: ContextVar[bool] = ContextVar("background", default=False)
"""True while work is done that no user waits for, such as a resync."""

_SHARE: Final = 0.95
"""Of the quota; the rest is for other processes that use the same application."""


@dataclass(slots=True)
class Bucket:
    """A token bucket: `level` tokens now, at most `size`, `rate` new ones a second."""

    size: float
    rate: float
    level: float
    filled_at: float | None = None

    def refill(self, now: float) -> None:
        """Add what has come in since the last time; `now` in seconds of a monotonic clock."""
        since = now if self.filled_at is None else self.filled_at
        self.level = min(self.size, self.level + (now - since) * self.rate)
        self.filled_at = now

    def wait_for(self, tokens: float) -> float:
        """Return in how many seconds `tokens` will be there."""
        return max(0.0, (tokens - self.level) / self.rate)


def _bucket(quota: float, seconds: float) -> Bucket:
    size = quota * _SHARE
    return Bucket(size=size, rate=size / seconds, level=size)


class Governor:
    """Admits calls in order of priority and arrival, as fast as the quotas allow.

    Args:
        now: a monotonic clock in seconds; default: the running loop's.
    """

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._writes = _bucket(3000, 150)
        self._units = _bucket(3500, 10)
        self._held_until = 0.0
        self._order = itertools.count()
        self._waiting: list[tuple[bool, int, bool, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held_for(self) -> float:
        """Seconds in which nobody may call, after a `Retry-After`."""
        return max(0.0, self._held_until - self._now())

    def hold(self, seconds: float) -> None:
        """Let nobody call for `seconds`."""
        self._held_until = max(self._held_until, self._now() + seconds)

    async def admit(self, *, write: bool) -> None:
        """Wait until one more call fits into the quotas; background work waits for urgent work."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (BACKGROUND.get(), next(self._order), write, turn))
        self._pump()
        await turn

    def _pump(self) -> None:
        """Let everybody in who fits, in order; look again when the next one will."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._now()
        self._writes.refill(now)
        self._units.refill(now)
        while self._waiting:
            _, _, write, turn = self._waiting[0]
            wait = 0.0 if turn.done() else self._wait(write=write)
            if wait > 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(wait, self._pump)
                return
            heapq.heappop(self._waiting)
            if not turn.done():
                self._units.level -= 1
                self._writes.level -= 1 if write else 0
                turn.set_result(None)

    def _wait(self, *, write: bool) -> float:
        return max(
            self.held_for,
            self._units.wait_for(1),
            self._writes.wait_for(1) if write else 0.0,
        )
