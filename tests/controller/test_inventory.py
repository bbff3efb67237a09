"""The fleet's state by lists: a settled registration costs no call of its own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.planning.model import ApplicationChanges

pytestmark = pytest.mark.control_plane


@pytest.fixture
async def fleet(lab):
    await lab.clinic()
    lab.world = replace(lab.world, snapshot_age=timedelta(minutes=15))
    # A live read is due once a day, at an hour of the UID's own: let it be done for all.
    for name in ("fhir-server", "confidential", "public", "service"):
        await lab.settle(name)
    lab.pass_time(timedelta(minutes=20))
    lab.forget_calls()
    return ["fhir-server", "confidential", "public", "service"]


async def test_a_no_op_pass_of_the_fleet_is_a_few_lists(lab, fleet):
    for name in fleet:
        assert (await lab.reconcile(name)).result == "success"
    assert lab.writes() == []
    assert len([c for c in lab.calls() if "ownedObjects" in c.path]) == 2
    assert len(lab.calls()) <= 3


async def test_drift_that_the_list_shows_is_read_live_and_repaired(lab, fleet):
    connection = await lab.connection()
    app = await connection.applications.by_object_id((await lab.status("service"))["objectId"])
    await connection.applications.update(app, ApplicationChanges(notes="by hand"), young=False)
    lab.forget_calls()
    outcome = await lab.reconcile("service")
    assert outcome.repaired == ("notes",)
    assert [call.method for call in lab.calls()][-1] == "PATCH"
    assert [c for c in lab.calls("GET") if "uniqueName" in c.path]


async def test_a_list_that_is_behind_changes_nothing(lab, fleet):
    await lab.reconcile("fhir-server")
    await lab.patch("fhirapp", "service", {"spec": {"displayName": "New"}})
    await lab.settle("service")
    lab.forget_calls()
    # The snapshot still has the old name: it seems to differ, so it is read live.
    outcome = await lab.reconcile("service")
    assert (outcome.result, outcome.repaired) == ("success", ())
    assert lab.writes() == []


async def test_every_object_is_read_live_once_a_day(lab, fleet):
    lab.pass_time(timedelta(days=1))
    lab.forget_calls()
    for name in fleet:
        await lab.settle(name)
    assert len([c for c in lab.calls("GET") if "applications(uniqueName" in c.path]) == len(fleet)


async def test_a_request_by_annotation_is_answered_by_a_live_read(lab, fleet):
    await lab.reconcile("service")
    notes = {"fhirapps.dev/reconcile-requested-at": "2026-03-01T00:00:00Z"}
    await lab.patch("fhirapp", "service", {"metadata": {"annotations": notes}})
    lab.forget_calls()
    await lab.settle("service")
    assert [c for c in lab.calls("GET") if "uniqueName" in c.path]
