from datetime import timedelta

import pytest

from entra_emulator import GRAPH_APP_ID, TENANT_ID, ManualClock
from tests.emulator.clinic import FHIR, NATIVE, PEOPLE, SCOPE, SPA, Clinic
from tests.emulator.cloud import (
    ALICE,
    TOKEN,
    VERIFIER,
    aadsts,
    returned,
)


async def test_claims_of_a_user(clinic: Clinic, clock: ManualClock) -> None:
    answer = (await clinic.redeem(await clinic.code())).json()
    claims = clinic.cloud.verified(answer["access_token"])

    alice = clinic.cloud.emulator.seeds.users[0]
    assert (claims["aud"], claims["ver"]) == (FHIR, "1.0")
    assert claims["iss"] == f"https://sts.windows.net/{TENANT_ID}/"
    assert claims["scp"] == "user_impersonation"
    assert claims["oid"] == alice.id
    assert claims["upn"] == claims["unique_name"] == ALICE
    assert (claims["appid"], claims["appidacr"]) == (clinic.client.app_id, "1")
    assert "roles" not in claims
    assert answer["scope"] == SCOPE
    assert set(answer) == {"token_type", "scope", "expires_in", "ext_expires_in", "access_token"}


async def test_version_2_claims_and_roles_of_a_user(clinic: Clinic) -> None:
    cloud = clinic.cloud
    await cloud.operator.patch(
        f"/v1.0/applications/{clinic.server.id}", json={"api": {"requestedAccessTokenVersion": 2}}
    )
    await cloud.assign(cloud.emulator.seeds.users[0].id, clinic.server, PEOPLE["id"])

    token = (await clinic.redeem(await clinic.code())).json()["access_token"]
    claims = cloud.verified(token)

    assert claims["aud"] == clinic.server.app_id
    assert claims["iss"] == f"https://entra.test/{TENANT_ID}/v2.0"
    assert claims["preferred_username"] == ALICE
    assert (claims["azp"], claims["azpacr"]) == (clinic.client.app_id, "1")
    assert claims["roles"] == ["people"]


async def test_an_id_token_tells_who_signed_in(clinic: Clinic) -> None:
    code = await clinic.code(scope=f"{SCOPE} openid profile", nonce="n-1")

    answer = (await clinic.redeem(code, client_info="1")).json()
    claims = clinic.cloud.verified(answer["id_token"])

    assert (claims["aud"], claims["nonce"]) == (clinic.client.app_id, "n-1")
    assert (claims["iss"], claims["ver"]) == (f"https://entra.test/{TENANT_ID}/v2.0", "2.0")
    assert claims["preferred_username"] == ALICE
    assert answer["client_info"]
    assert "refresh_token" not in answer


async def test_openid_alone_is_for_graph(clinic: Clinic) -> None:
    code = await clinic.code(scope="openid profile")

    answer = (await clinic.redeem(code)).json()

    assert answer["scope"] == "openid profile"
    assert clinic.cloud.verified(answer["access_token"])["aud"] == GRAPH_APP_ID
    assert answer["id_token"]


async def test_default_means_everything_granted(clinic: Clinic) -> None:
    code = await clinic.code(scope=f"{FHIR}/.default openid")

    answer = (await clinic.redeem(code)).json()

    assert clinic.cloud.verified(answer["access_token"])["scp"] == "user_impersonation"


async def test_a_grant_for_one_user_is_not_for_another(clinic: Clinic) -> None:
    cloud = clinic.cloud
    body = {
        "clientId": clinic.client.principal_id,
        "consentType": "Principal",
        "principalId": cloud.emulator.seeds.users[0].id,
        "resourceId": clinic.server.principal_id,
        "scope": "more",
    }
    await cloud.admin.post("/v1.0/oauth2PermissionGrants", json=body)
    request = clinic.request(scope=f"{FHIR}/more")

    alice = await cloud.authorize(**request)
    bob = await cloud.authorize(**{**request, "login_hint": "bob@clinic.example"})

    assert "code" in returned(alice)
    assert returned(bob)["error"] == "consent_required"


async def test_a_pre_authorized_client_needs_no_grant(clinic: Clinic) -> None:
    cloud, path = clinic.cloud, f"/v1.0/applications/{clinic.server.id}"
    scopes = (await cloud.operator.get(path)).json()["api"]["oauth2PermissionScopes"]
    more = next(item["id"] for item in scopes if item["value"] == "more")
    client = {"appId": clinic.client.app_id, "delegatedPermissionIds": [more]}
    await cloud.operator.patch(path, json={"api": {"preAuthorizedApplications": [client]}})

    code = await clinic.code(scope=f"{FHIR}/more")
    token = (await clinic.redeem(code)).json()["access_token"]

    assert set(cloud.verified(token)["scp"].split()) == {"user_impersonation", "more"}


