"""An event loop whose time passes only when nothing is left to do, and the clock that reads it.

No sockets, no threads: whatever would wait for one of them ends the run instead of hanging.
"""

import asyncio
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class NothingToDo(Exception):
    """Everybody waits, and nobody for the time: a deadlock."""


class _Selector:
    def __init__(self, loop):
        self._loop = loop

    def select(self, timeout):
        if timeout is None:
            raise NothingToDo
        self._loop.now += max(0.0, timeout)
        return ()


class VirtualLoop(asyncio.BaseEventLoop):
    """Jumps to the next timer as soon as everything that can run has run.

    Args:
        now: the time at which it begins, in seconds.
    """

    def __init__(self, now=0.0):
        super().__init__()
        self.now = now
        self._selector = _Selector(self)
        self._clock_resolution = 1e-6

    def time(self):
        return self.now

    def run_in_executor(self, executor, func, *args):
        """Call it at once: in memory nothing blocks."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - a crash of the process belongs to the caller
            future.set_exception(error)
        return future

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass


class VirtualClock:
    """The time of the loop that runs at the moment, as a date."""

    def __init__(self):
        self.loop = None

    def now(self):
        return START + timedelta(seconds=self.loop.now if self.loop else 0)


class NoThreads(Executor):
    """Stands for the threads of a connection: the loop calls at once what they would call."""

    def shutdown(self, *_how, **_ever):
        pass


def run(coroutine, now=0.0, clock=None):
    """Run `coroutine` to its end in a loop of its own; return its result and the time then."""
    loop = VirtualLoop(now)
    if clock is not None:
        clock.loop = loop
    try:
        result = loop.run_until_complete(coroutine)
        loop.run_until_complete(loop.shutdown_asyncgens())
        return result, loop.now
    finally:
        loop.close()
