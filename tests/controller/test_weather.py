"""What the directory answers when it is slow, behind, throttled, hostile or changed by hand."""

import re
from datetime import timedelta

import pytest

from entra_emulator import Fault
from fhir_app_operator.planning.model import ApplicationChanges

pytestmark = pytest.mark.control_plane

GRAPH = re.compile(r"^/v1.0/")
TOKEN = re.compile(r"/oauth2/v2.0/token$")


async def application(lab, name):
    found = await (await lab.connection()).applications.by_object_id(
        (await lab.status(name))["objectId"]
    )
    assert found is not None
    return found


async def test_a_ready_registration_stays_ready_through_an_outage_and_says_so_once(lab, service):
    lab.emulator.weather.add(Fault(path=GRAPH, times=999, status=503))
    assert (await lab.reconcile(service)).changed
    conditions = await lab.conditions(service)
    assert conditions["Ready"] == ("True", "Succeeded")
    assert conditions["Synced"] == ("False", "GraphUnavailable")
    before = (await lab.read("fhirapp", service))["metadata"]["resourceVersion"]
    assert not (await lab.reconcile(service)).changed
    assert (await lab.read("fhirapp", service))["metadata"]["resourceVersion"] == before
    lab.emulator.weather.clear()
    await lab.settle(service)
    assert (await lab.conditions(service))["Synced"] == ("True", "Succeeded")


async def test_a_new_registration_waits_for_better_weather(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=GRAPH, times=999, status=503))
    assert (await lab.reconcile(name)).result == "waiting"
    conditions = await lab.conditions(name)
    assert conditions["Ready"] == ("False", "GraphUnavailable")
    assert conditions["Reconciling"] == ("True", "ProgressingWithRetry")
    assert (await lab.status(name))["observedGeneration"] == -1
    assert "request-id" in await lab.message(name)


async def test_retry_after_is_handed_to_the_queue(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=GRAPH, times=1, status=429, retry_after=77))
    outcome = await lab.reconcile(name)
    assert (outcome.result, outcome.retry_after, outcome.throttled) == ("waiting", 77.0, True)
    assert (await lab.conditions(name))["Ready"] == ("False", "GraphThrottled")


async def test_a_short_retry_after_is_waited_for_in_place(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=GRAPH, times=1, status=429, retry_after=2))
    assert (await lab.reconcile(name)).result == "success"


@pytest.mark.parametrize("seconds", [3, 20])
async def test_replication_lag_only_takes_time(lab, seconds):
    lab.emulator.directory.store.lag = timedelta(seconds=seconds)
    server = await lab.register("Resource")
    name = await lab.register("Service")
    for registration in (server, name):
        for _ in range(40):
            if (await lab.reconcile(registration)).result == "success":
                break
            lab.pass_time(timedelta(seconds=2))
        assert (await lab.conditions(registration))["Ready"] == ("True", "Succeeded")
    assert await lab.accepts(name)
    kinds = [entity for entity in lab.emulator.directory.store.all("application")
             if lab.namespace in str(entity.document.get("displayName"))]  # fmt: skip
    assert len(kinds) == 2


async def test_a_token_that_was_revoked_is_replaced_without_anybody_noticing(lab, service):
    lab.emulator.weather.add(
        Fault(path=GRAPH, times=1, status=401, code="InvalidAuthenticationToken")
    )
    assert (await lab.reconcile(service)).result == "success"
    assert (await lab.conditions(service))["Synced"] == ("True", "Succeeded")


async def test_the_operators_own_sign_in_is_the_tenants_fault(lab):
    await lab.patch(
        "tenant", lab.tenant, {"spec": {"auth": {"clientSecret": {"secretRef": {"name": "none"}}}}}
    )
    name = await lab.register("Resource")
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "TenantNotReady")


