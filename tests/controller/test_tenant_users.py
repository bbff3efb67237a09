"""Who uses a tenant: counted by the index when that is complete, never trusted for a release."""

import pytest

from fhir_app_operator.controller.census import Census
from fhir_app_operator.controller.keys import Index, RegistrationKey
from fhir_app_operator.controller.tenants import TenantReconciler


def body(name, tenant="default"):
    return {
        "metadata": {"namespace": "clinic", "name": name, "uid": f"uid-{name}"},
        "spec": {"tenantRef": {"name": tenant}},
    }


class Listing:
    """The registrations of a cluster; counts how often they were listed."""

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.asked = 0

    async def all(self):
        self.asked += 1
        for body in self.bodies:
            yield body


def seen(index, *bodies):
    for one in bodies:
        index.update(RegistrationKey("clinic", one["metadata"]["name"]), one)


async def test_an_incomplete_index_is_not_trusted():
    index, listing = Index(), Listing(body("a"), body("b"), body("c", "other"))
    count = Census(index, listing).of_tenant
    seen(index, body("a"))
    assert await count("default") == 2
    assert await count("default") == 2
    assert listing.asked == 2


async def test_a_complete_index_saves_the_listing():
    index, listing = Index(), Listing(body("a"), body("b"))
    count = Census(index, listing).of_tenant
    seen(index, body("a"), body("b"))
    assert await count("default") == 2
    seen(index, body("c"))
    assert await count("default") == 3
    assert await count("other") == 0
    assert listing.asked == 1


@pytest.mark.control_plane
async def test_a_tenant_in_use_is_held_whatever_the_count_says(lab):
    async def nobody(_tenant):
        return 0

    await lab.ready("Resource")
    await lab.delete("tenant", lab.tenant)
    outcome = await TenantReconciler(lab.world, nobody).reconcile(lab.tenant)
    assert outcome.result == "success"
    assert (await lab.read("tenant", lab.tenant))["metadata"]["finalizers"]


@pytest.mark.control_plane
async def test_the_status_says_what_was_counted(lab):
    async def many(_tenant):
        return 4711

    await TenantReconciler(lab.world, many).reconcile(lab.tenant)
    assert (await lab.read("tenant", lab.tenant))["status"]["registrations"] == 4711


@pytest.mark.control_plane
async def test_a_tenant_that_is_gone_loses_its_connection(lab):
    tenant = await lab.world.registrations.tenant(lab.tenant)
    connection = await lab.world.connections.get(tenant)
    await lab.delete("tenant", lab.tenant)
    assert (await lab.tenants.reconcile(lab.tenant)).result == "gone"
    assert await lab.world.connections.get(tenant) is not connection
