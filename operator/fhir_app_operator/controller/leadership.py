"""Leader election by a Lease: one replica works, the others stand by.

    look ──free, or unchanged for its whole duration──► take ──► renew ──► release (SIGTERM)
                                                                  │
                                        somebody else has it ─────┴──► LostLease: the process ends

Why two replicas never write at once, whatever their clocks say: the holder lets a write start only
within `deadline` of the *start* of its last successful renewal; another takes the Lease only when
it has seen it unchanged for `duration`, counted from when it *saw* the last renewal. Both by their
own clocks of elapsed time. The difference pays for what was already under way. A write that lands
even later meets preconditions and keys that make it harmless: that is the reconciler's part.

A renewal that fails past the deadline closes the fence and is tried on. If the Lease then still
names this process, nobody else has led in between, and the fence opens again: an outage of the API
server costs no restart. kubernetes.aio has an election of its own, which is not safe to use
(a call that hangs there makes two leaders).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from fhir_app_operator.controller.fence import Fence, elapsed
from fhir_app_operator.errors import Conflict, OperatorError
from fhir_app_operator.kube.leases import Lease, Leases, Record
from fhir_app_operator.kube.times import micro_time

_RELEASE_SECONDS: Final = 2.0


class LostLease(Exception):
    """Another process has the Lease. What this one knows is out of date; it must end."""

    def __init__(self, holder: str | None) -> None:
        self.holder = holder
        super().__init__(f"the Lease was lost to {holder or 'somebody who has released it since'}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long a Lease lasts, in seconds.

    Args:
        duration: others may take it when it has not changed for that long.
        deadline: a holder starts no write later than this after the start of its last renewal;
            less than `duration`.
        retry: how often it is renewed. Others look twice as often.
    """

    duration: float
    deadline: float
    retry: float


