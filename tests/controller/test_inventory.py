"""The fleet's state by lists: a settled registration costs no call of its own."""

import asyncio
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
    assert [call.method for call in lab.writes()] == ["PATCH"]
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


def look_ups(lab):
    return [call for call in lab.calls("GET") if "applications(uniqueName" in call.path]


@pytest.fixture
async def new(lab, fleet):
    """A new process, to which no daily live read is due."""
    new = lab.restarted()
    connection = await new.connection()
    for name in fleet:
        uid = (await lab.read("fhirapp", name))["metadata"]["uid"]
        connection.verified[uid] = lab.world.clock()
    lab.forget_calls()
    yield new
    await new.world.connections.close()


async def test_after_a_restart_settled_clients_need_no_look_up_of_their_server(lab, fleet, new):
    for name in fleet:
        assert (await new.reconcile(name)).result == "success"
    assert look_ups(lab) == []


async def test_clients_that_come_all_at_once_share_the_look_up_of_their_server(lab, new):
    clients = ("confidential", "public", "service")
    for name in clients:
        await lab.patch("fhirapp", name, {"spec": {"displayName": "New"}})
    lab.forget_calls()
    await asyncio.gather(*(new.reconcile(name) for name in clients))
    server = (await lab.read("fhirapp", "fhir-server"))["metadata"]["uid"]
    assert len([call for call in look_ups(lab) if server in call.path]) == 1


async def test_a_list_does_not_vouch_for_a_server_whose_application_changed_hands(lab, new):
    connection = await lab.connection()
    object_id = (await lab.status("fhir-server"))["objectId"]
    app = await connection.applications.by_object_id(object_id)
    others = ApplicationChanges(tags=frozenset({"fhirapps.dev/owner:lab/somebody-else"}))
    await connection.applications.update(app, others, young=False)
    outcome = await new.reconcile("service")
    assert (outcome.result, look_ups(lab) != []) == ("waiting", True)
    assert "is not visible in Entra" in await lab.message("service", "Synced")


async def test_nothing_is_remembered_of_a_registration_that_is_gone(lab, fleet):
    connection = await lab.connection()
    for name in ("service", "confidential", "public", "fhir-server"):
        uid = (await lab.read("fhirapp", name))["metadata"]["uid"]
        assert uid in connection.verified
        await lab.delete("fhirapp", name)
        await lab.settle(name)
        assert uid not in connection.verified
        assert connection.servers.get(uid) is None