async def test_a_user_may_have_to_be_assigned(clinic: Clinic) -> None:
    cloud = clinic.cloud
    path = f"/v1.0/servicePrincipals/{clinic.server.principal_id}"
    await cloud.operator.patch(path, json={"appRoleAssignmentRequired": True})

    refused = await cloud.authorize(**clinic.request())
    await cloud.assign(cloud.emulator.seeds.users[0].id, clinic.server, PEOPLE["id"])
    allowed = await cloud.authorize(**clinic.request())

    assert returned(refused)["error_description"].startswith("AADSTS50105: ")
    assert "code" in returned(allowed)


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ({"client_secret": None}, (401, "invalid_client", 7000218)),
        ({"client_secret": "x"}, (401, "invalid_client", 7000215)),
        ({"code": "x"}, (400, "invalid_grant", 9002313)),
        ({"code": None}, (400, "invalid_request", 90014)),
        ({"code_verifier": "w" * 64}, (400, "invalid_grant", 501481)),
        ({"code_verifier": "ä" * 64}, (400, "invalid_grant", 501481)),
        ({"code_verifier": None}, (400, "invalid_grant", 50148)),
        ({"redirect_uri": SPA}, (400, "invalid_grant", 500112)),
        ({"redirect_uri": None}, (400, "invalid_grant", 500112)),
        ({"origin": "https://portal.example"}, (400, "invalid_request", 9002326)),
    ],
)
async def test_redemptions_that_are_refused(clinic: Clinic, form: dict, refusal: tuple) -> None:
    code = await clinic.code()

    assert aadsts(await clinic.redeem(**{"code": code, **form})) == refusal
    assert (await clinic.redeem(code)).status_code == 200


async def test_a_code_is_for_one_use(clinic: Clinic) -> None:
    code = await clinic.code()
    await clinic.redeem(code)

    assert aadsts(await clinic.redeem(code)) == (400, "invalid_grant", 54005)


async def test_a_code_expires(clinic: Clinic, clock: ManualClock) -> None:
    code = await clinic.code()

    clock.advance(timedelta(minutes=10))

    assert aadsts(await clinic.redeem(code)) == (400, "invalid_grant", 70008)


async def test_a_code_is_for_its_client(clinic: Clinic) -> None:
    other = await clinic.cloud.register("other", web={"redirectUris": ["https://o.example/"]})
    secret = await clinic.cloud.secret(other)

    answer = await clinic.redeem(await clinic.code(), client_id=other.app_id, client_secret=secret)

    assert aadsts(answer) == (400, "invalid_grant", 700005)


async def test_a_plain_challenge_is_its_verifier(clinic: Clinic) -> None:
    code = await clinic.code(code_challenge=VERIFIER, code_challenge_method="plain")

    assert (await clinic.redeem(code)).status_code == 200


async def test_a_web_client_may_go_without_pkce(clinic: Clinic) -> None:
    code = await clinic.code(code_challenge=None, code_challenge_method=None)

    assert (await clinic.redeem(code, code_verifier=None)).status_code == 200


# ---- public clients


async def test_a_page_redeems_with_its_origin_and_no_secret(clinic: Clinic) -> None:
    origin = "https://spa.example"
    public = {"redirect_uri": SPA, "client_secret": None}

    without = await clinic.redeem(await clinic.code(redirect_uri=SPA), **public)
    secret = await clinic.redeem(
        await clinic.code(redirect_uri=SPA), redirect_uri=SPA, origin=origin
    )
    good = await clinic.redeem(await clinic.code(redirect_uri=SPA), **public, origin=origin)

    assert aadsts(without) == (400, "invalid_request", 9002327)
    assert aadsts(secret) == (401, "invalid_client", 700025)
    assert clinic.cloud.verified(good.json()["access_token"])["appidacr"] == "0"
    assert good.headers["access-control-allow-origin"] == origin


async def test_a_native_client_offers_no_secret(clinic: Clinic) -> None:
    refused = await clinic.redeem(await clinic.code(redirect_uri=NATIVE), redirect_uri=NATIVE)
    good = await clinic.redeem(
        await clinic.code(redirect_uri="myapp://auth"),
        redirect_uri="myapp://auth",
        client_secret=None,
    )

    assert aadsts(refused) == (401, "invalid_client", 700025)
    assert good.status_code == 200


async def test_browsers_may_ask_first(clinic: Clinic) -> None:
    headers = {"Origin": "https://spa.example", "Access-Control-Request-Method": "POST"}

    answer = await clinic.cloud.anybody.options(TOKEN, headers=headers)

    assert answer.status_code == 200
    assert "POST" in answer.headers["access-control-allow-methods"]