async def test_a_missing_permission_is_a_persons_matter_and_named(lab):
    name = await lab.register("Resource")
    denied = Fault(path=GRAPH, times=99, status=403, code="Authorization_RequestDenied")
    lab.emulator.weather.add(denied)
    assert (await lab.reconcile(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "PermissionDenied")
    assert "Application.ReadWrite.OwnedBy" in await lab.message(name)
    assert (await lab.status(name))["observedGeneration"] == 1


async def test_an_identifier_uri_that_is_taken_names_its_holder(lab):
    await lab.ready("Resource")
    uri = f"https://{lab.namespace}.clinic.example"
    name = await lab.register("Resource", "second", resource={"url": uri})
    await lab.reconcile(name)
    assert (await lab.conditions(name))["Stalled"] == ("True", "IdentifierUriTaken")
    assert f"FhirAppRegistration {lab.namespace}/fhir-server" in await lab.message(name)


async def test_an_identifier_uri_on_a_foreign_domain_says_what_it_must_hold(lab):
    name = await lab.register("Resource", resource={"url": "https://fhir.elsewhere.example"})
    await lab.reconcile(name)
    assert (await lab.conditions(name))["Stalled"] == ("True", "IdentifierUriNotVerified")
    assert "verified domain" in await lab.message(name)


async def test_an_application_without_our_tag_is_never_written_to(lab, service):
    app = await application(lab, service)
    tags = frozenset({"fhirapps.dev/owner:other-cluster/uid"})
    await (await lab.connection()).applications.update(
        app, ApplicationChanges(tags=tags), young=False
    )
    lab.forget_calls()
    await lab.delete("secret", service)
    assert (await lab.reconcile(service)).result == "stalled"
    assert (await lab.conditions(service))["Stalled"] == ("True", "OwnershipConflict")
    assert "other-cluster" in await lab.message(service)
    assert lab.writes() == []


async def test_drift_is_repaired_with_the_smallest_patch(lab, service):
    app = await application(lab, service)
    changes = ApplicationChanges(
        display_name="Renamed", web_redirect_uris=frozenset({"https://evil.example/"})
    )
    await (await lab.connection()).applications.update(app, changes, young=False)
    lab.forget_calls()
    await lab.settle(service)
    assert len(lab.writes()) == 1
    document = await lab.application(service)
    assert document["displayName"] == f"{lab.namespace}/service"
    assert document["web"]["redirectUris"] == []


async def test_an_application_deleted_by_hand_is_restored_with_its_service_principal(lab, service):
    before = await lab.status(service)
    await (await lab.connection()).applications.delete(before["objectId"])
    await lab.settle(service)
    after = await lab.status(service)
    assert (after["appId"], after["servicePrincipalId"]) == (
        before["appId"], before["servicePrincipalId"],
    )  # fmt: skip
    assert await lab.accepts(service)


async def test_an_application_deleted_for_good_is_never_made_again_behind_anybodys_back(
    lab, service
):
    object_id = (await lab.status(service))["objectId"]
    made = await lab.connection()
    await made.applications.delete(object_id)
    lab.emulator.directory.store.remove(lab.emulator.directory.store.locate(object_id))
    lab.forget_calls()
    assert (await lab.reconcile(service)).result == "waiting"
    lab.pass_time(timedelta(minutes=31))
    assert (await lab.reconcile(service)).result == "stalled"
    assert (await lab.conditions(service))["Stalled"] == ("True", "ApplicationDeleted")
    assert lab.writes() == []


async def test_an_unreadable_ca_is_the_tenants_fault(lab):
    broken = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"
    await lab.patch("tenant", lab.tenant, {"spec": {"caBundle": broken}})
    await lab.tenants.reconcile(lab.tenant)
    tenant = await lab.read("tenant", lab.tenant)
    ready = tenant["status"]["conditions"][0]
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert "caBundle" in ready["message"]


async def test_an_untrusted_certificate_fails_closed(lab):
    await lab.patch("tenant", lab.tenant, {"spec": {"caBundle": None}})
    name = await lab.register("Resource")
    assert (await lab.reconcile(name)).result == "waiting"
    assert "caBundle" in await lab.message(name)
    assert len(lab.emulator.requests) == 0
