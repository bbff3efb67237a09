"""A pool of HTTP/1.1 connections whose cost does not grow with their number.

httpcore's own pool polls every connection for every request, and closes idle ones as soon as more
than `max_keepalive_connections` are open at all, so that a wave of calls pays for a TLS handshake
each. Here each connection is a pool of one; the one used last is used next. Knows nothing of Graph.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

import httpx
from typing_extensions import override

IDLE_SECONDS: Final = 4.0
"""How long an unused connection stays open: less than the 5 seconds after which many servers close
theirs. A request that meets that is lost, and an `addPassword` cannot be sent again."""

_ONE: Final = httpx.Limits(
    max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_SECONDS
)


@dataclass(frozen=True, slots=True)
class _Idle:
    transport: httpx.AsyncBaseTransport
    since: float


class Pool(httpx.AsyncBaseTransport):
    """At most `size` requests at once; further ones wait as long as the pool's time-out says.

    Args:
        connect: makes the transport of one connection; gets its limits.
        size: how many connections there may be.
    """

    def __init__(
        self, connect: Callable[[httpx.Limits], httpx.AsyncBaseTransport], size: int
    ) -> None:
        self._connect = connect
        self._turns = asyncio.Semaphore(size)
        self._idle: deque[_Idle] = deque()
        self._closed = False

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` over the connection that was used last, or over a new one.

        Raises:
            httpx.HTTPError: as httpx's own transport does.
        """
        await self._turn(request)
        transport = self._idle.pop().transport if self._idle else self._connect(_ONE)
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await self._release(transport)
            raise
        body = _Body(cast("httpx.AsyncByteStream", response.stream),
                     lambda: self._release(transport))  # fmt: skip
        return httpx.Response(
            response.status_code, headers=response.headers, stream=body,
            extensions=response.extensions,
        )  # fmt: skip

    async def _turn(self, request: httpx.Request) -> None:
        patience = request.extensions.get("timeout", {}).get("pool")
        try:
            async with asyncio.timeout(patience):
                await self._turns.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("every connection is in use", request=request) from None

    async def _release(self, transport: httpx.AsyncBaseTransport) -> None:
        self._turns.release()
        if self._closed:
            await transport.aclose()
            return
        now = asyncio.get_running_loop().time()
        self._idle.append(_Idle(transport, now))
        # Others take connections while one is being closed: even the one that was put back here.
        while self._idle and now - self._idle[0].since > IDLE_SECONDS:
            # Whose answer is complete must not pay for another connection's end.
            with suppress(Exception):
                await self._idle.popleft().transport.aclose()

    @override
    async def aclose(self) -> None:
        """Close the idle connections now, those in use with their answers."""
        self._closed = True
        while self._idle:
            await self._idle.pop().transport.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer; its connection is free once it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, release: Callable[[], Awaitable[None]]) -> None:
        self._body = body
        self._release: Callable[[], Awaitable[None]] | None = release

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        async for chunk in self._body:
            yield chunk

    @override
    async def aclose(self) -> None:
        """End the answer, read or not."""
        release, self._release = self._release, None
        try:
            await self._body.aclose()
        finally:
            if release is not None:
                await release()
