"""EntraTenant: sign-in, default deny, finalizer while in use, and the name that changed hands."""

import asyncio
import json
from dataclasses import replace

import pytest

from entra_emulator import OPERATOR_CLIENT_ID
from fhir_app_operator.controller.connections import Connections, OperatorIdentity
from fhir_app_operator.kube.registrations import Registrations
from tests.controller.lab import OPERATOR_SECRET, tenant_document

pytestmark = pytest.mark.control_plane


async def ready(lab):
    conditions = (await lab.read("tenant", lab.tenant))["status"]["conditions"]
    return next(
        (c["status"], c["reason"], c["message"]) for c in conditions if c["type"] == "Ready"
    )


async def test_a_tenant_is_ready_when_the_operator_can_sign_in(lab):
    await lab.ready("Resource")
    outcome = await lab.tenants.reconcile(lab.tenant)
    assert outcome.result == "success"
    assert (await ready(lab))[:2] == ("True", "Succeeded")
    status = (await lab.read("tenant", lab.tenant))["status"]
    assert (status["registrations"], status["observedGeneration"]) == (1, 1)
    assert not (await lab.tenants.reconcile(lab.tenant)).changed


async def test_events_tell_when_the_sign_in_turns(lab):
    await lab.tenants.reconcile(lab.tenant)
    await lab.tenants.reconcile(lab.tenant)
    found = await lab.events(lab.tenant, namespace="default")
    assert [(e["type"], e["reason"]) for e in found] == [("Normal", "Succeeded")]
    assert found[0]["regarding"]["kind"] == "EntraTenant"
    conditions = (await lab.read("tenant", lab.tenant))["status"]["conditions"]
    assert not any("Secret" in condition["message"] for condition in conditions)


class AllAtOnce(Registrations):
    """Lets nobody go on before `passes` of them have read the tenant."""

    def __init__(self, api, passes):
        super().__init__(api)
        self.barrier = asyncio.Barrier(passes)
        self.missing = passes

    async def tenant(self, name):
        found = await super().tenant(name)
        if self.missing:
            self.missing -= 1
            await self.barrier.wait()
        return found


async def test_the_first_registrations_of_a_tenant_do_not_hold_each_other_up(lab):
    names = []
    for number in range(3):
        url = f"https://server-{number}.clinic.example/{lab.namespace}"
        names.append(await lab.register("Resource", f"server-{number}", resource={"url": url}))
    lab.world = replace(lab.world, registrations=AllAtOnce(lab.api, passes=3))
    outcomes = await asyncio.gather(*(lab.reconcile(name) for name in names))
    assert [outcome.result for outcome in outcomes] == ["success"] * 3


async def test_a_missing_credential_is_named(lab):
    reference = {"clientSecret": {"secretRef": {"name": "entra", "key": "wrong"}}}
    await lab.patch("tenant", lab.tenant, {"spec": {"auth": reference}})
    await lab.tenants.reconcile(lab.tenant)
    status, reason, message = await ready(lab)
    assert (status, reason) == ("False", "CredentialNotFound")
    assert "Secret 'fhir-app-operator/entra', key 'wrong'" in message


async def test_a_refused_sign_in_says_the_code_and_where_to_look(lab, cluster):
    wrong = {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "wrong", "namespace": "fhir-app-operator"},
        "stringData": {"client-secret": "not-it"},
    }  # fmt: skip
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(wrong))
    reference = {"clientSecret": {"secretRef": {"name": "wrong"}}}
    await lab.patch("tenant", lab.tenant, {"spec": {"auth": reference}})
    await lab.tenants.reconcile(lab.tenant)
    status, reason, message = await ready(lab)
    assert (status, reason) == ("False", "SignInFailed")
    assert "AADSTS7000215" in message
    assert OPERATOR_CLIENT_ID in message
    assert "not-it" not in message


async def test_a_rotated_secret_of_the_operator_is_picked_up(lab, cluster):
    def store(value):
        secret = {
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "rotated", "namespace": "fhir-app-operator"},
            "stringData": {"client-secret": value},
        }  # fmt: skip
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(secret))

    store("outdated")
    reference = {"clientSecret": {"secretRef": {"name": "rotated"}}}
    await lab.patch("tenant", lab.tenant, {"spec": {"auth": reference}})
    await lab.tenants.reconcile(lab.tenant)
    assert (await ready(lab))[1] == "SignInFailed"
    store(OPERATOR_SECRET)
    await lab.tenants.reconcile(lab.tenant)
    assert (await ready(lab))[1] == "Succeeded"


