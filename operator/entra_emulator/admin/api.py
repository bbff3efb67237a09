"""The endpoints of the admin API, by what they set or show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from entra_emulator.admin.faults import MAX_TIMES, fault
from entra_emulator.admin.fields import Body, Refused, flag, number, only, optional, whole, words
from entra_emulator.clock import timestamp
from entra_emulator.directory.contention import Contention
from entra_emulator.directory.directory import Directory
from entra_emulator.directory.federated_credentials import FEDERATED
from entra_emulator.directory.policies import BadPolicy
from entra_emulator.directory.replicas import MAX_LAG, Replica
from entra_emulator.directory.store import Entity, Kind
from entra_emulator.reading import BadJson, BodyTooLarge, read_body, read_object
from entra_emulator.throttling import UNITS, Size
from entra_emulator.world import World

MAX_BODY: Final = 64 * 1024
MAX_ADVANCE: Final = 50 * 366 * 86_400
MAX_LATENCY: Final = 600
MAX_SKEW: Final = 366 * 86_400
MAX_TOKEN: Final = 28 * 3600
MAX_CREDENTIAL: Final = 100 * 366 * 86_400
MAX_ORDER: Final = 1000


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
        Route("/skew", _with_body(api.set_skew), methods=["PUT"]),
        Route("/tokens", _with_body(api.set_tokens), methods=["PUT"]),
        Route("/tokens/revoke", api.revoke_tokens, methods=["POST"]),
        Route("/policies", api.show_policies, methods=["GET"]),
        Route("/policies", _with_body(api.set_policies), methods=["PUT"]),
        Route("/credentials", _with_body(api.set_credentials), methods=["PUT"]),
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
        return JSONResponse([each.as_json() for each in self._world.weather.faults])

    def add_fault(self, body: Body) -> Response:
        added = fault(body)
        self._world.weather.add(added)
        return JSONResponse(added.as_json(), 201)

    async def clear_faults(self, _request: Request) -> Response:
        self._world.weather.faults.clear()
        return Response(status_code=204)

    def set_lag(self, body: Body) -> Response:
        """How far the lagging replica and the sign-in service are behind, and whose turn it is."""
        only(body, {"seconds", "signInSeconds", "order", "seed"})
        replicas, most = self._world.directory.store.replicas, MAX_LAG.total_seconds()
        seconds, sign_in = number(body, "seconds", most), optional(body, "signInSeconds", most)
        order, seed = _order(body), whole(body, "seed", 0, MAX_TIMES)
        if order and seed is not None:
            raise Refused("order or seed: give one of them")
        replicas.lag = timedelta(seconds=seconds)
        replicas.sign_in_lag = None if sign_in is None else timedelta(seconds=sign_in)
        if seed is None:
            replicas.serve_in_order(order)
        else:
            replicas.serve_at_random(seed)
        return JSONResponse(body)

    def set_skew(self, body: Body) -> Response:
        """What the `Date` of answers is ahead of the emulator's time."""
        only(body, {"seconds"})
        seconds = number(body, "seconds", MAX_SKEW, least=-MAX_SKEW)
        self._world.weather.skew = timedelta(seconds=seconds)
        return JSONResponse({"seconds": seconds})

    def set_tokens(self, body: Body) -> Response:
        only(body, {"lifetimeSeconds"})
        lifetime = whole(body, "lifetimeSeconds", 1, MAX_TOKEN)
        if lifetime is None:
            raise Refused(f"lifetimeSeconds must be a whole number from 1 to {MAX_TOKEN}")
        self._world.tokens.lifetime = lifetime
        return JSONResponse({"lifetimeSeconds": lifetime})

    async def revoke_tokens(self, _request: Request) -> Response:
        self._world.tokens.revoke()
        return Response(status_code=204)

    async def show_policies(self, _request: Request) -> Response:
        return JSONResponse(self._world.directory.policies.configuration)

    def set_policies(self, body: Body) -> Response:
        """The restrictions of the tenant's default policy: an `appManagementConfiguration`."""
        policies = self._world.directory.policies
        try:
            policies.set(body)
        except BadPolicy as error:
            raise Refused(str(error)) from error
        return JSONResponse(policies.configuration)

    def set_credentials(self, body: Body) -> Response:
        """What passwords get at most, and how far apart credential writes must be."""
        only(body, {"maxSeconds", "spacingSeconds", "spacingStatus"})
        granted = optional(body, "maxSeconds", MAX_CREDENTIAL)
        spacing = optional(body, "spacingSeconds", MAX_LAG.total_seconds()) or 0
        status = whole(body, "spacingStatus", 400, 599) or 409
        directory = self._world.directory
        directory.policies.granted_lifetime = timedelta(seconds=granted) if granted else None
        directory.contention = Contention(timedelta(seconds=spacing), status)
        return JSONResponse(body)

    def set_latency(self, body: Body) -> Response:
        only(body, {"seconds"})
        self._world.weather.latency = number(body, "seconds", MAX_LATENCY)
        return JSONResponse({"seconds": self._world.weather.latency})

    async def show_throttling(self, _request: Request) -> Response:
        return JSONResponse(self._world.quotas.as_json())

    def set_throttling(self, body: Body) -> Response:
        only(body, {"enabled", "size"})
        if "enabled" not in body:
            raise Refused("enabled must be true or false")
        self._world.quotas.set(enabled=flag(body, "enabled"), size=_size(body))
        return JSONResponse(self._world.quotas.as_json())

    def advance(self, body: Body) -> Response:
        only(body, {"advanceSeconds"})
        seconds = number(body, "advanceSeconds", MAX_ADVANCE)
        try:
            self._world.clock.advance(timedelta(seconds=seconds))
        except OverflowError as error:
            raise Refused("advanceSeconds leads beyond the calendar") from error
        return JSONResponse({"now": timestamp(self._world.clock.now())})

    def set_issuer(self, body: Body) -> Response:
        """Give the key of an issuer of tokens, which Entra would fetch from the issuer."""
        only(body, {"issuer", "publicKey"})
        issuer, pem = body.get("issuer"), body.get("publicKey")
        if not isinstance(issuer, str) or not issuer:
            raise Refused("issuer must be a text")
        try:
            load_pem_public_key(str(pem).encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Refused("publicKey must be a public key in PEM") from error
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
        except Refused as error:
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
    raise Refused(f"size must be one of {', '.join(UNITS)}")


def _order(body: Body) -> list[Replica]:
    order = words(body, "order", MAX_ORDER)
    if any(word not in set(Replica) for word in order):
        raise Refused(f"order must name the replicas {', '.join(Replica)}")
    return [Replica(word) for word in order]


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
