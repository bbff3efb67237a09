"""Clients that a server pre-authorizes: in without consent, whatever comes first, and out again."""

from datetime import timedelta

import pytest

from entra_emulator import Replica
from entra_emulator.directory import applications
from tests.controller.signing_in import user_answer
from tests.controller.test_grants import CONSENT, permit

pytestmark = pytest.mark.control_plane

URL = "https://{uri}.clinic.example"
EXPORT = {
    "value": "export", "adminConsentDisplayName": "a", "adminConsentDescription": "d",
}  # fmt: skip
OTHER = "24c50db1-1e11-4273-b6a0-b697f734bcb4"


def server(*clients, **fields):
    entries = [{"registrationRef": {"name": name}} for name in clients]
    return {"url": URL, "preAuthorizedClients": {"clients": entries} | fields}


async def entries(lab, name="fhir-server"):
    return (await lab.application(name))["api"]["preAuthorizedApplications"]


async def app_ids(lab):
    return {entry["appId"] for entry in await entries(lab)}


async def pre_authorize(lab, app_id):
    """Somebody does it in the portal."""
    document = await lab.application("fhir-server")
    entity = lab.emulator.directory.store.locate(document["id"])
    scopes = [scope["id"] for scope in document["api"]["oauth2PermissionScopes"]]
    found = [*await entries(lab), {"appId": app_id, "delegatedPermissionIds": scopes}]
    api = {"preAuthorizedApplications": found}
    applications.update(lab.emulator.directory, entity, {"api": api})


async def test_the_server_does_not_wait_for_its_clients_and_says_so(lab):
    name = await lab.ready("Resource", resource=server("public", "nobody"))
    assert await entries(lab) == []
    synced = await lab.message(name, "Synced")
    assert "'public': it does not exist" in synced
    assert "'nobody': it does not exist" in synced


async def test_a_user_of_a_pre_authorized_client_gets_in_without_consent(lab):
    name = await lab.ready("Resource", resource=server("public"))
    client = await lab.ready("Public")
    assert "AADSTS65001" in (await user_answer(lab, client))["error_description"]

    await lab.settle(name)

    assert (await user_answer(lab, client))["scp"] == "user_impersonation"
    assert "not pre-authorized" not in await lab.message(name, "Synced")
    lab.forget_calls()
    await lab.settle(name)
    assert lab.writes() == []


@pytest.mark.parametrize(
    ("consent", "before", "after"),
    [
        ("None", ("Unknown", "UserConsent"), ("True", "PreAuthorized")),
        ("Admin", ("False", "ConsentMissing"), ("False", "ConsentMissing")),
    ],
)
async def test_consent_does_not_miss_what_needs_none(lab, consent, before, after):
    permit(lab, *CONSENT)
    name = await lab.ready("Resource", resource=server("public"))
    client = await lab.ready("Public", consent=consent)
    assert (await lab.conditions(client))["ConsentGranted"] == before
    await lab.settle(name)
    lab.pass_time(timedelta(minutes=30))
    await lab.settle(client)
    assert (await lab.conditions(client))["ConsentGranted"] == after
    missing = "user_impersonation" in await lab.message(client, "ConsentGranted")
    assert not missing  # what is left are the scopes of Microsoft Graph


async def test_a_service_cannot_be_and_the_server_says_why(lab):
    name = await lab.ready("Resource", resource=server("service"))
    await lab.ready("Service")
    await lab.settle(name)
    assert "no user signs in" in await lab.message(name, "Synced")


async def test_a_client_that_is_gone_goes_and_those_of_others_stay(lab):
    name = await lab.ready("Resource", resource=server("public"))
    client = await lab.ready("Public")
    await lab.settle(name)
    await pre_authorize(lab, OTHER)
    await lab.delete("fhirapp", client)
    assert (await lab.settle(client)).result == "gone"

    await lab.settle(name)

    assert await app_ids(lab) == {OTHER}
    assert "1 pre-authorized client" in await lab.message(name, "Synced")


async def test_those_of_others_go_where_they_are_to(lab):
    name = await lab.ready("Resource", resource=server("public", unmanaged="Remove"))
    await lab.ready("Public")
    await lab.settle(name)
    lab.pass_time(timedelta(hours=2))
    mine = await app_ids(lab)
    await pre_authorize(lab, OTHER)
    await lab.settle(name)
    assert await app_ids(lab) == mine


async def test_what_a_status_says_of_a_client_is_not_believed(lab):
    """Whoever may write a status could name anybody's application."""
    name = await lab.ready("Resource", resource=server("public"))
    stranger = await lab.ready("Public", "stranger")
    client = await lab.register("Public")
    status = await lab.status(stranger)
    await lab.set_status(client, {k: status[k] for k in ("appId", "objectId")})
    await lab.settle(name)
    assert await entries(lab) == []


@pytest.mark.parametrize("fresh", [1, 2, 3])
async def test_a_client_that_a_replica_does_not_show_yet_keeps_its_entry(lab, fresh):
    name = await lab.ready("Resource", resource=server("public"))
    lab.pass_time(timedelta(hours=2))
    await lab.ready("Public")
    await lab.settle(name)
    replicas = lab.emulator.directory.store.replicas
    replicas.lag = timedelta(minutes=10)
    replicas.serve_in_order((Replica.LAGGING, *[Replica.FRESH] * fresh))
    lab.forget_calls()
    for _ in range(5):
        process = lab.restarted()
        await process.reconcile(name)
        await process.world.connections.close()
    assert len(await entries(lab)) == 1
    assert lab.writes() == []


async def test_a_policy_limits_what_a_server_gives_without_consent(lab):
    scopes = {"scopes": {"custom": [EXPORT]}}
    clients = {"clients": [{"appId": OTHER, "scopes": ["export"]}]}
    await lab.patch("tenant", lab.tenant, {"spec": {"policy": {"scopes": ["user_*"]}}})
    name = await lab.ready("Resource", resource={"url": URL} | scopes)

    await lab.patch("fhirapp", name, {"spec": {"resource": {"preAuthorizedClients": clients}}})
    assert (await lab.settle(name)).result == "stalled"
    assert "scope 'export' for the pre-authorized client" in await lab.message(name, "Stalled")
    assert await entries(lab) == []

    await lab.patch("tenant", lab.tenant, {"spec": {"policy": {"scopes": ["user_*", "export"]}}})
    await lab.settle(name)
    assert await app_ids(lab) == {OTHER}

    narrow = {"scopes": ["user_*"], "existing": "Withdraw"}
    await lab.patch("tenant", lab.tenant, {"spec": {"policy": narrow}})
    assert (await lab.settle(name)).result == "stalled"
    assert await entries(lab) == []
