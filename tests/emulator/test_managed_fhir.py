"""The first-party API of all managed FHIR services: one application, many names."""

import pytest

from entra_emulator import TENANT_ID
from entra_emulator.constants import HEALTHCARE_APP_ID, HEALTHCARE_APP_ROLES, HEALTHCARE_SCOPES
from tests.emulator.clinic import WEB, Clinic
from tests.emulator.cloud import App, Cloud, aadsts

SERVICE = "https://clinic-fhir.fhir.azurehealthcareapis.com"
V1 = f"https://sts.windows.net/{TENANT_ID}/"


async def api_of(cloud: Cloud) -> App:
    answer = await cloud.operator.get(f"/v1.0/servicePrincipals(appId='{HEALTHCARE_APP_ID}')")
    return App("", HEALTHCARE_APP_ID, answer.json()["id"])


async def test_its_service_principal_shows_what_can_be_asked_for(cloud: Cloud) -> None:
    answer = await cloud.operator.get(f"/v1.0/servicePrincipals(appId='{HEALTHCARE_APP_ID}')")

    shown = answer.json()
    assert shown["displayName"] == "Azure Healthcare APIs"
    assert shown["appOwnerOrganizationId"] != TENANT_ID
    assert {s["value"]: s["id"] for s in shown["oauth2PermissionScopes"]} == HEALTHCARE_SCOPES
    assert {r["value"]: r["id"] for r in shown["appRoles"]} == HEALTHCARE_APP_ROLES


@pytest.mark.parametrize(
    "audience",
    [
        SERVICE,
        "https://legacy.azurehealthcareapis.com",
        "https://agency-fhir.fhir.azurehealthcareapis.us",
        "https://azurehealthcareapis.com",
        HEALTHCARE_APP_ID,
    ],
)
async def test_a_token_is_for_the_name_that_was_asked_for(cloud: Cloud, audience: str) -> None:
    client = await cloud.register()
    form = {"client_id": client.app_id, "client_secret": await cloud.secret(client)}

    claims = await cloud.claims(**form, scope=f"{audience}/.default")

    assert (claims["aud"], claims["iss"], claims["ver"]) == (audience, V1, "1.0")
    assert claims["oid"] == client.principal_id
    assert "roles" not in claims


async def test_an_assigned_role_is_in_the_token(cloud: Cloud) -> None:
    client = await cloud.register()
    form = {"client_id": client.app_id, "client_secret": await cloud.secret(client)}
    role_id = HEALTHCARE_APP_ROLES["system.all.read"]
    await cloud.assign(client.principal_id, await api_of(cloud), role_id)

    claims = await cloud.claims(**form, scope=f"{SERVICE}/.default")

    assert claims["roles"] == ["system.all.read"]


async def test_a_user_s_token_has_the_scopes_that_were_consented_to(cloud: Cloud) -> None:
    api = await api_of(cloud)
    client = await cloud.register(web={"redirectUris": [WEB]})
    await cloud.grant(client, api.principal_id, "user_impersonation")
    clinic = Clinic(cloud, api, client, await cloud.secret(client))

    code = await clinic.code(scope=f"{SERVICE}/user_impersonation")
    answer = await clinic.redeem(code)

    claims = cloud.verified(answer.json()["access_token"])
    assert (claims["aud"], claims["scp"]) == (SERVICE, "user_impersonation")


@pytest.mark.parametrize(
    "audience",
    [
        "https://azurehealthcareapis.example",
        "https://evilazurehealthcareapis.com",
        "http://clinic-fhir.fhir.azurehealthcareapis.com",
        f"{SERVICE}/Patient",
    ],
)
async def test_other_names_are_unknown(cloud: Cloud, audience: str) -> None:
    client = await cloud.register()
    form = {"client_id": client.app_id, "client_secret": await cloud.secret(client)}

    answer = await cloud.token(
        grant_type="client_credentials", **form, scope=f"{audience}/.default"
    )

    assert aadsts(answer)[2] == 500011
