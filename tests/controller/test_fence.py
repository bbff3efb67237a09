"""A pass whose process loses the Lease under way writes nothing more; the next one is whole."""

from datetime import timedelta

import pytest

from fhir_app_operator.controller.dispatch import Dispatcher
from fhir_app_operator.controller.keys import Index, RegistrationKey, TenantKey
from fhir_app_operator.telemetry.metrics import Metrics

pytestmark = pytest.mark.control_plane
RESYNC = timedelta(hours=1)
WRITES = 15
"""Of the pass that makes a Service, to Kubernetes and to Graph."""


async def snapshot(lab, name):
    found = [await lab.read("fhirapp", name), await lab.read("secret", name)]
    return [body and body["metadata"]["resourceVersion"] for body in found]


@pytest.mark.parametrize("writes", range(WRITES))
async def test_a_pass_ends_where_leadership_does(lab, writes):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.gate.left = writes
    outcome = await lab.reconcile(name)
    assert outcome.result == "waiting"
    before, sent = await snapshot(lab, name), len(lab.writes())
    assert (await lab.reconcile(name)).result == "waiting"
    assert await snapshot(lab, name) == before
    assert len(lab.writes()) == sent
    assert "NotLeading" not in str(await lab.status(name))

    successor = lab.restarted()
    lab.gate.left = None
    await successor.settle(name)
    await successor.world.connections.close()
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")
    assert await lab.accepts(name)
    mark = f"fhirapps.dev/registration:{lab.namespace}/{name}"
    applications = [e.document for e in lab.emulator.directory.store.all("application")]
    assert len([a for a in applications if mark in a["tags"]]) == 1


@pytest.mark.parametrize("writes", range(WRITES))
async def test_a_hand_over_leaves_no_credential_behind_that_nobody_holds(lab, writes):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.gate.left, lab.gate.lets_finish = writes, True
    assert (await lab.reconcile(name)).result == "waiting"
    assert "NotLeading" not in str(await lab.status(name))
    secret = await lab.read("secret", name)
    held = {secret["metadata"]["annotations"].get("fhirapps.dev/key-id")} if secret else set()
    mark = f"fhirapps.dev/registration:{lab.namespace}/{name}"
    for entity in lab.emulator.directory.store.all("application"):
        if mark in entity.document["tags"]:
            made = {p["keyId"] for p in entity.document["passwordCredentials"]}
            assert made <= held

    successor = lab.restarted()
    lab.gate.left = None
    await successor.settle(name)
    await successor.world.connections.close()
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")
    assert await lab.accepts(name)


async def test_a_deletion_stops_there_as_well(lab, service):
    await lab.delete("fhirapp", service)
    lab.gate.left = 0
    assert (await lab.reconcile(service)).result == "waiting"
    assert lab.writes() == []
    assert "NotLeading" not in str(await lab.status(service))
    lab.gate.left = None
    assert (await lab.settle(service)).result == "gone"


async def test_what_could_not_be_done_is_tried_again_soon(lab, service):
    """Regained leadership finds the queue as it was, whatever back-off there is otherwise."""
    dispatcher = Dispatcher(lab.reconciler, lab.tenants, Index(), Metrics(), RESYNC)
    await lab.patch("fhirapp", service, {"spec": {"displayName": "other"}})
    lab.gate.left = 0
    for key in (RegistrationKey(lab.namespace, service), TenantKey(lab.tenant)):
        due = await dispatcher.process(key)
        assert due.after == 5.0
        assert due.floor == 0
