"""The way of a request: latency, faults, the handler, the log.

An ASGI application around the one that answers. Answers are collected before they are sent, so
that a fault can take the place of one after its effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entra_emulator.directory.errors import GraphError
from entra_emulator.graph import endpoint
from entra_emulator.journal import Entry
from entra_emulator.signin.endpoints import refusal_of_fault
from entra_emulator.weather import ConnectionDropped, Fault
from entra_emulator.world import World

ABORT: Final = "entra_emulator.abort"
"""Member of an ASGI scope: a function that cuts the connection. Absent in process."""
ADMIN: Final = "/_emulator"
_CODES: Final = {
    429: "TooManyRequests",
    500: "Service_InternalServerError",
    502: "UnknownError",
    503: "ServiceUnavailable",
    504: "UnknownError",
}


class Exchange:
    """`inner` with the weather of `world`. Requests to the admin API pass untouched."""

    def __init__(self, world: World, inner: ASGIApp) -> None:
        self._world = world
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path == ADMIN or path.startswith(f"{ADMIN}/"):
            await self._inner(scope, receive, send)
            return
        if self._world.weather.latency > 0:
            await asyncio.sleep(self._world.weather.latency)
        started = self._world.clock.now()
        scope["state"] = {**scope.get("state", {})}
        fault = self._world.weather.strike(scope["method"], path)
        answer: list[Message] = []
        if fault is None or fault.when == "after":
            await self._inner(scope, receive, _collector(answer))
        if fault is not None:
            answer = [] if fault.drop else await self._refuse(fault, scope, receive)
        status = answer[0]["status"] if answer else None
        self._world.journal.write(
            Entry(
                started,
                scope["method"],
                path,
                scope["query_string"].decode("latin-1"),
                status,
                scope["state"].get("caller"),
            )
        )
        if not answer:
            await _cut(scope, receive)
        for message in answer:
            await send(self._dated(message))

    def _dated(self, message: Message) -> Message:
        """Every answer tells the emulator's time, not the computer's."""
        if message["type"] != "http.response.start":
            return message
        date = format_datetime(self._world.clock.now(), usegmt=True).encode()
        return {**message, "headers": [*message["headers"], (b"date", date)]}

    async def _refuse(self, fault: Fault, scope: Scope, receive: Receive) -> list[Message]:
        status = fault.status or 503
        response: Response
        if "/oauth2/" in scope["path"]:
            response = refusal_of_fault(self._world, status, fault.code)
            if fault.retry_after is not None:
                response.headers["Retry-After"] = str(fault.retry_after)
        else:
            code = fault.code or _CODES.get(status, "UnknownError")
            error = GraphError(status, code, "The service did not complete the request.")
            request = Request(scope, receive)
            response = endpoint.refusal(self._world, request, error, fault.retry_after)
        messages: list[Message] = []
        await response(scope, receive, _collector(messages))
        return messages


def _collector(messages: list[Message]) -> Send:
    async def send(message: Message) -> None:
        messages.append(message)

    return send


async def _cut(scope: Scope, receive: Receive) -> None:
    """End the connection without an answer."""
    abort: Callable[[], Any] | None = scope.get(ABORT)
    if abort is None:
        raise ConnectionDropped(f"no answer to {scope['method']} {scope['path']}")
    abort()
    while (await receive())["type"] != "http.disconnect":
        pass
