"""What the running operator does by itself when a FHIR server comes, changes or goes.

Real watches; resyncs are an hour away, so only the watches can tell.
"""

import pytest

from tests.controller.lab import open_lab
from tests.controller.running import own_cluster, own_entra, running_operator

pytestmark = pytest.mark.control_plane

SERVER = "fhir-server"
IDS = ("5c1d6f1e-0a3b-4c57-9d3e-2f6a1b7c8d90", "6d2e7f2f-1b4c-4d68-8e4f-3a7b2c8d9ea1")


@pytest.fixture(scope="module")
def cluster():
    with own_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def entra():
    with own_entra() as running:
        yield running


async def test_clients_elsewhere_follow_their_server(cluster, entra):
    async with open_lab(cluster, entra) as lab, running_operator(cluster.kubeconfig) as operator:
        other = await lab.neighbour()
        reference = {"name": SERVER, "namespace": lab.namespace}
        name = await other.register("Service", fhirServerRef=reference)

        async def shows(kind, status, reason):
            found = (await other.status(name)).get("conditions", ())
            return any((c["type"], c["status"], c["reason"]) == (kind, status, reason)
                       for c in found)  # fmt: skip

        async def count(number):
            return (await lab.status(SERVER)).get("clients") == number

        async def told(what, **resource):
            await lab.patch("fhirapp", SERVER, {"spec": {"resource": resource}})
            await operator.until(what, f"the client follows {resource}")

        def in_secret(key, value):
            async def holds():
                return (await other.secret(name))[key] == value

            return holds

        def asks_for(role_id):
            async def asks():
                wanted = (await other.application(name))["requiredResourceAccess"]
                return [each["id"] for api in wanted for each in api["resourceAccess"]] == [role_id]

            return asks

        not_found = lambda: shows("Synced", "False", "FhirServerNotFound")  # noqa: E731
        in_sync = lambda: shows("Synced", "True", "Succeeded")  # noqa: E731

        await operator.until(lambda: shows("Ready", "False", "FhirServerNotFound"), "no server")
        allowed = {"namespaces": [other.namespace]}
        url = f"https://{lab.namespace}.clinic.example"
        await lab.register("Resource", resource={"url": url, "allowedClients": allowed})
        await operator.until(in_sync, "the client is ready once its server is")
        await operator.until(lambda: count(1), "the server counts its client")

        await told(not_found, allowedClients=None)
        await operator.until(lambda: count(0), "the server counts none")
        await told(in_sync, allowedClients=allowed)
        await told(in_secret("FHIR_SCOPE", f"{url}/r5/.default"), identifierUri=f"{url}/r5")
        app_id = (await lab.status(SERVER))["appId"]
        await told(in_secret("FHIR_AUDIENCE", app_id), tokenVersion=2)
        for role_id in IDS:
            other_roles = {"presets": ["FhirProxy"], "custom": None}
            await told(lambda: shows("Stalled", "True", "ScopeNotFound"), appRoles=other_roles)
            role = {"value": "globalReader", "displayName": "Reader", "description": "Reads"}
            roles = {"presets": [], "custom": [role | {"id": role_id}]}
            await told(asks_for(role_id), appRoles=roles)

        before = await other.secret(name)
        await lab.delete("fhirapp", SERVER)
        await operator.until(not_found, "the client is told that its server has gone")
        assert await other.secret(name) == before
        await other.delete("fhirapp", name)
