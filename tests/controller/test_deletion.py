"""Letting go: what must end, what must stay, and the way out when Entra cannot be reached."""

import re
from contextlib import suppress

import pytest

from entra_emulator import Fault
from fhir_app_operator.kube.api_server import Gone, Request
from fhir_app_operator.planning.model import ApplicationChanges

pytestmark = pytest.mark.control_plane

GRAPH = re.compile(r"^/v1.0/")


async def deleted(lab, name):
    object_id = (await lab.status(name))["objectId"]
    await lab.delete("fhirapp", name)
    return object_id


def entity(lab, object_id):
    return lab.emulator.directory.store.locate(object_id)


async def test_delete_revokes_then_moves_the_application_to_the_bin(lab, service):
    object_id = await deleted(lab, service)
    assert (await lab.settle(service)).result == "gone"
    assert await lab.read("fhirapp", service) is None
    assert entity(lab, object_id).is_deleted
    assert entity(lab, object_id).document["passwordCredentials"] == []


async def test_orphan_leaves_application_and_secret_and_sends_nothing(lab, service):
    path = f"/api/v1/namespaces/{lab.namespace}/configmaps"
    holder = {"metadata": {"name": "theirs"}}
    made = await lab.api.send(Request(method="POST", path=path, what="x", body=holder))
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs"}
    owner["uid"] = made["metadata"]["uid"]
    owners = (await lab.read("secret", service))["metadata"]["ownerReferences"]
    await lab.patch("secret", service, {"metadata": {"ownerReferences": [*owners, owner]}})
    await lab.patch("fhirapp", service, {"spec": {"deletionPolicy": "Orphan"}})
    await lab.settle(service)
    lab.forget_calls()
    object_id = await deleted(lab, service)
    await lab.settle(service)
    assert await lab.read("fhirapp", service) is None
    assert lab.calls() == []
    assert not entity(lab, object_id).is_deleted
    (left,) = (await lab.read("secret", service))["metadata"]["ownerReferences"]
    assert left["name"] == "theirs"


async def test_purge_leaves_nothing_in_the_bin(lab, service):
    status = await lab.status(service)
    await lab.patch("fhirapp", service, {"spec": {"deletionPolicy": "Purge"}})
    await lab.delete("fhirapp", service)
    assert (await lab.settle(service)).result == "gone"
    assert entity(lab, status["objectId"]) is None
    assert entity(lab, status["servicePrincipalId"]) is None


async def test_a_purge_that_was_cut_short_goes_on(lab, service):
    status = await lab.status(service)
    await lab.patch("fhirapp", service, {"spec": {"deletionPolicy": "Purge"}})
    await lab.delete("fhirapp", service)
    purge = re.compile(r"/directory/deletedItems/")
    lab.emulator.weather.add(Fault(path=purge, method="DELETE", times=3, status=503))
    assert (await lab.reconcile(service)).result == "waiting"
    assert entity(lab, status["objectId"]).is_deleted
    assert (await lab.settle(service)).result == "gone"
    assert entity(lab, status["objectId"]) is None
    assert entity(lab, status["servicePrincipalId"]) is None


async def test_switching_a_terminating_registration_to_orphan_releases_it(lab, service):
    lab.emulator.weather.add(Fault(path=GRAPH, times=999, status=503))
    object_id = await deleted(lab, service)
    assert (await lab.reconcile(service)).result == "waiting"
    body = await lab.read("fhirapp", service)
    assert "fhirapps.dev/application" in body["metadata"]["finalizers"]
    message = await lab.message(service)
    assert f"kubectl patch fhirapp {service} -n {lab.namespace}" in message
    assert '{"spec":{"deletionPolicy":"Orphan"}}' in message
    await lab.patch("fhirapp", service, {"spec": {"deletionPolicy": "Orphan"}})
    lab.forget_calls()
    await lab.settle(service)
    assert lab.calls() == []
    assert await lab.read("fhirapp", service) is None
    assert not entity(lab, object_id).is_deleted
    assert await lab.read("secret", service) is not None


async def test_an_application_deleted_by_hand_does_not_hold_the_deletion_up(lab, service):
    connection = await lab.connection()
    await connection.applications.delete((await lab.status(service))["objectId"])
    await deleted(lab, service)
    assert (await lab.settle(service)).result == "gone"
    assert await lab.read("fhirapp", service) is None


