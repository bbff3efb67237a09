"""The emulator on a TLS socket of the loopback interface, in a thread of its own.

uvicorn with a throw-away certificate authority. The leaf carries the names of the real service
too, so that a proxy can lead stock clients here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import trustme
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from entra_emulator.constants import STOCK_HOSTS
from entra_emulator.emulator import Emulator
from entra_emulator.exchange import ABORT

HOST: Final = "127.0.0.1"
NAMES: Final = ("localhost", HOST, "::1", *STOCK_HOSTS)
STOP_SECONDS: Final = 1
_START_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Running:
    """An emulator that listens at `origin`, with a certificate of the authority `ca_pem`."""

    emulator: Emulator
    origin: str
    ca_pem: bytes

    @property
    def port(self) -> int:
        """The port of the loopback interface."""
        return int(self.origin.rpartition(":")[2])


@contextlib.contextmanager
def serve(emulator: Emulator | Mapping[str, Any], *, port: int = 0) -> Iterator[Running]:
    """Serve an emulator, or one made from these arguments, until the block ends.

    Its origin becomes `https://localhost:<port>`; port 0 takes a free one. OSError if the port is
    taken. The state is touched by the server's thread only: look at it from outside when no
    request is under way.
    """
    made = emulator if isinstance(emulator, Emulator) else Emulator(**emulator)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        made.origin = f"https://localhost:{listener.getsockname()[1]}"
        authority = trustme.CA()
        app = _Abortable(made.app)
        server = _server(app, _tls(authority))
        thread = threading.Thread(
            target=lambda: asyncio.run(_run(server, listener, app)), name="entra-emulator"
        )
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield Running(made, made.origin, authority.cert_pem.bytes())
        finally:
            server.should_exit = True
            thread.join()


def _tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    return context


def _server(app: _Abortable, tls: ssl.SSLContext) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=app.protocol(),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ssl_context_factory=lambda _config, _default: tls,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_worth_telling)
    return uvicorn.Server(config)


async def _run(server: uvicorn.Server, listener: socket.socket, app: _Abortable) -> None:
    await server.serve(sockets=[listener])
    await app.abort_all()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    waited = threading.Event()
    for _ in range(_START_SECONDS * 100):
        if server.started:
            return
        if not thread.is_alive():
            break
        waited.wait(0.01)
    raise RuntimeError("the emulator did not start")


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Nothing below a warning, and not that stopping cancelled a request."""
    return record.levelno >= logging.WARNING and "graceful shutdown" not in record.getMessage()


class _Abortable:
    """`inner`, which finds in the scope of each request how to cut its connection."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner
        self._transports: dict[Any, asyncio.Transport] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = self._transports.get(scope.get("client"))
        if transport is not None:
            scope[ABORT] = transport.abort
        await self._inner(scope, receive, send)

    async def abort_all(self) -> None:
        """Cut what is still open: clients that do not answer the end of TLS would hold on to it."""
        while self._transports:
            for transport in list(self._transports.values()):
                transport.abort()
            await asyncio.sleep(0)

    def protocol(self) -> type[asyncio.Protocol]:
        """An HTTP protocol class that enters its connections here."""
        transports = self._transports

        class Protocol(H11Protocol):
            @override
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                transports[self.client] = transport

            @override
            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.client, None)
                super().connection_lost(exc)

        return Protocol
