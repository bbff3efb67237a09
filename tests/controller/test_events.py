"""Events as people see them with `kubectl describe`, and the echo of a request."""

import re
from datetime import timedelta

import pytest

from entra_emulator import Fault
from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning.model import ApplicationChanges
from fhir_app_operator.planning.notices import Notice

pytestmark = pytest.mark.control_plane


async def told(lab, name):
    return [(e["type"], e["reason"]) for e in await lab.events(name)]


async def test_becoming_ready_is_told_once(lab):
    name = await lab.ready("Resource")
    await lab.reconcile(name)
    (event,) = await lab.events(name)
    assert (event["type"], event["reason"]) == ("Normal", "Succeeded")
    assert event["reportingController"] == "fhirapps.dev/fhir-app-operator"
    assert event["regarding"]["kind"] == "FhirAppRegistration"


async def test_an_outage_is_told_once_and_its_end(lab):
    name = await lab.ready("Resource")
    lab.emulator.weather.add(Fault(path=re.compile("^/v1.0/"), times=99, status=503))
    await lab.reconcile(name)
    await lab.reconcile(name)
    lab.emulator.weather.clear()
    await lab.settle(name)
    assert sorted(await told(lab, name)) == [
        ("Normal", "Succeeded"), ("Normal", "Succeeded"), ("Warning", "GraphUnavailable"),
    ]  # fmt: skip


async def test_drift_is_told_with_what_had_drifted(lab):
    name = await lab.ready("Resource")
    connection = await lab.connection()
    app = await connection.applications.by_object_id((await lab.status(name))["objectId"])
    renamed = ApplicationChanges(display_name="By hand")
    await connection.applications.update(app, renamed, young=False)
    outcome = await lab.settle(name)
    assert outcome.repaired == ("display_name",)
    assert ("Normal", "DriftRepaired") in await told(lab, name)


async def test_a_changed_spec_is_no_drift(lab):
    name = await lab.ready("Resource")
    await lab.patch("fhirapp", name, {"spec": {"displayName": "New"}})
    assert (await lab.settle(name)).repaired == ()


async def test_a_renewal_is_told(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    lab.pass_time(timedelta(hours=4000))
    await lab.settle(name)
    assert ("Normal", "CredentialRenewed") in await told(lab, name)


async def test_what_others_made_is_said_in_the_condition(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    connection = await lab.connection()
    app = await connection.applications.by_object_id((await lab.status(name))["objectId"])
    end = lab.world.clock() + timedelta(days=9)
    await connection.applications.add_password(app, "by hand", end, young=False)
    await lab.settle(name)
    assert "left alone: 1 client secret" in await lab.message(name, "Synced")
    assert not (await lab.reconcile(name)).changed


async def test_repeats_are_counted_up_in_one_event(lab):
    name = await lab.ready("Resource")
    registration = await lab.world.registrations.registration(lab.namespace, name)
    notice = Notice(type="Warning", reason="Test", note="again")
    for _ in range(3):
        await lab.world.events.publish(registration, notice)
    (event,) = [e for e in await lab.events(name) if e["reason"] == "Test"]
    assert event["series"]["count"] == 3


async def test_a_new_series_begins_after_a_pause(lab):
    name = await lab.ready("Resource")
    registration = await lab.world.registrations.registration(lab.namespace, name)
    notice = Notice(type="Warning", reason="Test", note="again")
    await lab.world.events.publish(registration, notice)
    lab.pass_time(timedelta(minutes=7))
    await lab.world.events.publish(registration, notice)
    assert len([e for e in await lab.events(name) if e["reason"] == "Test"]) == 2


async def test_an_event_that_cannot_be_written_hurts_nobody(lab):
    name = await lab.ready("Resource")
    registration = await lab.world.registrations.registration(lab.namespace, name)
    api = lab.world.events._api

    class Refusing:
        async def send(self, request):
            raise Waiting("ApiServerUnavailable", "no")

    lab.world.events._api = Refusing()
    await lab.world.events.publish(registration, Notice(type="Normal", reason="X", note="x"))
    lab.world.events._api = api


async def test_a_request_is_echoed(lab):
    name = await lab.ready("Resource")
    notes = {"fhirapps.dev/reconcile-requested-at": "2026-03-01T00:00:00Z"}
    await lab.patch("fhirapp", name, {"metadata": {"annotations": notes}})
    await lab.settle(name)
    assert (await lab.status(name))["lastHandledReconcileAt"] == "2026-03-01T00:00:00Z"
    assert not (await lab.reconcile(name)).changed
