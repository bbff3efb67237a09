"""How many clients a FHIR server has, and what that means for its deletion."""

import pytest

from fhir_app_operator.api.v1alpha1 import FhirAppRegistration
from fhir_app_operator.controller.census import Census
from fhir_app_operator.controller.keys import Index, RegistrationKey
from fhir_app_operator.controller.reconciler import Reconciler
from tests.controller.test_references import SERVER, across, allowing

KEY = RegistrationKey("clinic", SERVER)
PROTECTED = {"deletionProtection": "Enabled"}


def server(**clients):
    spec = {
        "type": "Resource",
        "resource": {"url": "https://fhir.clinic.example", "allowedClients": clients or None},
    }
    metadata = {"namespace": "clinic", "name": SERVER, "uid": "uid-server"}
    return FhirAppRegistration.model_validate({"metadata": metadata, "spec": spec})


def client(name, namespace="clinic"):
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid-{namespace}-{name}"},
        "spec": {"fhirServerRef": {"name": SERVER, "namespace": "clinic"}},
    }


class Listing:
    """The registrations of a cluster; counts how often they were listed."""

    def __init__(self, *bodies):
        self.bodies = bodies
        self.asked = 0

    async def all(self):
        self.asked += 1
        for body in self.bodies:
            yield body


def seen(index, *bodies):
    for body in bodies:
        meta = body["metadata"]
        index.update(RegistrationKey(meta["namespace"], meta["name"]), body)


async def test_a_server_is_not_counted_before_the_index_is_complete():
    index, listing = Index(), Listing(client("a"), client("b"))
    census = Census(index, listing)
    seen(index, client("a"))
    assert await census.of_server(server()) is None
    seen(index, client("b"))
    assert await census.of_server(server()) == 2
    seen(index, client("c"))
    assert await census.of_server(server()) == 3
    assert listing.asked == 2


async def test_only_those_count_that_may_refer_to_the_server():
    bodies = [client("a"), client("b", "friends"), client("c", "labelled"), client("d", "others")]
    index = Index()
    seen(index, *bodies)
    census = Census(index, Listing(*bodies))
    assert await census.of_server(server()) == 1
    assert await census.of_server(server(namespaces=["friends"])) == 2
    selector = {"matchLabels": {"team": "research"}}
    both = server(namespaces=["friends"], selector=selector)
    assert await census.of_server(both) is None
    index.label("labelled", {"team": "research"})
    index.label("others", {})
    assert await census.of_server(both) == 3
    index.label("labelled", None)
    assert await census.of_server(both) is None


@pytest.mark.control_plane
async def test_status_counts_clients_and_wakes_none_of_them_for_it(lab):
    counts = iter((0, 2, 2, None, 3))

    async def count(_server):
        return next(counts)

    key = RegistrationKey(lab.namespace, await lab.register("Resource"))
    reconciler = Reconciler(lab.world, count)
    assert (await reconciler.reconcile(key)).changed
    assert (await lab.status(SERVER))["clients"] == 0
    grown = await reconciler.reconcile(key)
    assert (await lab.status(SERVER))["clients"] == 2
    assert not grown.changed
    version = (await lab.read("fhirapp", SERVER))["metadata"]["resourceVersion"]
    await reconciler.reconcile(key)
    unknown = await reconciler.reconcile(key)
    assert (await lab.read("fhirapp", SERVER))["metadata"]["resourceVersion"] == version
    assert unknown.due.total_seconds() <= 60
    await reconciler.reconcile(key)
    assert (await lab.status(SERVER))["clients"] == 3


@pytest.mark.control_plane
async def test_clients_have_no_clients(lab, service):
    assert "clients" not in await lab.status(service)


@pytest.mark.control_plane
async def test_a_protected_server_goes_when_its_last_client_has_gone(lab):
    other = await lab.neighbour()
    await lab.ready("Resource", resource=allowing(lab, namespaces=[other.namespace]) | PROTECTED)
    near, far = (
        await lab.ready("Service", "near"),
        await other.ready("Service", "far", **across(lab)),
    )
    await lab.delete("fhirapp", SERVER)
    await lab.reconcile(SERVER)
    assert (await lab.conditions(SERVER))["Ready"] == ("False", "InUse")
    message = await lab.message(SERVER)
    assert "waits for 2 registration(s)" in message
    assert f"{lab.namespace}/{near}" in message
    assert f"{other.namespace}/{far}" in message
    assert "InUse" in {event["reason"] for event in await lab.events(SERVER)}
    assert not lab.emulator.directory.store.locate(
        (await lab.status(SERVER))["objectId"]
    ).is_deleted

    await lab.delete("fhirapp", near)
    await lab.settle(near)
    await lab.reconcile(SERVER)
    assert "waits for 1 registration(s)" in await lab.message(SERVER)
    await other.delete("fhirapp", far)  # What is going itself holds up nobody.
    assert (await lab.settle(SERVER)).result == "gone"
    assert (await other.settle(far)).result == "gone"


@pytest.mark.control_plane
async def test_a_stranger_who_guesses_the_name_cannot_hold_a_server_up(lab):
    other = await lab.neighbour()
    await lab.ready("Resource", resource=allowing(lab, namespaces=["friends"]) | PROTECTED)
    await other.register("Service", **across(lab))
    await lab.delete("fhirapp", SERVER)
    assert (await lab.settle(SERVER)).result == "gone"


@pytest.mark.control_plane
@pytest.mark.parametrize(
    "way_out",
    [
        {"resource": {"deletionProtection": "Disabled"}},
        {"deletionPolicy": "Orphan"},
    ],
)
async def test_protection_can_be_taken_off_and_does_not_hold_what_stays(lab, way_out):
    await lab.ready("Resource", resource=allowing(lab) | PROTECTED | {"allowedClients": None})
    await lab.ready("Service")
    await lab.delete("fhirapp", SERVER)
    assert (await lab.reconcile(SERVER)).result == "waiting"
    await lab.patch("fhirapp", SERVER, {"spec": way_out})
    assert (await lab.settle(SERVER)).result == "gone"
