"""Passes and the queue under the names that stock dashboards ask for."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from fhir_app_operator.controller.keys import RegistrationKey, TenantKey
from fhir_app_operator.controller.queue import Next, WorkQueue
from fhir_app_operator.telemetry.work import PassMetrics, QueueMetrics
from tests.telemetry.series import series, value

PORTAL = RegistrationKey("clinic", "portal")
INGEST = RegistrationKey("clinic", "ingest")
TENANT = TenantKey("default")


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def queue(registry, clock):
    metrics = QueueMetrics(registry, clock)
    for name in ("fhirappregistration", "entratenant"):
        metrics.serve(name)
    return metrics


def test_what_waits_is_counted_by_controller(registry, queue):
    for key in (PORTAL, INGEST, TENANT):
        queue.queued(key)
    queue.started(PORTAL)
    depth = series(registry, "workqueue_depth")
    assert depth == {("fhirappregistration",): 1, ("entratenant",): 1}
    adds = series(registry, "workqueue_adds_total")
    assert adds == {("fhirappregistration",): 2, ("entratenant",): 1}


def test_waiting_and_working_are_timed_apart(registry, queue, clock):
    queue.queued(PORTAL)
    clock.now += 3
    queue.started(PORTAL)
    clock.now += 20
    queue.ended(PORTAL)
    name = "fhirappregistration"
    assert value(registry, "workqueue_queue_duration_seconds_sum", name=name) == 3
    assert value(registry, "workqueue_work_duration_seconds_sum", name=name) == 20


def test_work_under_way_shows_while_it_is(registry, queue, clock):
    for key in (PORTAL, INGEST):
        queue.started(key)
        clock.now += 5
    labels = {"name": "fhirappregistration"}
    assert value(registry, "workqueue_unfinished_work_seconds", **labels) == 15
    assert value(registry, "workqueue_longest_running_processor_seconds", **labels) == 10
    queue.ended(PORTAL)
    assert value(registry, "workqueue_longest_running_processor_seconds", **labels) == 5
    queue.ended(INGEST)
    assert value(registry, "workqueue_unfinished_work_seconds", **labels) == 0


@pytest.mark.looptime
async def test_the_queue_tells_its_whole_story(registry, queue):
    failing = asyncio.Event()

    async def process(_key):
        if not failing.is_set():
            failing.set()
            return Next(failed=True, after=1.0)
        return Next()

    work = WorkQueue(process, workers=1, metrics=queue)
    work.start()
    work.add(PORTAL)
    work.add(PORTAL)
    await asyncio.sleep(5)
    await work.drain(1)
    labels = {"name": "fhirappregistration"}
    assert value(registry, "workqueue_adds_total", **labels) == 2
    assert value(registry, "workqueue_retries_total", **labels) == 1
    assert value(registry, "workqueue_depth", **labels) == 0
    assert value(registry, "workqueue_work_duration_seconds_count", **labels) == 2


def test_every_result_of_a_pass_shows_before_the_first_one(registry):
    passes = PassMetrics(registry)
    passes.serve("entratenant", 50)
    results = series(registry, "controller_runtime_reconcile_total")
    assert set(results) == {
        ("entratenant", result) for result in ("success", "error", "requeue", "requeue_after")
    }
    workers = series(registry, "controller_runtime_max_concurrent_reconciles")
    assert workers == {("entratenant",): 50}


def test_a_pass_is_counted_once_with_its_length(registry):
    passes = PassMetrics(registry)
    passes.started("entratenant")
    assert value(registry, "controller_runtime_active_workers", controller="entratenant") == 1
    passes.ended("entratenant", "error", 2.0, terminal=True)
    name = {"controller": "entratenant"}
    assert value(registry, "controller_runtime_active_workers", **name) == 0
    assert value(registry, "controller_runtime_reconcile_total", result="error", **name) == 1
    assert value(registry, "controller_runtime_reconcile_errors_total", **name) == 1
    assert value(registry, "controller_runtime_terminal_reconcile_errors_total", **name) == 1
    assert value(registry, "controller_runtime_reconcile_time_seconds_sum", **name) == 2


def test_a_success_is_no_error(registry):
    passes = PassMetrics(registry)
    passes.serve("entratenant", 1)
    passes.started("entratenant")
    passes.ended("entratenant", "success", 0.1)
    errors = series(registry, "controller_runtime_reconcile_errors_total")
    assert errors == {("entratenant",): 0}