async def test_workload_identity_without_a_token_says_what_to_set(lab):
    await lab.patch(
        "tenant", lab.tenant, {"spec": {"auth": {"workloadIdentity": {}, "clientSecret": None}}}
    )
    await lab.tenants.reconcile(lab.tenant)
    _, reason, message = await ready(lab)
    assert reason == "CredentialNotFound"
    assert "AZURE_FEDERATED_TOKEN_FILE" in message


async def test_a_token_file_that_is_gone_is_named(lab, tmp_path):
    identity = OperatorIdentity(namespace="x", token_file=tmp_path / "token")
    connections = Connections(identity, lab.world.secrets, lab.world.clock)
    object.__setattr__(lab.world, "connections", connections)
    await lab.patch(
        "tenant", lab.tenant, {"spec": {"auth": {"workloadIdentity": {}, "clientSecret": None}}}
    )
    await lab.tenants.reconcile(lab.tenant)
    assert "cannot be read" in (await ready(lab))[2]


async def test_no_namespace_is_allowed_unless_the_tenant_says_so(lab):
    await lab.patch("tenant", lab.tenant, {"spec": {"allowedNamespaces": None}})
    name = await lab.register("Resource")
    assert (await lab.reconcile(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "NamespaceNotAllowed")
    assert lab.calls() == []
    assert "finalizers" not in (await lab.read("fhirapp", name))["metadata"]


async def test_a_selector_admits_by_label(lab):
    selector = {"from": "Selector", "selector": {
        "matchLabels": {"fhir": "yes"},
        "matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["lab"]}],
    }}  # fmt: skip
    await lab.patch("tenant", lab.tenant, {"spec": {"allowedNamespaces": selector}})
    name = await lab.register("Resource")
    assert (await lab.reconcile(name)).result == "stalled"
    await lab.patch("namespace", lab.namespace, {"metadata": {"labels": {"fhir": "yes"}}})
    await lab.settle(name)
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")
    await lab.patch("namespace", lab.namespace, {"metadata": {"labels": {"stage": "lab"}}})
    assert (await lab.reconcile(name)).result == "stalled"


async def test_a_registration_without_tenant_waits(lab):
    name = await lab.register("Resource", tenantRef={"name": "nowhere"})
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "TenantNotFound")


async def test_a_name_that_now_means_another_directory_is_refused(lab):
    name = await lab.ready("Resource")
    await lab.patch("tenant", lab.tenant, {"metadata": {"finalizers": None}})
    await lab.delete("tenant", lab.tenant)
    other = "99999999-1111-1111-1111-111111111111"
    await lab.create("tenant", tenant_document(lab, lab.running, tenantId=other))
    lab.forget_calls()
    assert (await lab.reconcile(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "TenantChanged")
    assert lab.calls() == []


async def test_the_finalizer_holds_a_tenant_from_the_first_use(lab):
    tenant = await lab.read("tenant", lab.tenant)
    assert "finalizers" not in tenant["metadata"]
    await lab.ready("Resource")
    tenant = await lab.read("tenant", lab.tenant)
    assert tenant["metadata"]["finalizers"] == ["fhirapps.dev/in-use"]


async def test_nothing_new_starts_in_a_tenant_that_is_going(lab):
    await lab.ready("Resource")
    await lab.delete("tenant", lab.tenant)
    name = await lab.register("Service")
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "TenantNotReady")
    assert (await lab.settle("fhir-server")).result == "success"


async def test_every_application_gets_the_tenants_defaults(lab):
    owner = next(user.document["id"] for user in lab.emulator.directory.store.all("user"))
    defaults = {"serviceManagementReference": "CMDB-7", "owners": [owner], "tags": ["team:fhir"]}
    await lab.patch("tenant", lab.tenant, {"spec": {"applicationDefaults": defaults}})
    name = await lab.ready("Resource")
    app = await lab.application(name)
    assert app["serviceManagementReference"] == "CMDB-7"
    assert "team:fhir" in app["tags"]
    entity = lab.emulator.directory.store.locate(app["id"])
    assert owner in entity.owners
    assert len(entity.owners) == 2
    assert not (await lab.reconcile(name)).changed
    changed = defaults | {"serviceManagementReference": "CMDB-8"}
    await lab.patch("tenant", lab.tenant, {"spec": {"applicationDefaults": changed}})
    await lab.settle(name)
    assert (await lab.application(name))["serviceManagementReference"] == "CMDB-8"
