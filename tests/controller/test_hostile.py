"""Forged status, tampered Secrets, lying reads: nothing of others is touched, nothing leaks."""

import re
from datetime import timedelta

import pytest
from pydantic import SecretStr

from entra_emulator import Fault
from fhir_app_operator.errors import Stalled
from fhir_app_operator.graph.auth import ClientCredential, Probe
from fhir_app_operator.kube.api_server import MERGE_PATCH, Request
from tests.controller.lab import _connections, resource_path
from tests.controller.test_leaked import CERTIFICATE

pytestmark = pytest.mark.control_plane

ADD_PASSWORD = re.compile(r"/addPassword$")
TOKEN = re.compile(r"/oauth2/v2.0/token$")


async def forge(lab, name, **status):
    path = resource_path("fhirapp", lab.namespace, name) + "/status"
    await lab.api.send(Request(method="PATCH", path=path, what="status", body={"status": status},
                               content_type=MERGE_PATCH))  # fmt: skip


def entity(lab, object_id):
    return lab.emulator.directory.store.locate(object_id)


@pytest.mark.parametrize("value", ["../../applications/x", "a\nb", "x"])
async def test_ids_in_status_that_are_none_are_refused_by_the_api_server(lab, service, value):
    for field in ("objectId", "servicePrincipalId", "appId", "tenantId"):
        with pytest.raises(Stalled, match=field):
            await forge(lab, service, **{field: value})


async def test_a_forged_object_id_restores_and_purges_nothing_of_others(lab, service):
    victim = await lab.ready("Service", "victim")
    ids = await lab.status(victim)
    await (await lab.connection()).applications.delete(ids["objectId"])
    other = await lab.register("Service", "attacker", deletionPolicy="Purge")
    await lab.settle(other)
    mine = (await lab.status(other))["objectId"]
    await (await lab.connection()).applications.delete(mine)
    lab.emulator.directory.store.remove(entity(lab, mine))
    await forge(lab, other, objectId=ids["objectId"], servicePrincipalId=ids["servicePrincipalId"])
    await lab.reconcile(other)
    assert entity(lab, ids["objectId"]).is_deleted
    await lab.delete("fhirapp", other)
    for _ in range(5):
        await lab.reconcile(other)
        lab.pass_time(timedelta(minutes=10))
    assert await lab.read("fhirapp", other) is None
    assert entity(lab, ids["objectId"]) is not None
    assert entity(lab, ids["servicePrincipalId"]) is not None
    assert (await lab.settle(victim)).result == "success"


async def test_a_forged_server_leads_nowhere_and_poisons_nobody(lab):
    graph = "00000003-0000-0000-c000-000000000000"
    await lab.register("Resource", "forged", suspend=True)
    ready = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
             "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}  # fmt: skip
    await forge(lab, "forged", conditions=[ready], appId=graph, observedGeneration=1)
    name = await lab.register("Service", "attacker", fhirServerRef={"name": "forged"})
    await lab.reconcile(name)
    assert (await lab.conditions(name))["Ready"] == ("False", "FhirServerNotReady")
    await lab.ready("Resource")
    await lab.ready("Confidential")


async def test_two_credentials_of_one_forged_key_id_are_one_in_status(lab, service):
    """A key id of a certificate is its writer's choice; the list in status allows none twice."""
    live = await lab.live_key_id(service)
    name = (await lab.application(service))["passwordCredentials"][0]["displayName"]
    await lab.patch("fhirapp", service, {"spec": {"credential": CERTIFICATE}})
    await lab.settle(service)
    application = lab.emulator.directory.store.locate((await lab.status(service))["objectId"])
    [own] = application.document["keyCredentials"]
    forged = {**own, "keyId": live, "displayName": name}
    lab.emulator.directory.store.replace(
        application, {**application.document, "keyCredentials": [own, forged]}
    )
    lab.pass_time(timedelta(days=1, hours=-1))
    assert (await lab.settle(service)).result == "success"
    found = [each["keyId"] for each in (await lab.status(service))["credentials"]]
    assert sorted(found) == sorted({live, own["keyId"]})


