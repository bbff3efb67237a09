"""Clients and servers in different namespaces, and what a neighbour can learn of a server."""

from dataclasses import replace

import pytest

from fhir_app_operator.controller.keys import Index, RegistrationKey, TenantKey
from fhir_app_operator.controller.loop import server_beside
from fhir_app_operator.kube.namespaces import Namespaces
from fhir_app_operator.kube.registrations import Registrations
from fhir_app_operator.kube.secrets import Secrets
from tests.controller.lab import resource_path

SERVER = "fhir-server"


def allowing(lab, **clients):
    return {"url": f"https://{lab.namespace}.clinic.example", "allowedClients": clients}


def across(lab):
    return {"fhirServerRef": {"name": SERVER, "namespace": lab.namespace}}


async def allow(lab, **clients):
    await lab.patch("fhirapp", SERVER, {"spec": {"resource": {"allowedClients": clients or None}}})
    await lab.settle(SERVER)


async def label(other, **labels):
    await other.patch("namespace", other.namespace, {"metadata": {"labels": labels}})


async def what_is_told(lab, name):
    """All that somebody in the namespace can see of a registration, but for times."""
    live = await lab.read("fhirapp", name)
    conditions = [
        {key: value for key, value in each.items() if key != "lastTransitionTime"}
        for each in live["status"].pop("conditions")
    ]
    events = sorted((e["type"], e["reason"], e["note"]) for e in await lab.events(name))
    return live["status"], conditions, events, live["metadata"].get("finalizers")


@pytest.mark.control_plane
async def test_a_server_that_lists_the_namespace_serves_its_clients(lab):
    other = await lab.neighbour()
    await lab.ready("Resource", resource=allowing(lab, namespaces=[other.namespace]))
    name = await other.ready("Service", **across(lab))
    there, here = await lab.secret(SERVER), await other.secret(name)
    assert here["FHIR_AUDIENCE"] == there["FHIR_AUDIENCE"]
    assert here["FHIR_SERVER_URL"] == there["FHIR_SERVER_URL"]


@pytest.mark.control_plane
async def test_labels_of_the_namespace_decide_where_a_selector_does(lab):
    other = await lab.neighbour(team="research")
    selector = {"matchLabels": {"team": "research"}}
    await lab.ready("Resource", resource=allowing(lab, selector=selector))
    name = await other.ready("Service", **across(lab))
    before = await other.secret(name)

    await label(other, team="billing")
    await other.reconcile(name)
    conditions = await other.conditions(name)
    assert conditions["Ready"] == ("True", "Succeeded")
    assert conditions["Synced"] == ("False", "FhirServerNotFound")
    assert await other.secret(name) == before

    await label(other, team="research")
    await other.settle(name)
    assert (await other.conditions(name))["Synced"] == ("True", "Succeeded")


@pytest.mark.control_plane
async def test_client_and_server_may_come_in_any_order(lab):
    other = await lab.neighbour()
    name = await other.register("Confidential", **across(lab))
    await other.reconcile(name)
    assert (await other.conditions(name))["Ready"] == ("False", "FhirServerNotFound")
    await lab.register("Resource", resource=allowing(lab, namespaces=[other.namespace]))
    await other.reconcile(name)
    assert (await other.conditions(name))["Ready"] == ("False", "FhirServerNotReady")
    await lab.settle(SERVER)
    await other.settle(name)
    assert (await other.conditions(name))["Ready"] == ("True", "Succeeded")


@pytest.mark.control_plane
async def test_what_a_server_withdraws_its_clients_keep(lab):
    other = await lab.neighbour()
    await lab.ready("Resource", resource=allowing(lab, namespaces=[other.namespace]))
    name = await other.ready("Service", **across(lab))
    await allow(lab, namespaces=["somebody-else"])
    await other.reconcile(name)
    assert (await other.conditions(name))["Synced"] == ("False", "FhirServerNotFound")
    assert await other.accepts(name)


async def a_server_of_others(lab, name):
    resource = {"url": f"https://{name}.clinic.example", "allowedClients": {"namespaces": ["a"]}}
    await lab.ready("Resource", name, resource=resource)


async def a_server_for_labels_that_are_not_there(lab, name):
    selector = {"matchLabels": {"team": "friends"}}
    resource = {
        "url": f"https://{name}.clinic.example", "allowedClients": {"selector": selector},
    }  # fmt: skip
    await lab.ready("Resource", name, resource=resource)


