"""A proxy that leads clients of the real service here: `CONNECT` for its host names, nothing else.

A client with `HTTPS_PROXY` set to it keeps the addresses that are built into it. TLS passes
through untouched: the emulator's certificate carries those names. Every other host is refused, so
that nothing that uses the proxy can reach the real cloud.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from entra_emulator.constants import STOCK_HOSTS

HOST: Final = "127.0.0.1"
TARGETS: Final = frozenset(f"{name}:443" for name in STOCK_HOSTS)
MAX_HEAD: Final = 16 * 1024
HEAD_SECONDS: Final = 10
"""How long a client may take to say where it wants to go."""
_CHUNK = 64 * 1024
_ESTABLISHED = b"HTTP/1.1 200 Connection Established\r\n\r\n"
_UNREACHABLE = b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_REASON = f"Only CONNECT to port 443 of {', '.join(STOCK_HOSTS)} is served.\n".encode()
_REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_REASON), _REASON)
)


@contextlib.contextmanager
def lead_to(port: int) -> Iterator[str]:
    """Run the proxy, in a thread of its own, until the block ends.

    Args:
        port: where the emulator listens on the loopback interface.

    Yields:
        The proxy's URL, for `HTTPS_PROXY`.
    """
    tunnel = _Tunnel(port)
    thread = threading.Thread(target=lambda: asyncio.run(tunnel.run()), name="entra-tunnel")
    thread.start()
    try:
        yield tunnel.url()
    finally:
        tunnel.stop()
        thread.join()


class _Tunnel:
    """The listening socket and its connections. `url` and `stop` are for other threads."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listens = threading.Event()
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        try:
            server = await asyncio.start_server(self._accept, HOST, 0, limit=MAX_HEAD)
            self._port = server.sockets[0].getsockname()[1]
            self._listens.set()
            await self._stopped.wait()
            server.close()  # the end of the loop cancels what is still connected
        finally:
            self._listens.set()

    def url(self) -> str:
        """Where the proxy listens; waits until it does."""
        self._listens.wait()
        if not self._port:
            raise RuntimeError("the tunnel did not start")
        return f"http://{HOST}:{self._port}"

    def stop(self) -> None:
        """End the proxy, with all its connections."""
        if self._port:
            self._loop.call_soon_threadsafe(self._stopped.set)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            try:
                if await _wants_stock_host(reader):
                    await self._lead(reader, writer)
                else:
                    await _say(writer, _REFUSED)
            finally:
                writer.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(HOST, self._target)
        except OSError:
            await _say(writer, _UNREACHABLE)
            return
        await _say(writer, _ESTABLISHED)
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))


async def _wants_stock_host(reader: asyncio.StreamReader) -> bool:
    """Read the head of the request; whether it is one that may pass."""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False
    method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    return method == "CONNECT" and rest.partition(" ")[0].lower() in TARGETS


async def _say(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one side ends; that ends the other."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # a connection that broke has ended, too
    finally:
        writer.close()
