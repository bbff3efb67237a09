"""The facts of FHIR servers whose application no registration makes: foreign and managed ones."""

from dataclasses import replace

import pytest

from fhir_app_operator.api.v1alpha1 import Grants, ServerAddress
from fhir_app_operator.errors import Invalid, Stalled
from fhir_app_operator.planning import data_plane
from fhir_app_operator.planning.forecast import forecast
from fhir_app_operator.planning.model import (
    DataPlane,
    Observed,
    PermissionIds,
    WriteSecret,
)
from fhir_app_operator.planning.plan import plan
from fhir_app_operator.planning.secret_data import resolved
from fhir_app_operator.planning.server import (
    FIRST_PARTY_APP_ID,
    referenced_server,
    unregistered_server,
)
from tests.planning.worlds import NOW, POLICY, SERVER, desired, made, registration

URL = "https://fhir.hospital.example/r4"
APP_ID = "99999999-9999-4999-8999-999999999999"
IDS = PermissionIds(scopes={"user_impersonation": "s"}, app_roles={"globalReader": "r"})


def server(**address):
    found = ServerAddress.model_validate({"url": URL, "appId": APP_ID} | address)
    return unregistered_server(found, IDS)


@pytest.mark.parametrize(
    ("address", "audience", "scope", "authority"),
    [
        ({}, URL, f"{URL}/.default", "https://login.example/11111111-1111-1111-1111-111111111111"),
        ({"audience": "api://fhir"}, "api://fhir", "api://fhir/.default",
         "https://login.example/11111111-1111-1111-1111-111111111111"),
        ({"audience": "api://fhir", "tokenVersion": 2}, APP_ID, "api://fhir/.default",
         "https://login.example/11111111-1111-1111-1111-111111111111/v2.0"),
        ({"audience": APP_ID}, APP_ID, f"{APP_ID}/.default",
         "https://login.example/11111111-1111-1111-1111-111111111111"),
    ],
)  # fmt: skip
def test_audience_and_authority_follow_the_version_of_its_tokens(
    address, audience, scope, authority
):
    facts = desired("Service", server=server(**address)).connection
    assert facts["FHIR_SERVER_URL"] == URL
    assert facts["FHIR_AUDIENCE"] == audience
    assert facts["FHIR_SCOPE"] == scope
    assert facts["FHIR_AUTHORITY"] == authority


def test_permissions_are_asked_for_on_its_api():
    wanted = desired("Service", server=server())
    assert {(r.resource_app_id, r.id) for r in wanted.application.resource_access} == {
        (APP_ID, "r")
    }


def test_it_does_not_count_as_a_server_of_the_tenant_s_registrations():
    """What the tenant's `grants` allow on registered servers is not meant for it."""
    grants = Grants.model_validate(
        {"appRoleAssignments": "Enabled", "allowed": [{"appRoles": ["global*"]}]}
    )
    for facts, allowed in ((SERVER, {"globalReader"}), (server(), set())):
        (api,) = desired("Service", server=facts, grants=grants).grants.apis
        assert set(api.grantable_roles) == allowed


def test_a_role_that_it_does_not_have_is_named_with_those_it_has():
    bare = replace(server(), permissions=PermissionIds(app_roles={"other": "o"}))
    with pytest.raises(Stalled, match=f"of API {APP_ID} .it has: other.; correct the value$"):
        desired("Service", server=bare)


MANAGED = {
    "url": "https://clinic-fhir.fhir.azurehealthcareapis.com",
    "product": "AzureHealthDataServices",
}
PLACE = (
    "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/clinic/providers/"
    "Microsoft.HealthcareApis/workspaces/clinic/fhirservices/fhir"
)
FIRST_PARTY_IDS = PermissionIds(
    scopes={"user_impersonation": "s", "patient.all.read": "p"},
    app_roles={"system.all.read": "r"},
)


def managed(ids=FIRST_PARTY_IDS, **resource):
    manifest = registration("Resource", resource=MANAGED | resource)
    return referenced_server(manifest, FIRST_PARTY_APP_ID, ids, frozenset())


