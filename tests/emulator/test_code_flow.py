import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from entra_emulator import GRAPH_APP_ID, TENANT_ID, ManualClock
from tests.emulator.cloud import (
    ALICE,
    AUTHORIZE,
    CHALLENGE,
    TOKEN,
    VERIFIER,
    App,
    Cloud,
    aadsts,
    returned,
    role,
    scope,
)

FHIR = "https://fhir.clinic.example"
SCOPE = f"{FHIR}/user_impersonation"
WEB, SPA, NATIVE = "https://portal.example/cb", "https://spa.example/", "http://localhost"
PLATFORMS = {
    "web": {"redirectUris": [WEB]},
    "spa": {"redirectUris": [SPA]},
    "publicClient": {"redirectUris": [NATIVE, "myapp://auth"]},
}
PEOPLE = role("people", members=("User",))


class Clinic:
    """A FHIR server, a client of all platforms, and the grant between them."""

    def __init__(self, cloud: Cloud, server: App, client: App, secret: str) -> None:
        self.cloud, self.server, self.client, self.secret = cloud, server, client, secret

    def request(self, **query: str) -> dict[str, str]:
        """The parameters of an authorization request."""
        base = {
            "client_id": self.client.app_id,
            "redirect_uri": WEB,
            "scope": SCOPE,
            "login_hint": ALICE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        merged = {**base, **query}
        return {name: value for name, value in merged.items() if value is not None}

    async def code(self, **query: str) -> str:
        return await self.cloud.code(**self.request(**query))

    async def redeem(self, code: str, **form: Any) -> httpx.Response:
        """A redemption by a confidential client, unless the form says else."""
        base = {
            "grant_type": "authorization_code",
            "client_id": self.client.app_id,
            "client_secret": self.secret,
            "redirect_uri": WEB,
            "code": code,
            "code_verifier": VERIFIER,
        }
        merged = {**base, **form}
        given = {name: value for name, value in merged.items() if value is not None}
        return await self.cloud.token(**given)


@pytest.fixture
async def clinic(cloud: Cloud) -> Clinic:
    api = {"oauth2PermissionScopes": [scope("user_impersonation"), scope("more")]}
    server = await cloud.register("server", identifierUris=[FHIR], api=api, appRoles=[PEOPLE])
    client = await cloud.register("portal", **PLATFORMS)
    await cloud.grant(client, server.principal_id, "user_impersonation")
    return Clinic(cloud, server, client, await cloud.secret(client))


# ---- authorization


async def test_a_login_hint_signs_in_without_a_page(clinic: Clinic) -> None:
    answer = await clinic.cloud.authorize(**clinic.request(state="s & t"))

    assert answer.headers["location"].startswith(f"{WEB}?")
    assert returned(answer)["state"] == "s & t"


@pytest.mark.parametrize("separator", ["#", "?"])
async def test_the_answer_may_come_in_a_fragment(clinic: Clinic, separator: str) -> None:
    mode = "fragment" if separator == "#" else "query"

    answer = await clinic.cloud.authorize(**clinic.request(response_mode=mode))

    assert f"{WEB}{separator}code=" in answer.headers["location"]


async def test_the_answer_may_come_as_a_form(clinic: Clinic) -> None:
    request = clinic.request(response_mode="form_post", state='"><x')

    answer = await clinic.cloud.authorize(**request)

    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))
    assert answer.status_code == 200
    assert f'action="{WEB}"' in answer.text
    assert unescape(fields["state"]) == '"><x'
    assert (await clinic.redeem(fields["code"])).status_code == 200


async def test_without_a_hint_a_page_asks_who(clinic: Clinic) -> None:
    page = await clinic.cloud.authorize(**clinic.request(login_hint=None, state="s"))
    links = [unescape(link) for link in re.findall(r'href="([^"]*)"', page.text)]
    chosen = await clinic.cloud.anybody.get(links[1])

    assert page.status_code == 200
    assert "Alice Archer" in page.text
    code = returned(chosen)["code"]
    token = (await clinic.redeem(code)).json()["access_token"]
    assert clinic.cloud.verified(token)["upn"] == "bob@clinic.example"


