"""`secret.configMap` and the service binding, through whole passes."""

from dataclasses import replace

import pytest

from fhir_app_operator.controller.preview import details, preview
from tests.controller.test_deletion import deleted

pytestmark = pytest.mark.control_plane

FACTS = {"configMap": {"name": "facts"}}


async def facts(lab, name="facts"):
    body = await lab.read("configmap", name)
    return body and body["data"]


@pytest.fixture
async def client(lab):
    """A Service with a ConfigMap, ready."""
    await lab.ready("Resource")
    return await lab.ready("Service", secret=FACTS)


async def test_it_says_what_the_secret_says_but_for_the_credential(lab, client):
    data = await lab.secret(client)
    credential = data.pop("AZURE_CLIENT_SECRET")
    assert await facts(lab) == data
    assert credential not in str(await lab.read("configmap", "facts"))
    assert (await lab.status(client))["configMapName"] == "facts"
    (owner,) = (await lab.read("configmap", "facts"))["metadata"]["ownerReferences"]
    assert owner["name"] == client


async def test_a_second_pass_and_a_renewal_leave_it_alone(lab, client):
    version = (await lab.read("configmap", "facts"))["metadata"]["resourceVersion"]
    await lab.delete("secret", client)
    await lab.settle(client)
    assert await lab.accepts(client)
    assert (await lab.read("configmap", "facts"))["metadata"]["resourceVersion"] == version


async def test_what_was_edited_or_deleted_is_put_right_and_said(lab, client):
    before = await facts(lab)
    await lab.patch("configmap", "facts", {"data": {"FHIR_SCOPE": "x", "MORE": "1"}})
    await lab.settle(client)
    assert await facts(lab) == before
    assert any("config_map" in event["note"] for event in await lab.events(client))
    await lab.delete("configmap", "facts")
    outcome = await lab.settle(client)
    assert (outcome.repaired, await facts(lab)) == (("config_map",), before)


async def test_it_goes_when_nobody_asks_for_it_any_more(lab, client):
    await lab.patch("fhirapp", client, {"spec": {"secret": {"configMap": None}}})
    await lab.settle(client)
    assert await facts(lab) is None
    assert "configMapName" not in await lab.status(client)


async def test_another_name_moves_it(lab, client):
    before = await facts(lab)
    await lab.patch("fhirapp", client, {"spec": {"secret": {"configMap": {"name": "other"}}}})
    await lab.settle(client)
    assert (await facts(lab), await facts(lab, "other")) == (None, before)
    assert (await lab.status(client))["configMapName"] == "other"


async def test_a_plan_shows_what_becomes_of_it(lab, client):
    await lab.patch("fhirapp", client, {"spec": {"secret": {"configMap": {"name": "other"}}}})
    shown = (await preview(lab.world, lab.namespace, client)).actions
    assert [(type(action).__name__, details(action)) for action in shown] == [
        ("DeleteConfigMap", "name facts"),
        ("WriteConfigMap", "name other"),
    ]
    assert await facts(lab, "other") is None


async def test_one_of_somebody_else_is_not_deleted_whatever_status_says(lab, client):
    await lab.delete("configmap", "facts")
    theirs = {"metadata": {"name": "facts"}, "data": {"theirs": "1"}}
    await lab.create("configmap", theirs)
    await lab.patch("fhirapp", client, {"spec": {"secret": {"configMap": None}}})
    await lab.settle(client)
    assert await facts(lab) == {"theirs": "1"}


async def test_a_foreign_one_is_untouched_and_nothing_is_made_in_entra(lab):
    await lab.ready("Resource")
    await lab.create("configmap", {"metadata": {"name": "facts"}, "data": {"theirs": "1"}})
    name = await lab.register("Service", secret=FACTS)
    lab.forget_calls()
    assert (await lab.reconcile(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "ConfigMapConflict")
    assert lab.writes() == []
    assert await facts(lab) == {"theirs": "1"}
    await lab.delete("configmap", "facts")
    await lab.settle(name)
    assert "FHIR_SCOPE" in await facts(lab)


async def test_two_registrations_do_not_share_one(lab, client):
    before = await facts(lab)
    other = await lab.register("Service", "other", secret=FACTS)
    await lab.settle(other)
    assert (await lab.conditions(other))["Stalled"] == ("True", "ConfigMapConflict")
    assert await facts(lab) == before


async def test_a_conflict_does_not_keep_a_credential_from_being_repaired(lab, service):
    await lab.create("configmap", {"metadata": {"name": "facts"}, "data": {"theirs": "1"}})
    await lab.patch("fhirapp", service, {"spec": {"secret": FACTS}})
    assert (await lab.settle(service)).result == "stalled"
    empty = {"data": {"AZURE_CLIENT_SECRET": "eA=="}}
    await lab.patch("secret", service, empty)
    assert (await lab.settle(service)).result == "stalled"
    assert await lab.accepts(service)


async def test_it_stays_with_the_secret_where_the_registration_is_orphaned(lab, client):
    before = await facts(lab)
    await lab.patch("fhirapp", client, {"spec": {"deletionPolicy": "Orphan"}})
    await deleted(lab, client)
    assert (await lab.settle(client)).result == "gone"
    body = await lab.read("configmap", "facts")
    assert body["data"] == before
    assert "ownerReferences" not in body["metadata"]


async def test_where_none_is_asked_for_no_config_map_is_looked_at(lab):
    lab.world = replace(lab.world, config_maps=None)
    await lab.ready("Resource")
    name = await lab.ready("Service")
    await lab.settle(name)
    await deleted(lab, name)
    assert (await lab.settle(name)).result == "gone"


async def test_a_registration_with_the_keys_of_a_service_binding_offers_its_secret(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service", secret={"presets": ["ServiceBinding"]})
    assert (await lab.status(name))["binding"] == {"name": name}
    assert (await lab.secret(name))["type"] == "oauth2"
    await lab.patch("fhirapp", name, {"spec": {"secret": {"presets": ["AzureSdk"]}}})
    await lab.settle(name)
    assert "binding" not in await lab.status(name)
