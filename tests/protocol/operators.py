"""One life of the operator: the product's own parts, put together around the counted point.

Kopf's place is taken by the in-memory API server's news, which reach the product's triggers as a
watch would bring them: a listing first, then every change.
"""

import asyncio
import contextlib
import math
from datetime import timedelta

import aiohttp

from fhir_app_operator.controller.connections import Connections, OperatorIdentity
from fhir_app_operator.controller.fence import Fence
from fhir_app_operator.controller.loop import build_loop
from fhir_app_operator.controller.world import World
from fhir_app_operator.kube.api_server import Gone, Request, consequence, unanswered
from fhir_app_operator.kube.config_maps import ConfigMaps
from fhir_app_operator.kube.events import Events
from fhir_app_operator.kube.namespaces import Namespaces
from fhir_app_operator.kube.registrations import Registrations
from fhir_app_operator.kube.secrets import Secrets
from fhir_app_operator.kube.token_issuer import TokenIssuers
from fhir_app_operator.planning.model import Policy
from fhir_app_operator.telemetry.metrics import Metrics
from tests.protocol.calls import Answered, Babble, Babbled, Call, NoAnswer, Process
from tests.protocol.cloud import LATENCY, make_key_pair, open_pools

RESYNC = timedelta(hours=24)
_WATCH_DELAY = 0.02


class ApiServerGateway:
    """What `kube.api_server.ApiServer` is to the product, with the server in memory."""

    def __init__(self, server, calls, process, fence=lambda: None):
        self._server = server
        self._calls = calls
        self._process = process
        self._fence = fence

    async def get(self, path, what, query=()):
        try:
            return await self.send(Request(method="GET", path=path, what=what, query=query))
        except Gone:
            return None

    async def send(self, request):
        writes = request.method != "GET" and ("dryRun", "All") not in request.query
        if request.method != "GET":
            self._fence()
        await asyncio.sleep(LATENCY)
        call = Call("kube", request.method, request.path, writes, request)
        try:
            status, body = self._calls.take(
                self._process, call, lambda: self._server.handle(request)
            )
        except NoAnswer:
            raise unanswered(request, "TimeoutError") from None
        except Answered as answered:
            status, body = answered.status, {}
        except Babbled as babbled:
            status, body = _babble(request, babbled)
        if status < 300:
            return body
        raise consequence(request, status, body)


def _babble(request, babbled):
    """Raise or return what quotes a request with its body, and the answer to it."""
    text = f"{request.method} {request.path} {request.body} {babbled.answer}"
    match babbled.how:
        case Babble.FORESEEN:
            error = unanswered(request, aiohttp.ClientError.__name__)
            # As `kube.api_server` raises it: Python remembers what it came from, and hides it.
            error.__context__, error.__suppress_context__ = aiohttp.ClientError(text), True
            raise error
        case Babble.UNFORESEEN:
            raise RuntimeError(text)
        case Babble.CHAINED:
            raise ValueError(text) from KeyError(text)
    return 422, {"message": text, "reason": "Invalid", "details": {
        "causes": [{"field": "data", "reason": "FieldValueInvalid", "message": text}],
    }}  # fmt: skip


class Operator:
    """A process from its start to its death.

    Args:
        number: tells its lives apart.
        world: the test's world.
        parts: replaces parts of the product, for mutants: see `Parts`.
    """

    def __init__(self, number, world, parts):
        self.process = Process(number)
        self._server = world.kube
        self._clock = world.clock
        self.fence = Fence(lambda: world.clock.loop.now)
        api = parts.api(ApiServerGateway(world.kube, world.calls, self.process, self.fence.check))
        secrets = parts.secrets(Secrets(api))
        clock = world.clock.now
        connections = Connections(
            OperatorIdentity(namespace="fhir-app-operator"), secrets, clock,
            open_pools=open_pools(world.cloud, world.calls, self.process), fence=self.fence.check,
        )  # fmt: skip
        product = World(
            registrations=parts.registrations(Registrations(api)),
            secrets=secrets,
            config_maps=ConfigMaps(api),
            namespaces=Namespaces(api),
            connections=parts.connections(connections),
            events=Events(api, clock, f"operator-{number}"),
            token_issuers=TokenIssuers(api, clock),
            cluster_id="cluster",
            clock=clock,
            sleep=asyncio.sleep,
            nonce=world.nonce,
            make_key_pair=make_key_pair,
            policy=parts.policy,
            snapshot_age=RESYNC / 4,
        )
        self.metrics = Metrics()
        self._queue, self._triggers = build_loop(
            product, self.metrics, workers=2, resync=RESYNC, bound=timedelta(minutes=5)
        )

    def lead(self):
        """Lead, without an election."""
        self.fence.open_until(math.inf)
        self._triggers.lead()

    def start(self):
        self._queue.start()
        self.lead()
        for place, body in list(self._server.objects.items()):
            self._hear(None, place, body)
        self._server.watchers.append(self._watch)

    async def stop(self):
        """Take away what is left of a dead process, or end a living one as SIGKILL would."""
        self.process.alive = False
        with contextlib.suppress(ValueError):
            self._server.watchers.remove(self._watch)
        await self._queue.drain(0.0)

    def _watch(self, kind, place, body):
        self._clock.loop.call_later(_WATCH_DELAY, self._hear, kind, place, body)

    def _hear(self, kind, place, body):
        if not self.process.alive:
            return
        event = {"type": kind, "object": body}
        match place.split("/")[-2]:
            case "fhirappregistrations":
                self._triggers.registration(event)
            case "entratenants":
                self._triggers.tenant(event)
            case "namespaces":
                self._triggers.namespace(event)
            case "secrets" if _is_managed(body):
                self._triggers.secret(event)


def _is_managed(body):
    labels = body["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/managed-by") == "fhir-app-operator"


def _same(part):
    return part


class Parts:
    """The product as it is. A mutant overrides one member and wraps what it is given."""

    policy = Policy()
    api = staticmethod(_same)
    secrets = staticmethod(_same)
    registrations = staticmethod(_same)
    connections = staticmethod(_same)
