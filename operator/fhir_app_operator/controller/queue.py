"""A keyed work queue with client-go's semantics. Knows neither Kopf nor Graph nor Kubernetes.

A key is never in two workers; an event for a busy key runs it again afterwards; a new event drops
the back-off of a failed key, but never a server's `Retry-After`; what users changed goes before
resyncs. Beyond client-go: a key may let another one go first, whose result it needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog
from prometheus_client import CollectorRegistry

from fhir_app_operator.errors import origin
from fhir_app_operator.telemetry.work import QueueMetrics

Key = TypeVar("Key", bound=Hashable)

BASE_DELAY: Final = 1.0
MAX_DELAY: Final = 600.0
MAX_COURTESY: Final = 30.0
"""Seconds that a key lets another one go first."""
_GRACE: Final = 60.0
"""Seconds that a cancelled pass may take to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """When a key is due again after it was processed.

    Args:
        after: seconds until the next run; None: exponential back-off if `failed`, else only on
            an event.
        failed: counts towards the back-off.
        floor: seconds in which not even an event may run it (a server's `Retry-After`).
    """

    after: float | None = None
    failed: bool = False
    floor: float = 0.0


def backoff(failures: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Return the delay before the next try after `failures` (1, 2, …): full jitter, at most 600 s.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """
    return uniform(0.0, min(MAX_DELAY, BASE_DELAY * 2.0 ** min(failures, 20)))


class WorkQueue(Generic[Key]):
    """Runs `process` for each key that was added, in `workers` tasks.

    Args:
        process: one pass; its answer says when the key is due again.
        workers: how many keys are processed at once.
        bound: seconds after which a pass is cancelled; must exceed its longest legal step.
        metrics: told what waits and what is being worked on.
        needs: the key whose result a key needs, if any. While that one is urgent, and waits for
            a worker or has one, the key lets it go first: once, and not for ever.
        clock: a monotonic clock in seconds that can be read in every thread.
    """

    def __init__(
        self,
        process: Callable[[Key], Awaitable[Next]],
        *,
        workers: int,
        bound: float = 300.0,
        metrics: QueueMetrics | None = None,
        needs: Callable[[Key], Key | None] = lambda _key: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process = process
        self._workers = workers
        self._bound = bound
        self._clock = clock
        self._metrics = metrics or QueueMetrics(CollectorRegistry())
        self._needs = needs
        self._urgent: OrderedDict[Key, None] = OrderedDict()
        self._calm: OrderedDict[Key, None] = OrderedDict()
        self._busy: dict[Key, bool] = {}
        """Whether each key that has a worker was urgent."""
        self._behind: dict[Key, list[Key]] = {}
        self._aside: set[Key] = set()
        self._courteous: set[Key] = set()
        """The keys that have let another one go first since they ran."""
        self._since: dict[Key, float] = {}
        self._again: dict[Key, bool] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._not_before: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._available = asyncio.Semaphore(0)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._idle = asyncio.Event()
        self._log = structlog.get_logger("queue")

    def __len__(self) -> int:
        return len(self._urgent) + len(self._calm)

    @property
    def busy(self) -> frozenset[Key]:
        """The keys that are being processed."""
        return frozenset(self._busy)

    def problem(self) -> str | None:
        """Return why the queue does not work as it should, or None; may be called by any thread."""
        if self._stopping:
            return None
        dead = sum(task.done() for task in self._tasks)
        if dead:
            return f"{dead} of {self._workers} workers have ended"
        for key, started in list(self._since.items()):
            length = self._clock() - started
            if length > self._bound + _GRACE:
                return f"a pass of {key} has not ended {length:.0f} seconds after it began"
        return None

    def start(self) -> None:
        """Start the workers in the running loop."""
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]

    def add(self, key: Key, *, urgent: bool = True) -> None:
        """Process `key` as soon as possible: drops its back-off, keeps a `Retry-After`."""
        if self._stopping or key in self._aside:
            return
        self._cancel_timer(key)
        if key in self._busy:
            self._again[key] = urgent or self._again.get(key, False)
            return
        wait = self._not_before.get(key, 0.0) - self._now()
        if wait > 0:
            self._schedule(key, wait, urgent=urgent)
            return
        self._enqueue(key, urgent=urgent)

    def add_later(self, key: Key, delay: float) -> None:
        """Process `key` within `delay` seconds; further calls until then change nothing."""
        if self._stopping or self._is_queued(key) or key in self._again or key in self._aside:
            return
        timer = self._timers.get(key)
        if timer is None or timer.when() > self._now() + delay:
            self._schedule(key, delay, urgent=False)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - it also cancels
        """Start nothing new, let running passes end within `timeout` seconds, then cancel them."""
        self._stopping = True
        for key in list(self._timers):
            self._cancel_timer(key)
        self._note_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note_idle(self) -> None:
        if self._stopping and not self._busy:
            self._idle.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _is_queued(self, key: Key) -> bool:
        return key in self._urgent or key in self._calm

    def _enqueue(self, key: Key, *, urgent: bool) -> None:
        if self._is_queued(key):
            if urgent and key in self._calm:
                del self._calm[key]
                self._urgent[key] = None
            return
        (self._urgent if urgent else self._calm)[key] = None
        self._available.release()
        self._metrics.queued(key)

    def _lets_another_go_first(self, key: Key, *, urgent: bool) -> bool:
        """Put `key` aside if what it needs comes soon; the end of that one brings it back."""
        first = self._needs(key)
        comes_soon = first is not None and (first in self._urgent or self._busy.get(first, False))
        if first is None or not comes_soon or key in self._courteous:
            return False
        self._courteous.add(key)
        self._aside.add(key)
        self._behind.setdefault(first, []).append(key)
        self._schedule(key, MAX_COURTESY, urgent=urgent)
        return True

    def _bring_back(self, first: Key) -> None:
        for key in self._behind.pop(first, ()):
            if key in self._aside:
                self._aside.discard(key)
                self.add(key)

    def _schedule(self, key: Key, delay: float, *, urgent: bool) -> None:
        self._cancel_timer(key)
        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(delay, self._fire, key, urgent)

    def _fire(self, key: Key, urgent: bool) -> None:  # noqa: FBT001 - called by the loop
        self._timers.pop(key, None)
        self._aside.discard(key)
        self.add(key, urgent=urgent)

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def _work(self) -> None:
        while not self._stopping:
            await self._available.acquire()
            urgent = bool(self._urgent)
            key, _ = (self._urgent or self._calm).popitem(last=False)
            if self._lets_another_go_first(key, urgent=urgent):
                self._metrics.put_aside(key)
                continue
            self._courteous.discard(key)
            self._busy[key] = urgent
            self._since[key] = self._clock()
            self._metrics.started(key)
            try:
                outcome = await self._run(key)
            finally:
                del self._busy[key], self._since[key]
                self._metrics.ended(key)
                self._note_idle()
            self._settle(key, outcome)
            self._bring_back(key)

    async def _run(self, key: Key) -> Next:
        try:
            async with asyncio.timeout(self._bound):
                return await self._process(key)
        except TimeoutError:
            self._log.error("pass took too long", key=str(key), bound_seconds=self._bound)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            # No traceback text: exception messages of libraries may quote what was sent.
            where = origin(error)
            self._log.error(
                "pass failed unexpectedly", key=str(key), error=type(error).__name__, at=where
            )
        return Next(failed=True)

    def _settle(self, key: Key, outcome: Next) -> None:
        failures = self._failures.get(key, 0) + 1 if outcome.failed else 0
        if failures:
            self._failures[key] = failures
            self._metrics.retried(key)
        else:
            self._failures.pop(key, None)
        if outcome.floor > 0:
            self._not_before[key] = self._now() + outcome.floor
        else:
            self._not_before.pop(key, None)
        if self._stopping:
            return
        if key in self._again:
            self.add(key, urgent=self._again.pop(key))
            return
        delay = outcome.after if outcome.after is not None or not failures else backoff(failures)
        if delay is not None and not self._is_due_within(key, max(delay, outcome.floor)):
            self._schedule(key, max(delay, outcome.floor), urgent=outcome.failed)

    def _is_due_within(self, key: Key, delay: float) -> bool:
        """Whether something asked during the pass for a run that comes sooner."""
        timer = self._timers.get(key)
        return timer is not None and timer.when() <= self._now() + delay


def _is_cancelled() -> bool:
    """Whether the running task is to end; else a cancellation came from what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
