"""The way of a request: latency, faults, the handler, the log.

An ASGI application around the one that answers. Answers are collected before they are sent, so
that a fault can take the place of one after its effect.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entra_emulator import spoiling
from entra_emulator.directory.errors import GraphError, concurrency_violation
from entra_emulator.graph import endpoint
from entra_emulator.journal import Entry
from entra_emulator.signin.endpoints import refusal_of_fault
from entra_emulator.spoiling import Step
from entra_emulator.weather import ConnectionDropped, Fault
from entra_emulator.world import World

ABORT: Final = "entra_emulator.abort"
"""Member of an ASGI scope: a function that cuts the connection. Absent in process."""
SPOILT: Final = "entra_emulator.spoilt"
"""Member of an ASGI scope: the answer is not one that Graph would give."""
ADMIN: Final = "/_emulator"
_CODES: Final = {
    401: "InvalidAuthenticationToken",
    403: "Authorization_RequestDenied",
    404: "Request_ResourceNotFound",
    409: "Directory_ConcurrencyViolation",
    429: "TooManyRequests",
    500: "Service_InternalServerError",
    503: "ServiceUnavailable",
}
_MESSAGE: Final = "The service did not complete the request."


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
        if fault is None or fault.lets_effect:
            await self._inner(scope, receive, _collector(answer))
        if fault is not None and fault.status is not None:
            answer = await self._refuse(fault, fault.status, scope, receive)
        elif fault is not None:
            scope[SPOILT] = True
        silent = fault is not None and (fault.drop or fault.hang)
        self._world.journal.write(
            Entry(
                started,
                scope["method"],
                path,
                scope["query_string"].decode("latin-1"),
                None if silent else answer[0]["status"],
                scope["state"].get("caller"),
            )
        )
        await self._deliver(_steps(fault, answer), scope, receive, send)

    async def _deliver(
        self, steps: Iterator[Step], scope: Scope, receive: Receive, send: Send
    ) -> None:
        for pause, message in steps:
            if pause > 0 and await _is_gone(receive, pause):
                return
            if message is None:
                await _cut(scope, receive)
                return
            await send(self._dated(message))

    def _dated(self, message: Message) -> Message:
        """Every answer tells the emulator's time, not the computer's, as far as it is skewed."""
        if message["type"] != "http.response.start":
            return message
        date = format_datetime(self._told_time(), usegmt=True).encode()
        return {**message, "headers": [*message["headers"], (b"date", date)]}

    def _told_time(self) -> datetime:
        now = self._world.clock.now()
        try:
            return now + self._world.weather.skew
        except OverflowError:  # the calendar ends
            return now

    async def _refuse(
        self, fault: Fault, status: int, scope: Scope, receive: Receive
    ) -> list[Message]:
        response: Response
        if "/oauth2/" in scope["path"]:
            response = refusal_of_fault(self._world, status, fault.code)
        else:
            code = fault.code or _CODES.get(status, "UnknownError")
            error = GraphError(status, code, _MESSAGE)
            if code == _CODES[409]:
                error = concurrency_violation(status)
            response = endpoint.refusal(self._world, Request(scope, receive), error)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        messages: list[Message] = []
        await response(scope, receive, _collector(messages))
        return messages


def _steps(fault: Fault | None, answer: list[Message]) -> Iterator[Step]:
    if fault is None or fault.status is not None:
        return spoiling.sent(answer)
    if fault.hang:
        return spoiling.silence()
    if fault.answer is None:
        return spoiling.cut()
    return spoiling.spoilt(fault.answer, answer, fault.members, fault.seconds)


def _collector(messages: list[Message]) -> Send:
    async def send(message: Message) -> None:
        messages.append(message)

    return send


async def _is_gone(receive: Receive, seconds: float) -> bool:
    """Wait for `seconds`; True at once if the client closes the connection before."""
    try:
        async with asyncio.timeout(None if math.isinf(seconds) else seconds):
            await _until_gone(receive)
    except TimeoutError:
        return False
    return True


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(scope: Scope, receive: Receive) -> None:
    """End the connection."""
    abort: Callable[[], Any] | None = scope.get(ABORT)
    if abort is None:
        raise ConnectionDropped(f"no answer to {scope['method']} {scope['path']}")
    abort()
    await _until_gone(receive)