async def test_an_application_that_changed_hands_is_left_alone(lab, service):
    connection = await lab.connection()
    application = await connection.applications.by_object_id(
        (await lab.status(service))["objectId"]
    )
    tags = frozenset({"fhirapps.dev/owner:other-cluster/uid"})
    await connection.applications.update(application, ApplicationChanges(tags=tags), young=False)
    object_id = await deleted(lab, service)
    lab.forget_calls()
    await lab.settle(service)
    assert await lab.read("fhirapp", service) is None
    assert lab.writes() == []
    assert not entity(lab, object_id).is_deleted


async def test_a_registration_made_again_waits_for_the_old_secret_to_go(lab, service):
    leftover = await lab.read("secret", service)
    await deleted(lab, service)
    await lab.settle(service)
    await lab.register("Service")
    metadata = {key: leftover["metadata"][key] for key in ("name", "labels", "ownerReferences")}
    if await lab.read("secret", service) is None:
        await lab.create("secret", {"metadata": metadata, "data": leftover["data"]})
    outcome = await lab.reconcile(service)
    if outcome.result == "waiting":
        assert (await lab.conditions(service))["Ready"] == ("False", "SecretConflict")
        with suppress(Gone):  # the garbage collector may be quicker
            await lab.delete("secret", service)
    await lab.settle(service)
    assert await lab.accepts(service)


async def test_a_registration_that_never_got_anywhere_goes_at_once(lab):
    name = await lab.register("Service")
    await lab.reconcile(name)
    await lab.delete("fhirapp", name)
    assert (await lab.settle(name)).result == "gone"
    assert lab.writes() == []


async def test_an_application_whose_create_was_never_answered_is_found_and_deleted(lab):
    name = await lab.register("Resource")
    upsert = re.compile(r"/applications\(uniqueName")
    lab.emulator.weather.add(Fault(path=upsert, method="PATCH", times=3, when="after", drop=True))
    assert (await lab.reconcile(name)).result == "waiting"
    assert "objectId" not in await lab.status(name)
    lab.emulator.weather.clear()
    await lab.delete("fhirapp", name)
    assert (await lab.settle(name)).result == "gone"
    assert [call.method for call in lab.writes()][-1] == "DELETE"


async def test_a_registration_in_a_terminating_namespace_goes_without_being_repaired(lab, service):
    object_id = (await lab.status(service))["objectId"]
    await lab.delete("namespace", lab.namespace)
    for name in (service, "fhir-server"):
        while (body := await lab.read("fhirapp", name)) is not None:
            if "deletionTimestamp" in body["metadata"]:
                await lab.settle(name)
    assert entity(lab, object_id).is_deleted
    assert {call.method for call in lab.writes()} <= {"DELETE", "POST"}
    assert not [call for call in lab.writes() if "addPassword" in call.path]


async def test_a_namespace_no_longer_allowed_may_still_let_go(lab, service):
    selector = {"from": "Selector", "selector": {"matchLabels": {"nobody": "has"}}}
    await lab.patch("tenant", lab.tenant, {"spec": {"allowedNamespaces": selector}})
    await lab.reconcile(service)
    assert (await lab.conditions(service))["Stalled"] == ("True", "NamespaceNotAllowed")
    object_id = await deleted(lab, service)
    assert (await lab.settle(service)).result == "gone"
    assert entity(lab, object_id).is_deleted


async def test_a_tenant_in_use_waits_for_its_registrations(lab, service):
    await lab.tenants.reconcile(lab.tenant)
    await lab.delete("tenant", lab.tenant)
    await lab.tenants.reconcile(lab.tenant)
    assert await lab.read("tenant", lab.tenant) is not None
    for name in (service, "fhir-server"):
        await deleted(lab, name)
        assert (await lab.settle(name)).result == "gone"
    await lab.tenants.reconcile(lab.tenant)
    assert await lab.read("tenant", lab.tenant) is None


async def test_without_its_tenant_a_registration_prints_the_way_out(lab, service):
    await lab.patch("tenant", lab.tenant, {"metadata": {"finalizers": None}})
    await lab.delete("tenant", lab.tenant)
    await deleted(lab, service)
    await lab.reconcile(service)
    assert (await lab.conditions(service))["Ready"] == ("False", "TenantNotFound")
    assert "Orphan" in await lab.message(service)