def client(kind, server, **spec):
    return desired(kind, server=server, **({"appRoles": None} if kind == "Service" else {}), **spec)


def test_nothing_is_made_for_a_managed_server_but_its_secret():
    wanted = desired("Resource", resource=MANAGED)
    assert not wanted.own_application
    assert wanted.connection["FHIR_AUDIENCE"] == MANAGED["url"]
    assert "AZURE_CLIENT_ID" not in wanted.connection
    (write,) = plan(wanted, Observed(), NOW, POLICY)
    assert write == WriteSecret(reason="SecretMissing")
    assert [type(action) for action in forecast(wanted, Observed(), NOW, POLICY)] == [WriteSecret]


def test_its_clients_ask_microsofts_api_for_what_they_want():
    wanted = client("Public", managed())
    assert wanted.connection["FHIR_SCOPE"] == f"{MANAGED['url']}/user_impersonation"
    assert wanted.connection["FHIR_AUDIENCE"] == MANAGED["url"]
    asked = {(r.resource_app_id, r.id) for r in wanted.application.resource_access}
    assert (FIRST_PARTY_APP_ID, "s") in asked


def test_the_secret_of_a_client_has_the_object_id_that_azure_goes_by():
    wanted = client("Service", managed(), azureRole="FHIR Data Reader")
    data = resolved(wanted.connection, made("a"))
    assert data["AZURE_PRINCIPAL_ID"] == "sp"
    assert data["FHIR_SCOPE"] == f"{MANAGED['url']}/.default"
    assert wanted.application.resource_access == frozenset()
    assert "AZURE_PRINCIPAL_ID" not in desired("Service").connection


@pytest.mark.parametrize(
    ("kind", "spec", "role"),
    [
        ("Service", {"appRoles": ["system/*.read"]}, "FHIR SMART User"),
        ("Service", {"azureRole": "FHIR Data Exporter"}, "FHIR Data Exporter"),
        ("Public", {}, "FHIR Data Contributor"),
        ("Public", {"scopes": ["patient/*.read"]}, "FHIR SMART User"),
        ("Public", {"azureRole": "FHIR Data Reader"}, "FHIR Data Reader"),
    ],
)
def test_the_role_in_azure_is_as_the_manifest_says_or_follows_from_its_scopes(kind, spec, role):
    spec = ({"appRoles": None} if kind == "Service" else {}) | spec
    wanted = desired(kind, server=managed(), **spec)
    assert wanted.data_plane == DataPlane(role=role, for_users=kind == "Public")


def test_the_command_names_client_role_and_service():
    plane = client("Service", managed(azureResourceId=PLACE), azureRole="FHIR Data Reader")
    assert (
        "az role assignment create --assignee-object-id sp --assignee-principal-type "
        f'ServicePrincipal --role "FHIR Data Reader" --scope {PLACE}'
    ) in data_plane.message(plane.data_plane, "sp")
    users = data_plane.message(client("Public", managed()).data_plane, "sp")
    assert "OBJECT_ID_OF_USER_OR_GROUP" in users
    assert "workspaces/WORKSPACE/fhirservices/SERVICE" in users
    assert " sp " not in users


@pytest.mark.parametrize("server", [SERVER, server()])
def test_a_role_in_azure_is_nothing_to_a_server_that_does_not_ask_azure(server):
    with pytest.raises(Invalid, match="azureRole"):
        desired("Service", server=server, azureRole="FHIR Data Reader")


def test_a_managed_server_with_its_own_application_is_registered_like_any_other():
    wanted = desired("Resource", resource=MANAGED | {"application": "Own"})
    assert wanted.own_application
    manifest = registration("Resource", resource=MANAGED | {"application": "Own"})
    facts = referenced_server(manifest, "app-9", IDS, frozenset())
    assert facts.registered
    assert desired("Public", server=facts).data_plane is not None


def test_a_managed_service_without_registration_is_known_by_its_api():
    facts = server(url=MANAGED["url"], appId=FIRST_PARTY_APP_ID)
    assert facts.managed
    assert facts.api.name == "Azure Healthcare APIs"
    assert not facts.api.registered
