"""A TCP proxy that misbehaves on command: resets, silence, lost answers, delay, cuts mid-stream.

It passes bytes on unread, TLS included: put it in front of the API server, whose certificate is
for the loopback address on any port, or of any other server. It runs in a thread of its own, so it
works beside an event loop and beside blocking code. Not here: which fault is to be survived how.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeVar

from dev.cluster.ports import LOOPBACK

_CHUNK: Final = 64 * 1024
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, with RST
T = TypeVar("T")


class _Fault(Enum):
    NONE = "none"
    REFUSE = "refuse"
    SILENCE = "silence"
    LOST_ANSWERS = "lost answers"


@dataclass(eq=False, slots=True)
class _Link:
    """One connection of a client and the one made for it to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    fault: _Fault = _Fault.NONE
    left: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        for writer in (self.client, self.server):
            _reset(writer)
        self.ended.set()


class FaultProxy:
    """Passes connections on to one server, and spoils them as told.

    Made by `running_fault_proxy`. Its methods take effect before they return, and may be called
    from any thread. A connection that met silence or lost answers stays as it is for good, as
    behind a firewall that has forgotten it: only new ones are mended.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._links: set[_Link] = set()
        self._fault = _Fault.NONE
        self._delay = 0.0
        self._cut_after: int | None = None
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        """How many connections came so far, refused ones too."""
        self.port = 0
        """Where it listens, on the loopback address."""

    @property
    def address(self) -> str:
        """Host and port to connect to."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    def let_through(self) -> None:
        """Be a proxy without faults to new connections; those that met silence stay silent."""
        self._do(self._set)

    def refuse(self) -> None:
        """Reset all connections, and new ones as soon as they come: the server is down."""
        self._do(self._refuse)

    def drop(self) -> None:
        """Reset all connections once; new ones are as they would have been."""
        self._do(self._drop)

    def hang(self) -> None:
        """Pass nothing on any more, in neither direction, and close nothing."""
        self._do(lambda: self._set(_Fault.SILENCE))

    def lose_answers(self) -> None:
        """Pass on what clients send, and nothing of what comes back: done, but nobody knows."""
        self._do(lambda: self._set(_Fault.LOST_ANSWERS))

    def delay(self, seconds: float) -> None:
        """Let each piece of an answer wait for `seconds`."""
        self._do(lambda: self._set(delay=seconds))

    def cut_after(self, size: int) -> None:
        """Reset each connection, old or new, after `size` more bytes of answers.

        A TLS handshake takes a few thousand of them.
        """
        self._do(lambda: self._set(cut_after=size))

    def _set(
        self, fault: _Fault = _Fault.NONE, *, delay: float = 0.0, cut_after: int | None = None
    ) -> None:
        self._fault, self._delay, self._cut_after = fault, delay, cut_after
        for link in self._links:
            link.left = cut_after
            if link.fault is _Fault.NONE:
                link.fault = fault

    def _refuse(self) -> None:
        self._set(_Fault.REFUSE)
        self._drop()

    def _drop(self) -> None:
        for link in list(self._links):
            link.reset()

    def _do(self, command: Callable[[], object]) -> None:
        """Run `command` in the proxy's loop."""

        async def call() -> None:
            command()

        self._await(call())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        self._drop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault is _Fault.REFUSE:
            _reset(writer)
            return
        try:
            answers, server = await asyncio.open_connection(*self._target)
        except OSError:  # the server is down: so are we
            _reset(writer)
            return
        link = _Link(writer, server, self._fault, self._cut_after)
        if link.fault is _Fault.REFUSE:  # said while we were connecting
            link.reset()
            return
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._requests(link, reader)),
            asyncio.create_task(self._answers(link, answers)),
        ]
        try:
            await link.ended.wait()
        finally:
            self._links.discard(link)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for side in (link.client, link.server):
                side.close()

    async def _requests(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if link.fault is not _Fault.SILENCE:
                    link.server.write(data)
                    await link.server.drain()
        link.ended.set()

    async def _answers(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                if link.fault is _Fault.NONE:
                    await self._answer(link, data)
        if link.fault is _Fault.NONE:  # else the client hears nothing of the end either
            link.ended.set()

    async def _answer(self, link: _Link, data: bytes) -> None:
        if link.left is not None:
            data = data[: link.left]
            link.left -= len(data)
        link.client.write(data)
        await link.client.drain()
        if link.left == 0:
            # A reset would throw away what was just sent.
            link.client.close()
            link.ended.set()


@contextmanager
def running_fault_proxy(host: str, port: int) -> Iterator[FaultProxy]:
    """A proxy for `host` and `port` that is gone, with its connections, at the end of the block."""
    proxy = FaultProxy(host, port)
    loop = proxy._loop  # noqa: SLF001 - its life is this function's
    thread = threading.Thread(target=loop.run_forever, name="fault-proxy", daemon=True)
    thread.start()
    try:
        server = proxy._await(proxy._listen())  # noqa: SLF001
        try:
            yield proxy
        finally:
            proxy._await(proxy._close(server))  # noqa: SLF001
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
