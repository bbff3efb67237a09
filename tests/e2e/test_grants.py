"""A tenant that lets the operator grant: clients get in without an administrator of the tenant."""

import pytest

from dev.demo.administrator import signed_in
from dev.sandbox.environment import tenant_manifest
from entra_emulator import GRAPH_APP_ID
from entra_emulator.seeds import BOB
from tests.e2e.access import Access, ask
from tests.e2e.access_table import OBSERVATION, PATIENT

pytestmark = pytest.mark.control_plane

NAMESPACE = TENANT = "granting"
PERMISSIONS = {
    "AppRoleAssignment.ReadWrite.All", "Application.Read.All",
    "DelegatedPermissionGrant.ReadWrite.All",
}  # fmt: skip
GRANTS = {
    "appRoleAssignments": "Enabled", "delegatedConsent": "Enabled",
    "allowed": [{"appRoles": ["globalReader"], "scopes": ["user_impersonation"]}],
}  # fmt: skip
SERVER = {"url": "https://granting.clinic.example"}
SERVICE = {"type": "Service", "fhirServerRef": {"name": "server"}}
CLIENTS = {
    "server": {"type": "Resource", "resource": SERVER},
    "reader": SERVICE | {"appRoles": ["globalReader"]},
    "writer": SERVICE | {"appRoles": ["globalReader", "globalWriter"]},
    "portal": {
        "type": "Confidential", "fhirServerRef": {"name": "server"}, "consent": "Admin",
        "redirectUris": {"web": ["https://portal.granting.example/callback"]},
    },
}  # fmt: skip


def registration(name, spec):
    return {
        "apiVersion": "fhirapps.dev/v1alpha1",
        "kind": "FhirAppRegistration",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec | {"tenantRef": {"name": TENANT}},
    }


@pytest.fixture(scope="module")
def granting(clinic):
    """The tenant once more, under a name of its own, where the operator may grant."""
    access = Access(clinic, NAMESPACE)
    with signed_in(clinic.entra, clinic.trust) as administrator:
        operator = administrator.service_principal(clinic.entra.operator_client_id)["id"]
        administrator.assign(operator, GRAPH_APP_ID, PERMISSIONS)
    tenant = tenant_manifest(clinic.entra)
    tenant["metadata"]["name"] = TENANT
    tenant["spec"]["grants"] = GRANTS
    clinic.create(tenant)
    clinic.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    items = [registration(name, spec) for name, spec in CLIENTS.items()]
    clinic.create({"apiVersion": "v1", "kind": "List", "items": items})
    access.wait_ready()
    with access.serving(access.secret("server")) as server:
        access.server = server
        yield access
    clinic.cluster.kubectl("delete", "fhirapp", "--all", "-n", NAMESPACE, "--timeout=120s")
    clinic.cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    clinic.cluster.kubectl("delete", "entratenant", TENANT, "--timeout=60s")


def test_a_service_gets_in_with_the_role_that_the_operator_assigned(granting):
    token = granting.token("reader")
    assert ask(granting.server, token, "GET", PATIENT) == 200
    assert ask(granting.server, token, "POST", PATIENT) == 403


def test_a_user_gets_in_with_the_consent_that_the_operator_gave(granting):
    granting.assign("server", BOB, "globalReader")
    assert ask(granting.server, granting.token("portal", BOB), "GET", OBSERVATION) == 200


def test_what_the_tenant_does_not_list_is_left_to_an_administrator(granting):
    token = granting.token("writer")
    assert ask(granting.server, token, "GET", PATIENT) == 200
    assert ask(granting.server, token, "POST", PATIENT) == 403
    answer = granting.clinic.operator.command("explain", f"{NAMESPACE}/writer", "--sign-in")
    assert answer.returncode == 1
    assert "answers 403: `roles` lacks globalWriter: a request that needs it" in answer.stdout
    granting.consent("writer")
    assert ask(granting.server, granting.token("writer"), "POST", PATIENT) == 201