async def test_a_condition_of_somebody_else_does_not_stay(lab, service):
    status = await lab.status(service)
    foreign = {"type": "Stalled", "status": "True", "reason": "Forged", "message": "",
               "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}  # fmt: skip
    pending = {"type": "ClientSecret", "nonce": "forged", "requestedAt": "2026-01-01T00:00:00Z"}
    conditions = [*status["conditions"], foreign]
    await forge(lab, service, conditions=conditions, pendingCredential=pending)
    await lab.settle(service)
    assert set(await lab.conditions(service)) == {"Ready", "Synced", "ConsentGranted"}
    assert "pendingCredential" not in await lab.status(service)
    assert not (await lab.reconcile(service)).changed


async def test_a_wiped_status_is_written_anew_without_a_second_application(lab, service):
    before = await lab.status(service)
    await forge(lab, service, **dict.fromkeys(before))
    await lab.settle(service)
    after = await lab.status(service)
    assert (after["objectId"], after["appId"]) == (before["objectId"], before["appId"])
    assert await lab.accepts(service)


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=30)])
async def test_one_lying_read_does_not_let_an_application_go(lab, service, age):
    object_id = (await lab.status(service))["objectId"]
    lab.pass_time(age)
    await lab.delete("fhirapp", service)
    lie = re.compile(r"/applications|deletedItems")
    lab.emulator.weather.add(Fault(path=lie, method="GET", times=3, status=404))
    assert (await lab.reconcile(service)).result == "waiting"
    assert (await lab.settle(service)).result == "gone"
    assert entity(lab, object_id).is_deleted


async def test_looks_at_an_application_that_stays_unseen_get_rarer(lab, service):
    await lab.delete("fhirapp", service)
    unseen = Fault(path=re.compile(r"^/v1.0/applications"), method="GET", times=9999, status=404,
                   code="Request_ResourceNotFound")  # fmt: skip
    lab.emulator.weather.add(unseen)
    pauses = []
    while (outcome := await lab.reconcile(service)).reason == "NotYetReplicated":
        pauses.append(outcome.retry_after)
        lab.pass_time(timedelta(seconds=outcome.retry_after))
    assert pauses[0] == 5
    assert pauses == sorted(pauses)
    assert max(pauses) == 60
    assert len(pauses) < 60


async def test_a_delete_that_is_answered_by_a_replica_behind_is_tried_again(lab, service):
    object_id = (await lab.status(service))["objectId"]
    await lab.delete("fhirapp", service)
    behind = Fault(path=re.compile(r"/applications/"), method="DELETE", status=404)
    lab.emulator.weather.add(behind)
    assert (await lab.reconcile(service)).result == "waiting"
    assert (await lab.settle(service)).result == "gone"
    assert entity(lab, object_id).is_deleted


async def test_an_application_restored_a_moment_ago_is_not_let_go_unseen(lab, service):
    object_id = (await lab.status(service))["objectId"]
    lab.pass_time(timedelta(hours=5))
    await (await lab.connection()).applications.delete(object_id)
    lab.emulator.directory.store.lag = timedelta(seconds=60)
    lab.pass_time(timedelta(seconds=61))
    await lab.reconcile(service)
    await lab.delete("fhirapp", service)
    assert (await lab.reconcile(service)).result == "waiting"
    lab.pass_time(timedelta(seconds=61))
    assert (await lab.settle(service)).result == "gone"
    assert entity(lab, object_id).is_deleted


async def test_a_process_that_is_behind_restores_nothing(lab, service):
    object_id = (await lab.status(service))["objectId"]
    await lab.patch("fhirapp", service, {"spec": {"displayName": "New"}})
    real, other = await lab.connection(), lab.restarted()
    look = real.applications.by_unique_name

    async def meanwhile(key):
        real.applications.by_unique_name = look
        await lab.delete("fhirapp", service)
        assert (await other.settle(service)).result == "gone"
        return await look(key)

    real.applications.by_unique_name = meanwhile
    assert (await lab.reconcile(service)).result == "waiting"
    assert entity(lab, object_id).is_deleted
    await other.world.connections.close()


@pytest.mark.parametrize("code", ["90055", "90033", "90024"])
async def test_an_answer_that_proves_nothing_publishes_nothing(lab, code):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=TOKEN, times=2, status=400, code=code))
    lab.emulator.weather.add(Fault(path=TOKEN, times=2, status=401, code="7000215"))
    await lab.settle(name)
    data = await lab.secret(name)
    made = await lab.connection()
    secret = ClientCredential(client_secret=SecretStr(data["AZURE_CLIENT_SECRET"]))
    assert await made.sign_in.probe(data["AZURE_CLIENT_ID"], secret) is Probe.ACCEPTED
    assert len([r for r in lab.emulator.requests if TOKEN.search(r.path) and r.status >= 400]) == 4


async def test_a_secret_that_cannot_be_written_gets_no_credential(lab, service):
    await lab.patch("secret", service, {"immutable": True})
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + timedelta(minutes=1))
    lab.forget_calls()
    for _ in range(5):
        assert (await lab.reconcile(service)).result == "stalled"
        lab.pass_time(timedelta(hours=2))
    assert not [call for call in lab.calls("POST") if ADD_PASSWORD.search(call.path)]
    conditions = await lab.conditions(service)
    assert conditions["Ready"] == ("True", "Succeeded")
    assert conditions["Synced"] == ("False", "SecretConflict")


