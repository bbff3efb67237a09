"""Clients of FHIR servers that have no registration: what they get, and what they cannot reach."""

import uuid

import pytest

from fhir_app_operator.planning.model import ApplicationChanges, AppRole
from tests.controller.test_hostile import forge

pytestmark = pytest.mark.control_plane

URL = "https://fhir.hospital.example"
READER = AppRole(
    id=str(uuid.uuid4()), value="globalReader", display_name="Reader", description="Reads",
    allowed_member_types=frozenset({"Application"}),
)  # fmt: skip


async def api(lab, *roles, principal=True):
    """An API that somebody made by hand; its client id."""
    connection = await lab.connection()
    changes = ApplicationChanges(
        display_name="Hospital", sign_in_audience="AzureADMyOrg", app_roles=roles
    )
    made = await connection.applications.upsert(f"by-hand-{uuid.uuid4()}", changes)
    if principal:
        await connection.service_principals.upsert(made.app_id, young=True)
    return made


def at(app_id, **address):
    return {"fhirServerRef": None, "fhirServer": {"url": URL, "appId": app_id} | address}


async def test_a_client_gets_its_facts_from_its_own_manifest(lab):
    made = await api(lab, READER)
    name = await lab.ready("Service", **at(made.app_id, audience="api://hospital"))
    data = await lab.secret(name)
    assert data["FHIR_SERVER_URL"] == URL
    assert data["FHIR_AUDIENCE"] == "api://hospital"
    assert data["FHIR_SCOPE"] == "api://hospital/.default"
    (asked,) = (await lab.application(name))["requiredResourceAccess"]
    assert asked == {
        "resourceAppId": made.app_id, "resourceAccess": [{"id": READER.id, "type": "Role"}],
    }  # fmt: skip


async def test_a_settled_client_asks_nothing_about_its_server(lab):
    made = await api(lab, READER)
    name = await lab.ready("Service", **at(made.app_id))
    lab.forget_calls()
    assert not (await lab.reconcile(name)).changed
    assert [call.path for call in lab.calls() if made.app_id in call.path] == []


async def test_a_role_is_looked_up_when_it_is_asked_for(lab):
    made = await api(lab)
    name = await lab.register("Service", **at(made.app_id))
    await lab.settle(name)
    assert (await lab.conditions(name))["Ready"] == ("False", "ScopeNotFound")
    changes = ApplicationChanges(app_roles=(READER,))
    await (await lab.connection()).applications.update(made, changes, young=True)
    await lab.settle(name)
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")


async def test_an_api_that_is_not_there_is_waited_for(lab):
    made = await api(lab, READER, principal=False)
    name = await lab.register("Service", **at(made.app_id))
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "FhirServerNotFound")
    await (await lab.connection()).service_principals.upsert(made.app_id, young=True)
    await lab.settle(name)
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")


async def test_the_client_id_of_a_registered_server_opens_no_side_door(lab):
    """`allowedClients` would be worth nothing: client ids are no secrets."""
    await lab.ready("Resource")
    other = await lab.neighbour()
    app_id = (await lab.status("fhir-server"))["appId"]
    told = []
    for number, server in enumerate((app_id, str(uuid.uuid4()))):
        name = await other.register("Service", f"spy-{number}", **at(server))
        other.forget_calls()
        outcome = await other.reconcile(name)
        calls = [call.path.replace(server, "APP") for call in other.calls()]
        message = (await other.message(name)).replace(server, "APP")
        told.append((message, calls, outcome.result, outcome.reason, await other.conditions(name)))
    assert told[0] == told[1]
    assert told[0][3] == "FhirServerNotFound"
    assert await other.secret("spy-0") is None


async def test_a_forged_ready_opens_no_side_door_either(lab):
    await lab.ready("Resource")
    other = await lab.neighbour()
    app_id = (await lab.status("fhir-server"))["appId"]
    name = await other.register("Service", **at(app_id))
    await other.reconcile(name)
    live = await other.read("fhirapp", name)
    kept = [c for c in live["status"]["conditions"] if c["type"] not in ("Ready", "Synced")]
    await forge(other, name, conditions=[*kept, *(
        {
            "type": kind, "status": "True", "reason": "Succeeded", "message": "Done",
            "observedGeneration": live["metadata"]["generation"],
            "lastTransitionTime": live["status"]["conditions"][0]["lastTransitionTime"],
        }
        for kind in ("Ready", "Synced")
    )])  # fmt: skip
    assert (await other.reconcile(name)).reason == "FhirServerNotFound"
    assert "objectId" not in await other.status(name)


async def asking(other, app_id, name="client"):
    """A client of its own namespace's server that asks for a role of another API."""
    return await other.register(
        "Service", name, fhirServerRef={"name": "mine"},
        additionalPermissions=[{"appId": app_id, "appRoles": ["globalReader"]}],
    )  # fmt: skip


async def neighbour(lab, **labels):
    other = await lab.neighbour(**labels)
    url = f"https://mine-{other.namespace}.clinic.example"
    await other.ready("Resource", "mine", resource={"url": url})
    return other


async def test_an_additional_permission_on_a_registered_server_reads_as_on_none(lab):
    """Neither what it exposes is told, nor is anything of it asked for, whatever is looked at."""
    await lab.ready("Resource")
    other = await neighbour(lab)
    app_id = (await lab.status("fhir-server"))["appId"]
    told = []
    for number, api_id in enumerate((app_id, str(uuid.uuid4()))):
        name = await asking(other, api_id, f"spy-{number}")
        for _ in range(2):
            other.forget_calls()
            outcome = await other.reconcile(name)
            calls = [call.path.replace(api_id, "APP") for call in other.calls()]
            message = (await other.message(name)).replace(api_id, "APP")
            told.append((message, [c for c in calls if "APP" in c], outcome.reason))
    assert told[:2] == told[2:]
    assert told[0][2] == "ScopeNotFound"
    assert "is not in this tenant" in told[0][0]
    assert "objectId" not in await other.status("spy-0")


async def test_a_server_that_allows_the_namespace_may_be_asked_for_more(lab):
    await lab.ready("Resource")
    app_id = (await lab.status("fhir-server"))["appId"]
    other = await neighbour(lab, team="research")
    name = await asking(other, app_id)
    assert (await other.settle(name)).reason == "ScopeNotFound"
    for allowed in ({"namespaces": [other.namespace]},
                    {"selector": {"matchLabels": {"team": "research"}}}):  # fmt: skip
        await lab.patch("fhirapp", "fhir-server", {"spec": {"resource": {"allowedClients": None}}})
        await lab.patch("fhirapp", "fhir-server",
                        {"spec": {"resource": {"allowedClients": allowed}}})  # fmt: skip
        await other.settle(name)
        assert (await other.conditions(name))["Ready"] == ("True", "Succeeded")
        access = (await other.application(name))["requiredResourceAccess"]
        assert app_id in [each["resourceAppId"] for each in access]
        other.forget_calls()
        assert not (await other.reconcile(name)).changed
        assert [call.path for call in other.calls() if app_id in call.path] == []
    await lab.patch("fhirapp", "fhir-server", {"spec": {"resource": {"allowedClients": None}}})
    assert (await other.settle(name)).reason == "ScopeNotFound"