async def test_the_request_may_be_posted(clinic: Clinic) -> None:
    form = {"response_type": "code", **clinic.request()}

    assert "code" in returned(await clinic.cloud.anybody.post(AUTHORIZE, data=form))


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"client_id": "x"}, 700038),
        ({"client_id": None}, 90014),
        ({"client_id": "00000000-0000-0000-0000-000000000000"}, 700016),
        ({"redirect_uri": "https://evil.example/"}, 50011),
        ({"redirect_uri": WEB.upper()}, 50011),
        ({"redirect_uri": None}, 90014),
        ({"response_mode": "pigeon"}, 900561),
    ],
)
async def test_refusals_that_must_not_be_sent_on(clinic: Clinic, query: dict, number: int) -> None:
    answer = await clinic.cloud.authorize(**clinic.request(**query))

    assert answer.status_code == 400
    assert f"AADSTS{number}: " in answer.text
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("query", "error", "number"),
    [
        ({"response_type": "token"}, "unsupported_response_type", 700054),
        ({"scope": None}, "invalid_request", 90014),
        ({"scope": "https://nowhere.example/x"}, "invalid_resource", 500011),
        ({"scope": f"{FHIR}/fly"}, "invalid_client", 650053),
        ({"scope": f"{SCOPE} https://graph.microsoft.com/User.Read"}, "invalid_scope", 28000),
        ({"scope": f"{SCOPE} {FHIR}/.default"}, "invalid_scope", 70011),
        ({"scope": f"{FHIR}/"}, "invalid_scope", 70011),
        ({"scope": f"{SCOPE} {FHIR}/more"}, "consent_required", 65001),
        ({"scope": "User.Read"}, "consent_required", 65001),
        ({"scope": "https://graph.microsoft.com/.default"}, "consent_required", 650057),
        ({"login_hint": "eve@clinic.example"}, "invalid_grant", 50034),
        ({"login_hint": None, "prompt": "none"}, "login_required", 50058),
        ({"code_challenge": "short"}, "invalid_request", 501491),
        ({"code_challenge_method": "S512"}, "invalid_request", 50149),
        ({"redirect_uri": SPA, "code_challenge": None}, "invalid_request", 9002325),
    ],
)
async def test_refusals_that_the_client_is_told(
    clinic: Clinic, query: dict, error: str, number: int
) -> None:
    request = {"response_type": "code", **clinic.request(state="s", **query)}
    answer = await clinic.cloud.anybody.get(AUTHORIZE, params=request)

    back = returned(answer)
    assert back["error"] == error
    assert back["error_description"].startswith(f"AADSTS{number}: ")
    assert back["state"] == "s"


async def test_loopback_ports_do_not_matter(clinic: Clinic) -> None:
    uri = "http://localhost:50123"

    code = await clinic.code(redirect_uri=uri)
    answer = await clinic.redeem(code, redirect_uri=uri, client_secret=None)

    assert answer.status_code == 200


# ---- redemption


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


# ---- refresh tokens


async def refresh(clinic: Clinic, token: str, **form: Any) -> httpx.Response:
    base = {
        "grant_type": "refresh_token",
        "client_id": clinic.client.app_id,
        "client_secret": clinic.secret,
        "refresh_token": token,
    }
    merged = {**base, **form}
    given = {name: value for name, value in merged.items() if value is not None}
    return await clinic.cloud.token(**given)


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

    answer = (await refresh(clinic, token, scope=SCOPE)).json()
    again = await refresh(clinic, answer["refresh_token"])

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

    assert aadsts(await refresh(clinic, **{"token": token, **form})) == refusal


async def test_a_refresh_token_is_for_its_client(clinic: Clinic) -> None:
    other = await clinic.cloud.register("other")
    secret = await clinic.cloud.secret(other)

    answer = await refresh(
        clinic, await offline(clinic), client_id=other.app_id, client_secret=secret
    )

    assert aadsts(answer) == (400, "invalid_grant", 700005)


async def test_a_withdrawn_grant_stops_the_refresh(clinic: Clinic) -> None:
    token = await offline(clinic)
    grants = (await clinic.cloud.admin.get("/v1.0/oauth2PermissionGrants")).json()["value"]
    for grant in grants:
        await clinic.cloud.admin.delete(f"/v1.0/oauth2PermissionGrants/{grant['id']}")

    assert aadsts(await refresh(clinic, token)) == (400, "invalid_grant", 65001)


async def test_refresh_tokens_expire(clinic: Clinic, clock: ManualClock) -> None:
    web, spa = await offline(clinic), await offline(clinic, redirect_uri=SPA)
    page = {"client_secret": None, "origin": "https://spa.example"}
    clock.advance(timedelta(hours=23))
    renewed = (await refresh(clinic, spa, **page)).json()["refresh_token"]
    clock.advance(timedelta(hours=1))

    expired = await refresh(clinic, renewed, **page)
    alive = await refresh(clinic, web)
    clock.advance(timedelta(days=90))

    assert aadsts(expired) == (400, "invalid_grant", 70008)
    assert alive.status_code == 200
    assert aadsts(await refresh(clinic, web)) == (400, "invalid_grant", 70008)


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
