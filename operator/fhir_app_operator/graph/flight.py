"""One call for all who ask for the same thing at the same time. Remembers nothing afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flight(Generic[T]):
    """Calls that others may join until they end; the answer, or the error, is everybody's.

    Not a lock: behind a service that hangs, those who wait would time out one after the other.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def join(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` does, or the call for `key` that runs already.

        It goes on if who started it is cancelled. Raises what it raises.
        """
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(_awaited(call))
            self._running[key] = task
            task.add_done_callback(lambda ended: self._end(key, ended))
        return await asyncio.shield(task)

    def _end(self, key: Hashable, ended: asyncio.Task[T]) -> None:
        del self._running[key]
        if not ended.cancelled():
            ended.exception()  # told to whoever waits; if nobody does, it is no fault of the loop's


async def _awaited(call: Callable[[], Awaitable[T]]) -> T:
    return await call()
