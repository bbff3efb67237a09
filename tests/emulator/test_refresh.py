from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from entra_emulator import TENANT_ID, ManualClock
from tests.emulator.clinic import FHIR, SCOPE, SPA, WEB, Clinic
from tests.emulator.cloud import (
    ALICE,
    VERIFIER,
    aadsts,
)


async def offline(clinic: Clinic, **query: Any) -> str:
    code = await clinic.code(scope=f"{SCOPE} openid offline_access", **query)
    form: dict[str, Any] = {}
    if "redirect_uri" in query:
        form = {**query, "client_secret": None, "origin": "https://spa.example"}
    token: str = (await clinic.redeem(code, **form)).json()["refresh_token"]
    return token


async def test_a_refresh_token_gets_new_tokens(clinic: Clinic, clock: ManualClock) -> None:
    token = await offline(clinic)
    clock.advance(timedelta(hours=2))

    answer = (await clinic.refresh(token, scope=SCOPE)).json()
    again = await clinic.refresh(answer["refresh_token"])

    claims = clinic.cloud.verified(answer["access_token"])
    assert claims["scp"] == "user_impersonation"
    assert claims["exp"] == int(clock.now().timestamp()) + 3599
    assert answer["id_token"]
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ({"refresh_token": "x"}, (400, "invalid_grant", 9002313)),
        ({"refresh_token": None}, (400, "invalid_request", 90014)),
        ({"client_secret": None}, (401, "invalid_client", 7000218)),
        ({"scope": f"{FHIR}/more"}, (400, "invalid_grant", 65001)),
        ({"scope": "https://nowhere.example/x"}, (400, "invalid_resource", 500011)),
    ],
)
async def test_refreshes_that_are_refused(clinic: Clinic, form: dict, refusal: tuple) -> None:
    token = await offline(clinic)

    assert aadsts(await clinic.refresh(**{"token": token, **form})) == refusal


async def test_a_refresh_token_is_for_its_client(clinic: Clinic) -> None:
    other = await clinic.cloud.register("other")
    secret = await clinic.cloud.secret(other)

    answer = await clinic.refresh(
        await offline(clinic), client_id=other.app_id, client_secret=secret
    )

    assert aadsts(answer) == (400, "invalid_grant", 700005)


async def test_a_withdrawn_grant_stops_the_refresh(clinic: Clinic) -> None:
    token = await offline(clinic)
    grants = (await clinic.cloud.admin.get("/v1.0/oauth2PermissionGrants")).json()["value"]
    for grant in grants:
        await clinic.cloud.admin.delete(f"/v1.0/oauth2PermissionGrants/{grant['id']}")

    assert aadsts(await clinic.refresh(token)) == (400, "invalid_grant", 65001)


async def test_refresh_tokens_expire(clinic: Clinic, clock: ManualClock) -> None:
    web, spa = await offline(clinic), await offline(clinic, redirect_uri=SPA)
    page = {"client_secret": None, "origin": "https://spa.example"}
    clock.advance(timedelta(hours=23))
    renewed = (await clinic.refresh(spa, **page)).json()["refresh_token"]
    clock.advance(timedelta(hours=1))

    expired = await clinic.refresh(renewed, **page)
    alive = await clinic.refresh(web)
    clock.advance(timedelta(days=90))

    assert aadsts(expired) == (400, "invalid_grant", 70008)
    assert alive.status_code == 200
    assert aadsts(await clinic.refresh(web)) == (400, "invalid_grant", 70008)


async def test_the_version_1_endpoints(clinic: Clinic) -> None:
    query = clinic.request(scope=None, resource=FHIR)
    await clinic.cloud.operator.patch(
        f"/v1.0/applications/{clinic.client.id}",
        json={"requiredResourceAccess": [{"resourceAppId": clinic.server.app_id}]},
    )
    path = f"/{TENANT_ID}/oauth2/authorize"

    answer = await clinic.cloud.anybody.get(path, params={"response_type": "code", **query})
    location = urlsplit(answer.headers["location"])
    form = {
        "grant_type": "authorization_code",
        "client_id": clinic.client.app_id,
        "client_secret": clinic.secret,
        "redirect_uri": WEB,
        "code": parse_qs(location.query)["code"][0],
        "code_verifier": VERIFIER,
        "resource": FHIR,
    }
    redeemed = await clinic.cloud.anybody.post(f"/{TENANT_ID}/oauth2/token", data=form)

    claims = clinic.cloud.verified(redeemed.json()["id_token"])
    assert redeemed.json()["resource"] == FHIR
    assert (claims["ver"], claims["upn"]) == ("1.0", ALICE)
