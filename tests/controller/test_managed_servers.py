"""Clients of Azure's managed FHIR services: Microsoft's application, and a role in Azure."""

import pytest

from entra_emulator.constants import HEALTHCARE_APP_ID, HEALTHCARE_SCOPES
from entra_emulator.directory.store import Kind
from fhir_app_operator.controller.preview import preview
from fhir_app_operator.planning.model import WriteSecret

pytestmark = pytest.mark.control_plane

URL = "https://clinic-fhir.fhir.azurehealthcareapis.com"
SERVICE = {
    "url": URL, "product": "AzureHealthDataServices",
    "azureResourceId": "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/clinic/"
    "providers/Microsoft.HealthcareApis/workspaces/clinic/fhirservices/fhir",
}  # fmt: skip
READER = {"appRoles": None, "azureRole": "FHIR Data Reader"}


async def test_nothing_is_made_in_the_directory_for_the_server(lab):
    name = await lab.register("Resource", resource=SERVICE)
    shown = await preview(lab.world, lab.namespace, name)
    assert shown.actions == (WriteSecret(reason="SecretMissing"),)
    lab.forget_calls()
    await lab.settle(name)
    assert lab.writes() == []
    data, status = await lab.secret(name), await lab.status(name)
    assert data["FHIR_AUDIENCE"] == data["FHIR_SERVER_URL"] == status["audience"] == URL
    assert "AZURE_CLIENT_ID" not in data
    assert "appId" not in status
    lab.forget_calls()
    assert not (await lab.reconcile(name)).changed
    assert lab.calls() == []


async def test_a_service_is_told_the_role_that_it_needs(lab):
    await lab.ready("Resource", resource=SERVICE)
    name = await lab.ready("Service", **READER)
    status, data = await lab.status(name), await lab.secret(name)
    assert data["AZURE_PRINCIPAL_ID"] == status["servicePrincipalId"]
    assert (data["FHIR_AUDIENCE"], data["FHIR_SCOPE"]) == (URL, f"{URL}/.default")
    assert (await lab.conditions(name))["DataPlaneAccess"] == ("Unknown", "NotVisible")
    message = await lab.message(name, "DataPlaneAccess")
    assert (
        f"az role assignment create --assignee-object-id {status['servicePrincipalId']} "
        '--assignee-principal-type ServicePrincipal --role "FHIR Data Reader" '
        f"--scope {SERVICE['azureResourceId']}"
    ) in message
    assert not (await lab.reconcile(name)).changed


async def test_a_user_s_client_asks_microsofts_api(lab):
    await lab.ready("Resource", resource=SERVICE)
    name = await lab.ready("Public")
    wanted = (await lab.application(name))["requiredResourceAccess"]
    (asked,) = (api for api in wanted if api["resourceAppId"] == HEALTHCARE_APP_ID)
    assert asked["resourceAccess"] == [
        {"id": HEALTHCARE_SCOPES["user_impersonation"], "type": "Scope"}
    ]
    assert (await lab.secret(name))["FHIR_SCOPE"] == f"{URL}/user_impersonation"


async def test_the_command_stays_while_a_pass_fails_and_goes_with_its_reason(lab):
    await lab.ready("Resource", resource=SERVICE)
    name = await lab.ready("Service", **READER)
    said = await lab.message(name, "DataPlaneAccess")
    await lab.delete("fhirapp", "fhir-server")
    await lab.reconcile(name)
    assert (await lab.conditions(name))["Synced"] == ("False", "FhirServerNotFound")
    assert await lab.message(name, "DataPlaneAccess") == said
    await lab.ready("Resource", "open-source")
    change = {"fhirServerRef": {"name": "open-source"}, "appRoles": ["globalReader"],
              "azureRole": None}  # fmt: skip
    await lab.patch("fhirapp", name, {"spec": change})
    await lab.settle(name)
    assert "DataPlaneAccess" not in await lab.conditions(name)
    assert "AZURE_PRINCIPAL_ID" not in await lab.secret(name)


async def test_a_tenant_without_the_api_says_how_to_get_it(lab):
    directory = lab.emulator.directory
    (principal,) = directory.store.find(Kind.SERVICE_PRINCIPAL, "appId", HEALTHCARE_APP_ID)
    directory.store.remove(principal)
    await lab.register("Resource", resource=SERVICE)
    await lab.settle("fhir-server")
    assert (await lab.conditions("fhir-server"))["Ready"] == ("False", "FhirApiNotFound")
    assert f"az ad sp create --id {HEALTHCARE_APP_ID}" in await lab.message("fhir-server")


async def test_an_application_of_its_own_is_made_where_it_is_asked_for(lab):
    resource = {
        "url": URL, "product": "AzureHealthDataServices", "application": "Own",
        "identifierUri": f"https://{lab.namespace}.clinic.example",
        "appRoles": {"presets": ["SmartBackend"]}, "scopes": {"presets": ["SmartV1"]},
    }  # fmt: skip
    await lab.ready("Resource", resource=resource)
    name = await lab.ready("Service", appRoles=["system/*.rs"])
    app_id = (await lab.status("fhir-server"))["appId"]
    wanted = (await lab.application(name))["requiredResourceAccess"]
    assert [api["resourceAppId"] for api in wanted] == [app_id]
    assert "FHIR SMART User" in await lab.message(name, "DataPlaneAccess")


async def test_a_managed_service_needs_no_registration(lab):
    address = {"url": URL, "appId": HEALTHCARE_APP_ID}
    name = await lab.ready("Service", fhirServerRef=None, fhirServer=address, **READER)
    assert (await lab.secret(name))["FHIR_AUDIENCE"] == URL
    assert (await lab.conditions(name))["DataPlaneAccess"] == ("Unknown", "NotVisible")


async def test_the_managed_server_goes_as_any_other(lab):
    await lab.ready("Resource", resource=SERVICE)
    await lab.delete("fhirapp", "fhir-server")
    assert (await lab.settle("fhir-server")).result == "gone"
