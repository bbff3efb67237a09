"""The running operator: everything put together, started in order and stopped in reverse."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from fhir_app_operator import __version__
from fhir_app_operator.api import names
from fhir_app_operator.controller import handlers
from fhir_app_operator.controller.connections import (
    RETIRE_AFTER,
    Connections,
    OperatorIdentity,
)
from fhir_app_operator.controller.fence import Fence
from fhir_app_operator.controller.keys import Key
from fhir_app_operator.controller.leadership import Candidate, Timings, Unopposed
from fhir_app_operator.controller.loop import build_loop
from fhir_app_operator.controller.pools import network_pools
from fhir_app_operator.controller.queue import WorkQueue
from fhir_app_operator.controller.sessions import Login, LoginSource, Sessions
from fhir_app_operator.controller.world import World
from fhir_app_operator.errors import OperatorError
from fhir_app_operator.kube.access import ClusterAccess, NoCluster, bearer_token
from fhir_app_operator.kube.api_server import ApiServer
from fhir_app_operator.kube.config_maps import ConfigMaps
from fhir_app_operator.kube.events import Events
from fhir_app_operator.kube.leases import Leases
from fhir_app_operator.kube.namespaces import Namespaces
from fhir_app_operator.kube.registrations import Registrations
from fhir_app_operator.kube.secrets import Secrets
from fhir_app_operator.kube.token_issuer import TokenIssuers
from fhir_app_operator.planning.model import Policy
from fhir_app_operator.settings import Settings
from fhir_app_operator.telemetry.health import Heartbeat, Watches
from fhir_app_operator.telemetry.http import TelemetryServer
from fhir_app_operator.telemetry.metrics import Metrics

_DRAIN_SECONDS = 20.0
_DISCOVERY_SECONDS = 30.0
_DISCOVERY_PAUSE = 0.5
_KINDS = (names.REGISTRATION_PLURAL, names.TENANT_PLURAL)


class Missing(Exception):
    """Something that the operator needs is not there; the message names it and what to do."""


async def run(
    settings: Settings,
    watching: handlers.WatchSettings | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run the operator until SIGTERM or SIGINT: as the leader, or standing by with warm watches.

    Args:
        settings: the product's.
        watching: how to watch, instead of `handlers.kopf_settings()`: shorter timings, for tests.
        stop: ends it when it is set, as SIGTERM does; set when it ends.

    Raises:
        Missing: no API server, no CRDs, or no permission to look.
        LostLease: another process leads now.
    """
    metrics, fence = Metrics(), Fence()
    metrics.leader.show(names.LEASE, lambda: fence.is_open)
    log = structlog.get_logger("process")
    async with AsyncExitStack() as stack:
        access = ClusterAccess(kubeconfig=settings.kubeconfig)
        api = await _connected(access, metrics, fence.check)
        stack.push_async_callback(api.close)
        world = await stack.enter_async_context(_world(settings, api, metrics, fence.check))
        watched, stop = asyncio.Event(), stop or asyncio.Event()
        queue, triggers = build_loop(
            world, metrics, workers=settings.workers, resync=settings.resync_interval,
            bound=_pass_bound(settings),
        )  # fmt: skip
        leadership = await stack.enter_async_context(_leadership(settings, access, metrics, fence))
        heartbeat, watches = Heartbeat(), Watches(handlers.WATCH_LIMIT)
        server = TelemetryServer(
            metrics,
            alive=lambda: heartbeat.problem() or queue.problem() or watches.stuck(),
            ready=lambda: (
                watches.unanswered() or leadership.problem()
                if watched.is_set()
                else "the watches are not running yet"
            ),
            position=heartbeat.position,
        )
        await _listen(server, settings)
        stack.push_async_callback(server.stop)
        heartbeat.start()
        stack.callback(heartbeat.stop)
        sessions = Sessions(_login(access), watches, metrics.kube.answered, triggers.listed)
        stack.push_async_callback(sessions.close)
        registry = handlers.build_registry(
            triggers,
            sessions,
            stop,
            partial(_hand_over, queue, fence, leadership),
            watch_secrets=settings.watch_secrets,
        )
        # Workers and campaign start before Kopf does: on its way out it cancels what started later.
        queue.start()
        leadership.start(triggers.lead, stop.set)
        log.info("started", version=__version__, cluster_id=world.cluster_id,
                 workers=settings.workers, watch_secrets=settings.watch_secrets)  # fmt: skip
        watches.expect(handlers.watched_paths(watch_secrets=settings.watch_secrets))
        try:
            await handlers.watch(registry, watching or handlers.kopf_settings(), watched, stop)
        finally:
            await leadership.release()
        leadership.raise_if_lost()
        log.info("stopped")


async def run_once(settings: Settings, work: Callable[[World, ApiServer], Awaitable[bool]]) -> bool:
    """Run `work` with the gateways of the running operator, without watching anything.

    Raises:
        Missing: as `run`.
    """
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        api = await _connected(ClusterAccess(kubeconfig=settings.kubeconfig), metrics)
        stack.push_async_callback(api.close)
        world = await stack.enter_async_context(_world(settings, api, metrics))
        try:
            return await work(world, api)
        except OperatorError as error:
            raise Missing(error.message) from None


async def _connected(
    access: ClusterAccess, metrics: Metrics, fence: Callable[[], None] = lambda: None
) -> ApiServer:
    try:
        api = await ApiServer.connect(access, metrics.kube.answered, fence)
    except NoCluster as error:
        raise Missing(str(error)) from None
    try:
        await require_kinds(api)
    except BaseException:
        await api.close()
        raise
    return api


