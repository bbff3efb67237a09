"""How the end of a pass is counted and shown."""

import asyncio
from datetime import timedelta

import pytest

from fhir_app_operator.controller.dispatch import Dispatcher
from fhir_app_operator.controller.keys import Index, RegistrationKey
from fhir_app_operator.controller.reconciler import Outcome
from fhir_app_operator.errors import Waiting
from fhir_app_operator.telemetry.metrics import Metrics
from tests.telemetry.series import series, value
from tests.telemetry.test_fleet import condition, registration

KEY = RegistrationKey("clinic", "portal")
READY = registration(condition("Ready", "True"))


class Passes:
    """A reconciler whose passes end as the test says."""

    def __init__(self, *ends):
        self.ends = list(ends)

    async def reconcile(self, _key):
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end


async def processed(*ends):
    metrics = Metrics()
    dispatcher = Dispatcher(Passes(*ends), Passes(), Index(), metrics, timedelta(hours=1))
    for _ in ends:
        await asyncio.gather(dispatcher.process(KEY), return_exceptions=True)
    return metrics.registry


@pytest.mark.parametrize(
    ("end", "result"),
    [
        (Outcome(result="success"), "success"),
        (Outcome(result="gone"), "success"),
        (Outcome(result="waiting", reason="FhirServerNotReady"), "requeue"),
        (Outcome(result="waiting", reason="GraphThrottled", retry_after=30.0), "requeue_after"),
        (Outcome(result="waiting", reason="GraphUnavailable"), "error"),
        (Outcome(result="waiting", reason="InternalError"), "error"),
        (Outcome(result="stalled", reason="PermissionDenied"), "error"),
        (Waiting("ApiServerUnavailable", "away"), "error"),
        (RuntimeError("a fault of ours"), "error"),
    ],
)
async def test_each_end_of_a_pass_has_its_result(end, result):
    registry = await processed(end)
    counted = series(registry, "controller_runtime_reconcile_total")
    assert counted == {("fhirappregistration", result): 1}
    active = series(registry, "controller_runtime_active_workers")
    assert active == {("fhirappregistration",): 0}


async def test_only_what_a_person_must_mend_is_terminal():
    registry = await processed(
        Outcome(result="stalled", reason="PermissionDenied"), RuntimeError("a fault of ours")
    )
    who = {"controller": "fhirappregistration"}
    assert value(registry, "controller_runtime_reconcile_errors_total", **who) == 2
    assert value(registry, "controller_runtime_terminal_reconcile_errors_total", **who) == 1


async def test_a_registration_is_shown_until_it_is_gone():
    seen = Outcome(result="success", registration=READY)
    shown = {("portal", "clinic", "True", "Ready"): 1}
    unread = Outcome(result="waiting")
    assert series(await processed(seen, unread), "fhirapp_condition") == shown
    gone = Outcome(result="gone", registration=READY)
    registry = await processed(seen, gone)
    assert series(registry, "fhirapp_condition") == {}
    assert series(registry, "fhirapp_info") == {}


async def test_repairs_and_renewals_are_counted():
    registry = await processed(
        Outcome(result="success", repaired=("display_name", "secret"), rotation="success"),
        Outcome(result="waiting", rotation="failure"),
    )
    drift = series(registry, "fhirapp_drift_corrected_total")
    assert drift == {("display_name",): 1, ("secret",): 1}
    assert series(registry, "fhirapp_rotation_total") == {("success",): 1, ("failure",): 1}


class Queue:
    """What would be looked at."""

    def __init__(self):
        self.keys = []

    def add(self, key):
        self.keys.append(key)

    def add_later(self, key, _delay):
        self.keys.append(key)


@pytest.mark.parametrize("end", [Outcome(result="gone"), Outcome(result="success", changed=True)])
async def test_the_server_that_pre_authorizes_a_client_looks_when_that_changed(end):
    index, server = Index(), RegistrationKey("clinic", "server")
    clients = {"clients": [{"registrationRef": {"name": "portal"}}, {"appId": "a"}]}
    index.update(server, {"spec": {"resource": {"preAuthorizedClients": clients}}})
    dispatcher = Dispatcher(Passes(end), Passes(), index, Metrics(), timedelta(hours=1))
    dispatcher.queue = Queue()
    await dispatcher.process(KEY)
    assert dispatcher.queue.keys == [server]
    index.update(server, {"spec": {}})
    assert index.pre_authorizing(KEY) == []
