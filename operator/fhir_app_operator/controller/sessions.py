"""The HTTP sessions of the watches: trust, sign-in, and what is noted about each request.

Knows nothing of Kopf, which uses them, nor of what is watched.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from types import SimpleNamespace
from typing import Final
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp import TraceRequestEndParams as Ended
from aiohttp import TraceRequestExceptionParams as Failed
from aiohttp import TraceRequestStartParams as Started

from fhir_app_operator import __version__
from fhir_app_operator.api import names
from fhir_app_operator.kube.api_server import Observe
from fhir_app_operator.telemetry.health import Watches

_LONGEST_PAUSE: Final = 10.0
"""Seconds between tries while the API server refuses a token: its successor may be there soon."""
_LATER: Final = frozenset({"watch", "continue"})
"""Query parameters that a listing's first request does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What it takes to reach the API server."""

    server: str
    ca_path: str | None = None
    ca_data: str | None = None
    token: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None

    def tls(self) -> ssl.SSLContext:
        """Return a context with the trusted roots and, if there is one, the client certificate.

        Raises:
            OSError, ssl.SSLError: a file cannot be read.
        """
        context = ssl.create_default_context(cafile=self.ca_path, cadata=self.ca_data)
        if self.certificate_path is not None:
            context.load_cert_chain(self.certificate_path, self.private_key_path)
        return context


LoginSource = Callable[[], Awaitable[Login]]


@dataclass(frozen=True, slots=True)
class Session:
    """A session, and the API server that it is for."""

    server: str
    http: aiohttp.ClientSession


class Sessions:
    """Opens sessions, each with freshly read credentials.

    Args:
        login: reads the current way to the API server.
        watches: told what is asked for and answered.
        observe: told of each answer, for metrics.
        listed: told the path of each listing that was answered, once for all of its chunks.
    """

    def __init__(
        self, login: LoginSource, watches: Watches, observe: Observe,
        listed: Callable[[str], None] = lambda _path: None,
    ) -> None:  # fmt: skip
        self._login = login
        self._watches = watches
        self._observe = observe
        self._listed = listed
        self._opened: list[aiohttp.ClientSession] = []
        self._refused = 0

    async def open(self) -> Session:
        """Return a new session.

        Waits a little if the last one was refused: its token may have ended before its successor
        came, and asking without a pause would load the API server for nothing.
        """
        if self._refused:
            ceiling = min(_LONGEST_PAUSE, 0.5 * 2.0 ** min(self._refused, 10))
            await asyncio.sleep(random.uniform(ceiling / 2, ceiling))  # noqa: S311 - jitter
        login = await self._login()
        headers = {"User-Agent": f"{names.FIELD_MANAGER}/{__version__}"}
        if login.token is not None:
            headers["Authorization"] = f"Bearer {login.token}"
        http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=login.tls()),
            headers=headers,
            trace_configs=[self._trace(urlsplit(login.server))],
        )
        self._opened = [session for session in self._opened if not session.closed] + [http]
        return Session(login.server, http)

    async def close(self) -> None:
        """Close what is still open."""
        for session in self._opened:
            await session.close()

    def _trace(self, server: SplitResult) -> aiohttp.TraceConfig:
        prefix, host = server.path.rstrip("/"), server.netloc

        async def started(_session: object, context: SimpleNamespace, params: Started) -> None:
            context.at = time.monotonic()
            self._watches.tried(params.url.path.removeprefix(prefix))

        async def answered(_session: object, context: SimpleNamespace, params: Ended) -> None:
            status = params.response.status
            self._note(status)
            self._observe(host, params.method, status, time.monotonic() - context.at)
            if status < HTTPStatus.BAD_REQUEST:
                path = params.url.path.removeprefix(prefix)
                self._watches.answered(path)
                if not _LATER.intersection(params.url.query):
                    self._listed(path)

        async def failed(_session: object, context: SimpleNamespace, params: Failed) -> None:
            self._observe(host, params.method, None, time.monotonic() - context.at)

        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(started)
        trace.on_request_end.append(answered)
        trace.on_request_exception.append(failed)
        return trace

    def _note(self, status: int) -> None:
        if status == HTTPStatus.UNAUTHORIZED:
            self._refused += 1
        elif status < HTTPStatus.BAD_REQUEST:
            self._refused = 0