async def require_kinds(api: ApiServer) -> None:
    """Return once the API server serves our kinds and lists them among its resources.

    Kopf reads that list once. A kind that is missing there, because its CRD is absent or was made
    a moment ago, would never be watched, without an error.

    Raises:
        Missing: they are not there, or not listed in time.
    """
    try:
        for plural in _KINDS:
            path = f"/apis/{names.GROUP}/{names.VERSION}/{plural}"
            if await api.get(path, plural, (("limit", "1"),)) is None:
                msg = f"the CRD of '{plural}' is not installed: kubectl apply -k crds/"
                raise Missing(msg)
        async with asyncio.timeout(_DISCOVERY_SECONDS):
            while not await _are_listed(api):  # noqa: ASYNC110 - another process lists them
                await asyncio.sleep(_DISCOVERY_PAUSE)
    except TimeoutError:
        msg = f"the API server does not list {' and '.join(_KINDS)} among the resources it serves"
        raise Missing(msg) from None
    except OperatorError as error:
        raise Missing(error.message) from None


async def _are_listed(api: ApiServer) -> bool:
    groups = await api.get("/apis", "API groups") or {}
    if names.GROUP not in {group["name"] for group in groups.get("groups") or ()}:
        return False
    found = await api.get(f"/apis/{names.GROUP}/{names.VERSION}", "API resources") or {}
    return {resource["name"] for resource in found.get("resources") or ()} >= set(_KINDS)


@asynccontextmanager
async def _world(
    settings: Settings, api: ApiServer, metrics: Metrics, fence: Callable[[], None] = lambda: None
) -> AsyncIterator[World]:
    secret_gateway, namespaces = Secrets(api), Namespaces(api)
    connections = Connections(
        OperatorIdentity(namespace=settings.namespace, token_file=settings.token_file),
        secret_gateway,
        _now,
        open_pools=network_pools(settings.https_proxy, settings.direct_hosts),
        observe=metrics.graph.answered,
        fence=fence,
        retire_after=max(RETIRE_AFTER, 2 * _pass_bound(settings)),
    )
    try:
        cluster_id = settings.cluster_id or await namespaces.cluster_id()
    except OperatorError as error:
        raise Missing(error.message) from None
    try:
        yield World(
            registrations=Registrations(api),
            secrets=secret_gateway,
            config_maps=ConfigMaps(api),
            namespaces=namespaces,
            connections=connections,
            events=Events(api, _now, socket.gethostname()),
            token_issuers=TokenIssuers(api, _now),
            cluster_id=cluster_id,
            clock=_now,
            sleep=asyncio.sleep,
            nonce=lambda: secrets.token_hex(8),
            policy=Policy(
                sweep_after=settings.sweep_after,
                replication_window=settings.replication_window,
                in_flight=max(Policy().in_flight, 2 * _pass_bound(settings)),
            ),
            snapshot_age=settings.resync_interval / 4,
            verify_every=settings.verify_interval,
            probe_timeout=settings.probe_timeout,
        )
    finally:
        await connections.close()


@asynccontextmanager
async def _leadership(
    settings: Settings, access: ClusterAccess, metrics: Metrics, fence: Fence
) -> AsyncIterator[Candidate | Unopposed]:
    if not settings.leader_election:
        yield Unopposed(fence)
        return
    # A connection of its own, not behind the fence: renewals must not queue behind passes.
    api = await _connected(access, metrics)
    try:
        yield Candidate(
            Leases(api, settings.namespace, names.LEASE), fence, _process_name(),
            Timings(
                duration=settings.lease_duration.total_seconds(),
                deadline=settings.renew_deadline.total_seconds(),
                retry=settings.retry_period.total_seconds(),
            ),
            now=_now,
        )  # fmt: skip
    finally:
        await api.close()


def _process_name() -> str:
    """The Pod's name, which is its host name, and a mark: a container that restarts is another."""
    return f"{socket.gethostname()}_{secrets.token_hex(8)}"


async def _hand_over(
    queue: WorkQueue[Key], fence: Fence, leadership: Candidate | Unopposed
) -> None:
    """Let running passes end at their next write, then release the Lease.

    Only a credential that was issued is still published: nobody else can have its value. A leader
    that is none any more has nothing to wait for: its passes may write nothing.
    """
    fence.wind_down()
    await queue.drain(_DRAIN_SECONDS if fence.is_open else 0.0)
    await leadership.release()


def _pass_bound(settings: Settings) -> timedelta:
    """How long a pass may take: a probe is its longest legal step."""
    return settings.probe_timeout + timedelta(minutes=3)


def _login(access: ClusterAccess) -> LoginSource:
    async def login() -> Login:
        configuration = await access.load()
        return Login(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            ca_data=_text(configuration.ca_cert_data),
            token=bearer_token(configuration),
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )

    return login


async def _listen(server: TelemetryServer, settings: Settings) -> None:
    host, port = settings.host_and_port
    try:
        actual = await server.start(host, port)
    except OSError as error:
        msg = (
            f"{names.ENVIRONMENT_PREFIX}LISTEN_ADDRESS: cannot listen on "
            f"{settings.listen_address} ({error.strerror})"
        )
        raise Missing(msg) from None
    structlog.get_logger("process").info("serving telemetry", host=host, port=actual)


def _text(data: str | bytes | None) -> str | None:
    return data.decode() if isinstance(data, bytes) else data


def _now() -> datetime:
    return datetime.now(UTC)