class Candidate:
    """This process in the election.

    Args:
        leases: the Lease, over a connection of its own: a renewal must not queue behind passes.
        fence: opened and closed as the election goes.
        identity: unique among all processes there ever were.
        timings: see there.
        now: the wall-clock time, which the Lease shows to people.
        clock: of elapsed time, the fence's.
        uniform: jitter; shortens pauses only.
    """

    def __init__(
        self, leases: Leases, fence: Fence, identity: str, timings: Timings, *,
        now: Callable[[], datetime], clock: Callable[[], float] = elapsed,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:  # fmt: skip
        self._leases = leases
        self._fence = fence
        self._identity = identity
        self._timings = timings
        self._now = now
        self._clock = clock
        self._uniform = uniform
        self._seen: Record | None = None
        self._seen_at = -math.inf
        self._lease: Lease | None = None
        self._task: asyncio.Task[None] | None = None
        self._answered_at = -math.inf
        self._trouble: str | None = "it has not been looked at yet"
        self._told: tuple[str, bool] | None = None
        self._log = structlog.get_logger("leadership")

    def problem(self) -> str | None:
        """Return why this process can neither lead nor take over, None if it can."""
        if self._clock() - self._answered_at < self._timings.duration:
            return None
        return f"the Lease is out of reach: {self._trouble}"

    async def campaign(self, on_leading: Callable[[], None]) -> None:
        """Stand by until the Lease is free, take it, call `on_leading`, renew it for ever.

        Raises:
            LostLease: somebody else has it now; the fence is closed.
        """
        while True:
            if await self._attempt(self._take):
                break
            await asyncio.sleep(self._until_next_look())
        self._log.info("leading", identity=self._identity)
        on_leading()
        pause = self._timings.retry
        while True:
            await asyncio.sleep(pause * self._uniform(0.8, 1.0))
            renewed = await self._attempt(self._renew)
            pause = self._timings.retry if renewed else self._timings.retry / 2

    def start(self, on_leading: Callable[[], None], on_end: Callable[[], None]) -> None:
        """Run the campaign as a task; `on_end` is called when it ends."""
        self._task = asyncio.create_task(self.campaign(on_leading))
        self._task.add_done_callback(lambda _: on_end())

    async def release(self) -> None:
        """End the campaign and let the next one lead at once, if the API server answers in time.

        Call it when no pass runs any more; calling it again does nothing.
        """
        self._fence.close()
        if self._task is None or self._task.done():
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        with contextlib.suppress(OperatorError, TimeoutError):
            async with asyncio.timeout(_RELEASE_SECONDS):
                lease = await self._leases.read()
                if lease is not None and lease.record.holder == self._identity:
                    await self._leases.replace(lease, self._record(None, lease.record.transitions))
                    self._log.info("released the Lease")

    def raise_if_lost(self) -> None:
        """Raise what ended the campaign, if it was not `release`.

        Raises:
            LostLease: another process leads.
        """
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def _attempt(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """Take one step, in half the deadline: an answer that does not come must not be waited for.

        Returns whether the Lease is ours.
        """
        started = self._clock()
        try:
            async with asyncio.timeout(self._timings.deadline / 2):
                is_ours = await step()
        except Conflict:
            is_ours = False
        except (OperatorError, TimeoutError) as error:
            self._note(error)
            return False
        except LostLease as lost:
            self._fence.close()
            self._log.error("lost the Lease", holder=lost.holder)
            raise
        if self._told:
            self._log.info("the Lease is in reach again", leading=is_ours)
        self._answered_at, self._trouble, self._told = self._clock(), None, None
        if is_ours:
            self._fence.open_until(started + self._timings.deadline)
        return is_ours

    async def _take(self) -> bool:
        lease = await self._leases.read()
        self._observe(lease)
        if not self._is_free():
            return False
        if lease is None:
            self._lease = await self._leases.create(self._record(self._identity, 0))
            return True
        known = lease.record
        # An answer to our taking it may have been lost: then it is ours, and not taken twice.
        transitions = known.transitions + (known.holder != self._identity)
        self._lease = await self._leases.replace(lease, self._record(self._identity, transitions))
        return True

    def _observe(self, lease: Lease | None) -> None:
        """Remember when the record last changed.

        A Lease that somebody deleted changes nothing: its holder may not know yet.
        """
        if lease is None or lease.record == self._seen:
            return
        holder = lease.record.holder
        if holder and (self._seen is None or holder != self._seen.holder):
            self._log.info("standing by", holder=holder)
        self._seen, self._seen_at = lease.record, self._clock()

    def _is_free(self) -> bool:
        if self._seen is None or self._seen.holder in (None, self._identity):
            return True
        return self._remaining(self._seen) <= 0

    def _remaining(self, record: Record) -> float:
        return self._seen_at + (record.duration or self._timings.duration) - self._clock()

    def _until_next_look(self) -> float:
        """Half a retry, or less if the Lease runs out before."""
        pause = self._timings.retry / 2 * self._uniform(0.8, 1.0)
        remaining = self._remaining(self._seen) if self._seen is not None else 0.0
        return min(pause, remaining) if remaining > 0 else pause

    async def _renew(self) -> bool:
        """Write over the record as we know it: a renewal costs one call.

        Raises:
            LostLease: the Lease does not name this process.
        """
        lease = self._lease
        try:
            if lease is not None:
                await self._write(lease)
                return True
        except Conflict:
            # A person's annotation, or a write of ours whose answer was lost, as well.
            self._lease = None
        lease = await self._leases.read()
        if lease is None or lease.record.holder != self._identity:
            raise LostLease(lease.record.holder if lease else None)
        await self._write(lease)
        return True

    async def _write(self, lease: Lease) -> None:
        self._lease = await self._leases.replace(lease, lease.record.renewed_at(self._now()))

    def _record(self, holder: str | None, transitions: int) -> Record:
        moment = micro_time(self._now())
        return Record(
            holder=holder, duration=math.ceil(self._timings.duration), acquired=moment,
            renewed=moment, transitions=transitions,
        )  # fmt: skip

    def _note(self, error: OperatorError | TimeoutError) -> None:
        trouble = error.message if isinstance(error, OperatorError) else "no answer in time"
        is_leading = self._fence.is_open
        if self._told != (trouble, is_leading):
            self._log.warning("the Lease is out of reach", message=trouble, leading=is_leading)
        self._trouble, self._told = trouble, (trouble, is_leading)


class Unopposed:
    """Leads without an election: for a process that is alone for certain."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def problem(self) -> str | None:
        """Return None: nothing is in the way."""

    def start(self, on_leading: Callable[[], None], _on_end: Callable[[], None]) -> None:
        """Lead at once, until `release`."""
        self._fence.open_until(math.inf)
        on_leading()

    async def release(self) -> None:
        """Lead no more."""
        self._fence.close()

    def raise_if_lost(self) -> None:
        """Do nothing: there is nobody to lose to."""