async def test_a_quota_of_the_namespace_is_named(lab):
    await lab.ready("Resource")
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/secrets": "1"}}}
    path = f"/api/v1/namespaces/{lab.namespace}/resourcequotas"
    await lab.api.send(Request(method="POST", path=path, what="quota", body=quota))
    name = await lab.register("Service")
    outcome = await lab.reconcile(name)
    for _ in range(50):
        if outcome.result == "stalled":
            break
        await lab.delete("secret", name)
        outcome = await lab.reconcile(name)
    assert (await lab.conditions(name))["Stalled"] == ("True", "QuotaExceeded")


async def test_a_renewal_that_keeps_failing_leaves_few_credentials(lab, service):
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + timedelta(minutes=1))
    lab.emulator.weather.add(Fault(path=TOKEN, times=9999, status=401, code="7000215"))
    for _ in range(60):
        await lab.reconcile(service)
        lab.pass_time(timedelta(minutes=30))
    count = len((await lab.application(service))["passwordCredentials"])
    assert count <= 3
    lab.emulator.weather.clear()
    await lab.settle(service)
    lab.pass_time(timedelta(hours=50))
    await lab.settle(service)
    assert len((await lab.application(service))["passwordCredentials"]) == 1
    assert await lab.accepts(service)


@pytest.mark.parametrize(
    "tampered",
    [
        {"fhirapps.dev/key-id": "99999999-0000-0000-0000-000000000000"},
        {"fhirapps.dev/written-at": "2020-01-01T00:00:00Z"},
        {"fhirapps.dev/written-at": None},
        {"fhirapps.dev/expires-at": "2099-01-01T00:00:00Z"},
    ],
    ids=["key id", "older", "no time", "longer"],
)
async def test_annotations_that_were_tampered_with_cost_a_credential_and_no_sign_in(
    lab, service, tampered
):
    before = await lab.secret(service)
    await lab.patch("secret", service, {"metadata": {"annotations": tampered}})
    await lab.settle(service)
    assert await lab.accepts(service)
    directory = lab.emulator.directory
    assert directory.accepts(before["AZURE_CLIENT_ID"], before["AZURE_CLIENT_SECRET"])


async def test_a_credential_is_renewed_although_its_server_is_gone(lab, service):
    await lab.delete("fhirapp", "fhir-server")
    await lab.settle("fhir-server")
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + timedelta(minutes=1))
    before = await lab.secret(service)
    assert (await lab.reconcile(service)).result == "waiting"
    after = await lab.secret(service)
    assert after["AZURE_CLIENT_SECRET"] != before["AZURE_CLIENT_SECRET"]
    assert await lab.accepts(service)
    conditions = await lab.conditions(service)
    assert conditions["Ready"] == ("True", "Succeeded")
    assert conditions["Synced"] == ("False", "FhirServerNotFound")


async def test_a_long_message_is_cut_and_not_lost(lab):
    custom = [{"value": f"role-{'x' * 80}-{n}", "displayName": "r", "description": "r"}
              for n in range(90)]  # fmt: skip
    resource = {"url": "https://{uri}.clinic.example", "appRoles": {"custom": custom}}
    await lab.ready("Resource", resource=resource)
    name = await lab.register("Service", appRoles=["typo"])
    assert (await lab.reconcile(name)).result == "stalled"
    assert "and 77 more" in await lab.message(name)


async def test_a_fault_of_our_own_is_seen_in_status(lab):
    name = await lab.register("Resource")

    class Broken:
        def __getattr__(self, attribute):
            raise RuntimeError("canary")

    object.__setattr__(lab.world, "connections", Broken())
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "InternalError")
    assert "RuntimeError" in await lab.message(name)
    assert "canary" not in await lab.message(name)
    connections = _connections(lab.emulator.clock, lab.world.secrets, lab.world.sleep, lab.gate)
    object.__setattr__(lab.world, "connections", connections)


async def test_a_secret_that_was_orphaned_is_collected_after_all(lab, service):
    await lab.patch("fhirapp", service, {"spec": {"deletionPolicy": "Orphan"}})
    await lab.settle(service)
    await lab.patch("fhirapp", service, {"spec": {"deletionPolicy": "Delete"}})
    await lab.delete("fhirapp", service)
    await lab.settle(service)
    secret = await lab.read("secret", service)
    assert secret is None or secret["metadata"]["ownerReferences"]


async def test_a_400_that_is_no_missing_key_does_not_count_as_removed(lab, service):
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + timedelta(minutes=1))
    await lab.settle(service)
    lab.pass_time(timedelta(hours=25))
    remove = re.compile(r"/removePassword$")
    lab.emulator.weather.add(Fault(path=remove, status=400, code="Request_BadRequest"))
    assert (await lab.reconcile(service)).result == "stalled"
    await lab.settle(service)
    assert len((await lab.application(service))["passwordCredentials"]) == 1
