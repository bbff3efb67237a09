"""What turns the probes red, what does not, and that a stuck loop can still be told of."""

import asyncio
import threading
import time

import httpx
import pytest
from structlog.testing import capture_logs

from fhir_app_operator.controller.handlers import WATCH_LIMIT, kopf_settings
from fhir_app_operator.telemetry.health import LOOP_LIMIT, Heartbeat, Watches
from fhir_app_operator.telemetry.http import TelemetryServer
from fhir_app_operator.telemetry.metrics import Metrics

PODS = "/api/v1/pods"
NAMESPACES = "/api/v1/namespaces"
PATIENCE = 30.0


@pytest.fixture
def watches(clock):
    made = Watches(limit=420.0, now=clock)
    made.expect([PODS, NAMESPACES])
    return made


def test_a_loop_that_was_never_started_is_not_stuck(clock):
    heartbeat = Heartbeat(now=clock)
    clock.now += 10 * LOOP_LIMIT
    assert heartbeat.problem() is None


@pytest.mark.looptime
async def test_a_loop_that_turns_is_not_stuck():
    heartbeat = Heartbeat(now=asyncio.get_running_loop().time)
    heartbeat.start()
    await asyncio.sleep(10 * LOOP_LIMIT)
    assert heartbeat.problem() is None
    heartbeat.stop()


async def test_a_loop_that_has_ended_its_work_is_not_stuck(clock):
    heartbeat = Heartbeat(now=clock)
    heartbeat.start()
    heartbeat.stop()
    clock.now += 10 * LOOP_LIMIT
    assert heartbeat.problem() is None


def get(url):
    return httpx.get(url, trust_env=False, timeout=PATIENCE)


async def test_a_stuck_loop_is_told_with_its_reason_and_its_place():
    heartbeat = Heartbeat(limit=0.3)
    server = TelemetryServer(
        Metrics(), heartbeat.problem, lambda: None, position=heartbeat.position
    )
    port = await server.start("127.0.0.1", 0)
    heartbeat.start()
    url = f"http://127.0.0.1:{port}"
    assert (await asyncio.to_thread(get, f"{url}/healthz")).text == "ok"
    red = threading.Event()
    seen = []

    def probe():
        deadline = time.monotonic() + PATIENCE
        while not seen and time.monotonic() < deadline:
            answer = get(f"{url}/healthz")
            if answer.status_code == 503:
                seen.append((answer.text, get(f"{url}/metrics").status_code))
        red.set()

    prober = threading.Thread(target=probe)
    prober.start()
    with capture_logs() as logged:
        block_the_loop_until(red)
    prober.join()
    (reason, metrics_status) = seen[0]
    assert reason.startswith("the event loop has not turned for 0 seconds")
    assert metrics_status == 200
    assert any("block_the_loop_until" in place for place in logged[0]["at"])
    while heartbeat.problem() is not None:  # noqa: ASYNC110 - it turns again
        await asyncio.sleep(0)
    assert (await asyncio.to_thread(get, f"{url}/healthz")).text == "ok"
    heartbeat.stop()
    await server.stop()


def block_the_loop_until(event):
    assert event.wait(PATIENCE)


async def test_an_address_in_use_is_told_when_the_server_starts():
    first = TelemetryServer(Metrics(), lambda: None, lambda: None)
    port = await first.start("127.0.0.1", 0)
    second = TelemetryServer(Metrics(), lambda: None, lambda: None)
    with pytest.raises(OSError, match="in use"):
        await second.start("127.0.0.1", port)
    await second.stop()
    await first.stop()


def test_a_standby_that_expects_no_watch_is_well(clock):
    watches = Watches(limit=420.0, now=clock)
    clock.now += 100_000
    assert watches.stuck() is None
    assert watches.unanswered() is None


def test_an_idle_cluster_is_well(clock, watches):
    for _ in range(100):
        for path in (PODS, NAMESPACES):
            watches.tried(path)
            watches.answered(path)
        clock.now += 301
        assert watches.stuck() is None
        assert watches.unanswered() is None


def test_an_api_server_that_is_away_makes_it_unready_but_not_unhealthy(clock, watches):
    for _ in range(100):
        clock.now += 30
        for path in (PODS, NAMESPACES):
            watches.tried(path)
        assert watches.stuck() is None
    assert watches.unanswered() == (
        "the watch of pods has not been answered by the API server for 3000 seconds"
    )
    for path in (PODS, NAMESPACES):
        watches.answered(path)
    assert watches.unanswered() is None


def test_a_watch_that_is_not_even_tried_is_stuck(clock, watches):
    clock.now += 400
    watches.tried(PODS)
    assert watches.stuck() is None
    clock.now += 30
    assert watches.stuck() == "the watch of namespaces has not been asked for for 430 seconds"


def test_what_is_asked_for_besides_the_watches_does_not_count(clock, watches):
    watches.tried("/version")
    clock.now += 430
    assert watches.stuck() is not None


def test_the_limit_leaves_a_healthy_watch_its_time():
    settings = kopf_settings()
    longest = settings.watching.server_timeout + settings.watching.inactivity_timeout
    assert longest + 30 < WATCH_LIMIT
