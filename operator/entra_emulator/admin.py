"""The emulator's own API under `/_emulator`: faults, quotas, clock, lag, issuers, log, objects.

For tests and demonstrations; it has no counterpart in the cloud and is off unless asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from entra_emulator.clock import timestamp
from entra_emulator.directory.directory import Directory
from entra_emulator.directory.federated_credentials import FEDERATED
from entra_emulator.directory.store import MAX_LAG, Entity, Kind
from entra_emulator.reading import BadJson, BodyTooLarge, read_body, read_object
from entra_emulator.throttling import UNITS, Size
from entra_emulator.weather import Fault
from entra_emulator.world import World

MAX_BODY: Final = 64 * 1024
MAX_ADVANCE: Final = 50 * 366 * 86_400
MAX_LATENCY: Final = 600
_METHODS: Final = frozenset({"*", "GET", "POST", "PUT", "PATCH", "DELETE"})
_FAULT_MEMBERS: Final = frozenset(
    {"method", "path", "times", "when", "status", "code", "retryAfter", "drop"}
)

Body = Mapping[str, Any]


class _Refused(Exception):
    """The request is wrong; the text names the field."""


def routes(world: World) -> list[Route]:
    """The endpoints below `/_emulator`."""
    api = _Api(world)
    return [
        Route("/requests", api.list_requests, methods=["GET"]),
        Route("/requests", api.clear_requests, methods=["DELETE"]),
        Route("/faults", api.list_faults, methods=["GET"]),
        Route("/faults", _with_body(api.add_fault), methods=["POST"]),
        Route("/faults", api.clear_faults, methods=["DELETE"]),
        Route("/lag", _with_body(api.set_lag), methods=["PUT"]),
        Route("/latency", _with_body(api.set_latency), methods=["PUT"]),
        Route("/throttling", api.show_throttling, methods=["GET"]),
        Route("/throttling", _with_body(api.set_throttling), methods=["PUT"]),
        Route("/clock", _with_body(api.advance), methods=["POST"]),
        Route("/issuers", _with_body(api.set_issuer), methods=["PUT"]),
        Route("/objects", api.objects, methods=["GET"]),
        Route("/reset", api.reset, methods=["POST"]),
    ]


class _Api:
    def __init__(self, world: World) -> None:
        self._world = world

    async def list_requests(self, _request: Request) -> Response:
        return JSONResponse([entry.as_json() for entry in self._world.journal])

    async def clear_requests(self, _request: Request) -> Response:
        self._world.journal.clear()
        return Response(status_code=204)

    async def list_faults(self, _request: Request) -> Response:
        return JSONResponse([fault.as_json() for fault in self._world.weather.faults])

    def add_fault(self, body: Body) -> Response:
        fault = _fault(body)
        self._world.weather.add(fault)
        return JSONResponse(fault.as_json(), 201)

    async def clear_faults(self, _request: Request) -> Response:
        self._world.weather.faults.clear()
        return Response(status_code=204)

    def set_lag(self, body: Body) -> Response:
        _only(body, {"seconds"})
        seconds = _number(body, "seconds", MAX_LAG.total_seconds())
        self._world.directory.store.lag = timedelta(seconds=seconds)
        return JSONResponse({"seconds": seconds})

    def set_latency(self, body: Body) -> Response:
        _only(body, {"seconds"})
        self._world.weather.latency = _number(body, "seconds", MAX_LATENCY)
        return JSONResponse({"seconds": self._world.weather.latency})

    async def show_throttling(self, _request: Request) -> Response:
        return JSONResponse(self._world.quotas.as_json())

    def set_throttling(self, body: Body) -> Response:
        _only(body, {"enabled", "size"})
        enabled = body.get("enabled")
        if not isinstance(enabled, bool):
            raise _Refused("enabled must be true or false")
        self._world.quotas.set(enabled=enabled, size=_size(body))
        return JSONResponse(self._world.quotas.as_json())

    def advance(self, body: Body) -> Response:
        _only(body, {"advanceSeconds"})
        seconds = _number(body, "advanceSeconds", MAX_ADVANCE)
        try:
            self._world.clock.advance(timedelta(seconds=seconds))
        except OverflowError as error:
            raise _Refused("advanceSeconds leads beyond the calendar") from error
        return JSONResponse({"now": timestamp(self._world.clock.now())})

    def set_issuer(self, body: Body) -> Response:
        """Give the key of an issuer of tokens, which Entra would fetch from the issuer."""
        _only(body, {"issuer", "publicKey"})
        issuer, pem = body.get("issuer"), body.get("publicKey")
        if not isinstance(issuer, str) or not issuer:
            raise _Refused("issuer must be a text")
        try:
            load_pem_public_key(str(pem).encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _Refused("publicKey must be a public key in PEM") from error
        self._world.directory.issuer_keys[issuer] = str(pem)
        return JSONResponse({"issuer": issuer})

    async def objects(self, _request: Request) -> Response:
        return JSONResponse(_objects(self._world.directory))

    async def reset(self, _request: Request) -> Response:
        self._world.reset()
        return Response(status_code=204)


def _with_body(handler: Callable[[Body], Response]) -> Callable[[Request], Any]:
    """An endpoint whose JSON body is read; what is wrong with it is answered with 400."""

    async def endpoint(request: Request) -> Response:
        try:
            return handler(read_object(await read_body(request, MAX_BODY)))
        except _Refused as error:
            return JSONResponse({"error": str(error)}, 400)
        except BadJson:
            return JSONResponse({"error": "the body must be a JSON object"}, 400)
        except BodyTooLarge:
            return JSONResponse({"error": f"the body has more than {MAX_BODY} bytes"}, 413)

    return endpoint


def _size(body: Body) -> Size:
    size = body.get("size", "S")
    for known in UNITS:
        if size == known:
            return known
    raise _Refused(f"size must be one of {', '.join(UNITS)}")


def _fault(body: Body) -> Fault:
    _only(body, _FAULT_MEMBERS)
    drop = body.get("drop", False)
    if not isinstance(drop, bool):
        raise _Refused("drop must be true or false")
    status = _whole(body, "status", 400, 599)
    if drop == (status is not None):
        raise _Refused("status or drop: give exactly one of them")
    code = body.get("code")
    if code is not None and (not isinstance(code, str) or not code):
        raise _Refused("code must be a text")
    return Fault(
        path=_pattern(body),
        method=_method(body),
        times=_whole(body, "times", 1, 1_000_000) or 1,
        when=_when(body),
        status=status,
        code=code,
        retry_after=_whole(body, "retryAfter", 0, 86_400),
        drop=drop,
    )


def _pattern(body: Body) -> re.Pattern[str]:
    path = body.get("path")
    if not isinstance(path, str):
        raise _Refused("path must be a regular expression")
    try:
        return re.compile(path)
    except (re.error, RecursionError, OverflowError) as error:
        raise _Refused(f"path is no regular expression: {error}") from error


def _method(body: Body) -> str:
    method = body.get("method", "*")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise _Refused(f"method must be one of {', '.join(sorted(_METHODS))}")
    return method.upper()


def _when(body: Body) -> Literal["before", "after"]:
    when = body.get("when", "before")
    if when == "before":
        return "before"
    if when == "after":
        return "after"
    raise _Refused("when must be before or after")


def _whole(body: Body, name: str, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _Refused(f"{name} must be a whole number from {least} to {most}")
    return value


def _number(body: Body, name: str, most: float) -> float:
    value = body.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not 0 <= value <= most
    ):
        raise _Refused(f"{name} must be a number from 0 to {most:g}")
    return value


def _only(body: Body, members: frozenset[str] | set[str]) -> None:
    for name in body:
        if name not in members:
            raise _Refused(f"{name} is not known; known are {', '.join(sorted(members))}")


def _objects(directory: Directory) -> dict[str, Any]:
    """The primary copy, sorted by what a reader looks for. No secret is stored in any of it."""

    def shown(kind: Kind) -> list[Any]:
        return [_object(directory, entity) for entity in directory.store.all(kind)]

    everything = [*shown(Kind.APPLICATION), *shown(Kind.SERVICE_PRINCIPAL)]
    return {
        "applications": _not_deleted(shown(Kind.APPLICATION)),
        "servicePrincipals": _not_deleted(shown(Kind.SERVICE_PRINCIPAL)),
        "deleted": [item for item in everything if item["deletedDateTime"] is not None],
        "grants": shown(Kind.GRANT),
        "assignments": shown(Kind.ASSIGNMENT),
    }


def _not_deleted(items: list[Any]) -> list[Any]:
    return [item for item in items if item["deletedDateTime"] is None]


def _object(directory: Directory, entity: Entity) -> dict[str, Any]:
    shown = {**directory.primary_view(entity), "owners": list(entity.owners)}
    if entity.kind is Kind.APPLICATION:
        shown[FEDERATED] = entity.document[FEDERATED]
    return shown
