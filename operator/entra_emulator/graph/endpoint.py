"""HTTP of Graph: a request becomes a call, an answer becomes a response with Graph's headers.

Headers and envelopes follow recorded answers of the real service and the page "Microsoft Graph
error responses and resource types".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from entra_emulator.clock import timestamp
from entra_emulator.constants import GRAPH_APP_ID
from entra_emulator.directory import deleted_items
from entra_emulator.directory.errors import GraphError, bad_request, denied
from entra_emulator.graph import access, options, paths
from entra_emulator.graph.calls import Answer, Call, Caller, Route, route_of
from entra_emulator.graph.surface import ROUTES
from entra_emulator.reading import BadJson, BodyTooLarge, read_body, read_object
from entra_emulator.throttling import TELLING, Refusal
from entra_emulator.world import World

MAX_BODY: Final = 4 * 1024 * 1024
_TOP_DISCOUNT: Final = 20
_REQUEST_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")
_SERVER = {
    "ServerInfo": {
        "DataCenter": "West Europe",
        "Slice": "E",
        "Ring": "5",
        "ScaleUnit": "001",
        "RoleInstance": "AM2PEPF00000001",
    }
}


async def serve(world: World, request: Request) -> Response:
    """The response to a Graph request."""
    world = world.seen_at(request.headers.get("host"))
    try:
        answer = await _answer(world, request)
    except _Throttled as throttled:
        return _throttling(world, request, throttled.refusal)
    except GraphError as error:
        return refusal(world, request, error)
    return _success(request, answer)


async def _answer(world: World, request: Request) -> Answer:
    raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    path = paths.tokens(raw_path)
    caller = access.caller_of(world, request.headers.get("authorization"))
    request.state.caller = caller.app_id
    route, keys = route_of(ROUTES, request.method, path)
    _charge(world, request, caller, _units(route, request))
    if not route.allows(caller.permissions):
        raise denied()
    eventual = request.headers.get("consistencylevel", "").lower() == "eventual"
    call = Call(
        world=world,
        caller=caller,
        route=route,
        keys=keys,
        options=options.read(request.scope["query_string"], is_eventual=eventual),
        body=await _body(request),
        creates_if_missing=_prefers(request, "create-if-missing"),
        path=request.scope["path"],
    )
    deleted_items.purge_expired(world.directory)
    world.directory.store.replicas.turn()
    return route.handler(call)


class _Throttled(Exception):
    """The caller has spent a quota."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def _charge(world: World, request: Request, caller: Caller, units: int) -> None:
    """Take the request from the caller's quotas; what it came to is kept for the headers."""
    charge = world.quotas.charge(
        caller.app_id,
        world.directory.tenant_id,
        units,
        is_write=request.method != "GET",
        now=world.clock.now(),
    )
    request.state.units, request.state.use = units, charge.use
    if charge.refusal is not None:
        raise _Throttled(charge.refusal)


def _throttling(world: World, request: Request, why: Refusal) -> Response:
    error = GraphError(429, "TooManyRequests", "Please retry again later.")
    response = refusal(world, request, error, why.retry_after)
    response.headers["x-ms-throttle-scope"] = why.scope
    response.headers["x-ms-throttle-information"] = why.reason
    return response


async def _body(request: Request) -> Mapping[str, Any]:
    if request.method not in {"POST", "PATCH", "PUT"}:
        return {}
    try:
        raw = await read_body(request, MAX_BODY)
    except BodyTooLarge as error:
        message = "The request body is too large."
        raise GraphError(413, "RequestBodyTooLarge", message) from error
    if not raw.strip() and request.method == "POST":
        return {}
    try:
        return read_object(raw)
    except BadJson as error:
        raise bad_request(
            "Unable to read JSON request payload. Please ensure Content-Type header is set and "
            "payload is of valid JSON format.",
            code="BadRequest",
        ) from error


def _prefers(request: Request, wanted: str) -> bool:
    values = ",".join(request.headers.getlist("prefer"))
    return wanted in {value.strip().lower() for value in values.split(",")}


def _success(request: Request, answer: Answer) -> Response:
    headers = _common(request) | {"OData-Version": "4.0"}
    if answer.location is not None:
        headers["Location"] = answer.location
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    bare = "odata.metadata=none" in request.headers.get("accept", "").lower()
    level = "none" if bare else "minimal"
    headers["Content-Type"] = (
        f"application/json;odata.metadata={level};odata.streaming=true;"
        "IEEE754Compatible=false;charset=utf-8"
    )
    body = _without_annotations(answer.body) if bare else answer.body
    return Response(_json(body), answer.status, headers)


def refusal(
    world: World, request: Request, error: GraphError, retry_after: int | None = None
) -> Response:
    """The response that tells of an error; `retry_after` in seconds."""
    headers = _common(request) | {"Content-Type": "application/json"}
    if error.status == 401:  # noqa: PLR2004 - the HTTP status
        headers["WWW-Authenticate"] = (
            f'Bearer realm="", authorization_uri="{world.origin}/common/oauth2/authorize", '
            f'client_id="{GRAPH_APP_ID}"{access.challenge(world, error)}'
        )
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    shown: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.details:
        shown["details"] = [
            {"code": detail.code, "message": detail.message, "target": detail.target}
            for detail in error.details
        ]
    shown["innerError"] = {
        "date": timestamp(world.clock.now()).rstrip("Z"),
        "request-id": headers["request-id"],
        "client-request-id": headers["client-request-id"],
    }
    return Response(_json({"error": shown}), error.status, headers)


def _common(request: Request) -> dict[str, str]:
    request_id = str(uuid4())
    given = request.headers.get("client-request-id", "")
    use = getattr(request.state, "use", 0)
    told = {"x-ms-throttle-limit-percentage": f"{use:.2f}"} if use >= TELLING else {}
    return {
        "Cache-Control": "no-cache",
        "Strict-Transport-Security": "max-age=31536000",
        "request-id": request_id,
        "client-request-id": given if _REQUEST_ID.fullmatch(given) else request_id,
        "x-ms-ags-diagnostic": json.dumps(_SERVER, separators=(",", ":")),
        "x-ms-resource-unit": str(getattr(request.state, "units", 1)),
        **told,
    }


def _units(route: Route, request: Request) -> int:
    """The resource units of the request: `$select` and small pages make it cheaper."""
    units = route.units
    query = {name.lower(): value for name, value in request.query_params.items()}
    if "$select" in query:
        units -= 1
    if "$expand" in query:
        units += 1
    top = query.get("$top", "")
    if top.isdecimal() and int(top[:9]) < _TOP_DISCOUNT:
        units -= 1
    return max(units, 1)


def _without_annotations(value: Any) -> Any:
    """`value` without the control information that `odata.metadata=none` leaves out."""
    if isinstance(value, Mapping):
        return {
            name: _without_annotations(item)
            for name, item in value.items()
            if name in {"@odata.nextLink", "@odata.count"} or "@odata." not in name
        }
    if isinstance(value, list):
        return [_without_annotations(item) for item in value]
    return value


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