async def a_server_that_is_not_ready(lab, name):
    await lab.register("Resource", name, suspend=True)


async def a_client_of_that_name(lab, name):
    await lab.register("Service", name)


async def a_server_that_is_being_deleted(lab, name):
    await a_server_of_others(lab, name)
    await lab.delete("fhirapp", name)


WORLDS = (
    a_server_of_others, a_server_for_labels_that_are_not_there, a_server_that_is_not_ready,
    a_client_of_that_name, a_server_that_is_being_deleted,
)  # fmt: skip


@pytest.mark.control_plane
@pytest.mark.parametrize("kind", ["Confidential", "Service"])
async def test_no_server_and_a_forbidden_one_read_exactly_alike(lab, kind):
    other, seen = await lab.neighbour(), []
    for number, world in enumerate((None, *WORLDS)):
        server, spy = f"server-{number}", f"spy-{number}"
        if world is not None:
            await world(lab, server)
        reference = {"name": server, "namespace": lab.namespace}
        await other.register(kind, spy, fhirServerRef=reference)
        other.forget_calls()
        outcome, again = await other.reconcile(spy), await other.reconcile(spy)
        assert other.calls() == []
        told = (await what_is_told(other, spy), outcome.result, outcome.reason,
                outcome.retry_after, outcome.throttled, again.changed)  # fmt: skip
        seen.append(str(told).replace(server, "SERVER").replace(spy, "SPY"))
    assert "FhirServerNotFound" in seen[0]
    assert set(seen) == {seen[0]}


class Recorded:
    """An API server that notes what it is asked."""

    def __init__(self, api):
        self.api = api
        self.asked = []

    async def get(self, path, *args):
        self.asked.append(("GET", path))
        return await self.api.get(path, *args)

    async def send(self, request):
        self.asked.append((request.method, request.path))
        return await self.api.send(request)


@pytest.mark.control_plane
@pytest.mark.parametrize("world", WORLDS)
async def test_a_forbidden_server_costs_the_same_calls_as_none(lab, world):
    """The time that a pass takes must not tell what its words do not."""
    other = await lab.neighbour()
    name = await other.register("Service", **across(lab))
    await other.reconcile(name)
    recorded = Recorded(lab.api)
    seen = replace(
        other.world, registrations=Registrations(recorded), namespaces=Namespaces(recorded),
        secrets=Secrets(recorded),
    )  # fmt: skip
    other = replace(other, world=seen)
    await other.reconcile(name)
    without = list(recorded.asked)
    await world(lab, SERVER)
    recorded.asked.clear()
    await other.reconcile(name)
    assert ("GET", resource_path("fhirapp", lab.namespace, SERVER)) in without
    assert recorded.asked == without


@pytest.mark.control_plane
async def test_a_server_that_goes_leaves_its_clients_their_secret(lab, service):
    before = await lab.secret(service)
    await lab.delete("fhirapp", SERVER)
    await lab.reconcile(service)
    assert "is being deleted" in await lab.message(service, "Synced")
    assert (await lab.settle(SERVER)).result == "gone"
    await lab.reconcile(service)
    assert (await lab.conditions(service))["Synced"] == ("False", "FhirServerNotFound")
    assert await lab.secret(service) == before
    assert await lab.accepts(service)


def test_the_index_knows_servers_in_other_namespaces():
    index, client = Index(), RegistrationKey("research", "ingest")
    reference = {"name": SERVER, "namespace": "clinic"}
    index.update(client, {"metadata": {"uid": "u"}, "spec": {"fhirServerRef": reference}})
    assert index.clients_of(RegistrationKey("clinic", SERVER)) == [client]
    assert index.clients_of(RegistrationKey("research", SERVER)) == []


def test_nobody_waits_for_a_server_in_another_namespace():
    """How long that takes would tell whether there is one."""
    index = Index()
    for name, namespace in (("beside", "clinic"), ("across", "elsewhere")):
        reference = {"name": SERVER, "namespace": namespace}
        body = {"metadata": {"uid": name}, "spec": {"fhirServerRef": reference}}
        index.update(RegistrationKey("clinic", name), body)
    assert server_beside(index, RegistrationKey("clinic", "beside")) is not None
    assert server_beside(index, RegistrationKey("clinic", "across")) is None
    assert server_beside(index, TenantKey("default")) is None
