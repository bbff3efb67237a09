from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from entra_emulator import ADMIN_CLIENT_ID, OPERATOR_CLIENT_ID, TENANT_ID, Emulator, ManualClock
from entra_emulator.seeds import Seeds
from tests.emulator.certified import Certified, certified, claims_of
from tests.emulator.cloud import ADMIN_SECRET, GRAPH, OPERATOR_SECRET, TOKEN, Cloud, aadsts
from tests.emulator.registrations import patch

AUDIENCE = f"https://entra.test{TOKEN}"
STOCK = f"https://login.microsoftonline.com{TOKEN}"
UNKNOWN = (401, "invalid_client", 700027)
MALFORMED = (401, "invalid_client", 50027)
OF_ANOTHER = (401, "invalid_client", 700021)
AUDIENCE_WRONG = (401, "invalid_client", 700023)
TIME_OVER = (401, "invalid_client", 700024)


@pytest.fixture(scope="module")
def own() -> Certified:
    return certified()


@pytest.fixture(scope="module")
def other() -> Certified:
    return certified()


@pytest.fixture
def emulator(clock: ManualClock, own: Certified) -> Emulator:
    seeds = Seeds(
        operator_secret=OPERATOR_SECRET,
        operator_certificate_pem=own.pem,
        admin_secret=ADMIN_SECRET,
    )
    return Emulator(clock=clock, seeds=seeds)


def claims(now: datetime, **more: Any) -> dict[str, Any]:
    return {**claims_of(OPERATOR_CLIENT_ID, AUDIENCE, now), **more}


async def exchange(cloud: Cloud, text: str, client_id: str = OPERATOR_CLIENT_ID) -> httpx.Response:
    return await cloud.token(
        client_id=client_id,
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=text,
        scope=GRAPH,
    )


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
@pytest.mark.parametrize(
    "header",
    [
        lambda own: {"x5t": own.x5t},
        lambda own: {"x5t": own.x5t.rstrip("=")},
        lambda own: {"x5t#S256": own.x5t_s256},
        lambda own: {"kid": own.x5t.rstrip("=")},
        lambda own: {"kid": own.sha1.hex()},
        lambda own: {"kid": own.sha1.hex().upper()},
        lambda own: {"x5t": own.x5t, "x5c": [own.der]},
        lambda own: {"x5t": own.x5t, "x5c": [own.der[:64] + "\n" + own.der[64:], own.der]},
    ],
)
async def test_the_header_names_the_certificate(
    cloud: Cloud, clock: ManualClock, own: Certified, header: Any, algorithm: str
) -> None:
    text = own.sign(claims(clock.now()), header(own), algorithm)

    answer = await exchange(cloud, text)

    assert cloud.verified(answer.json()["access_token"])["appidacr"] == "2"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"x5t": "AAAA"},
        {"x5t": 5},
        {"x5t": None},
        {"kid": ""},
    ],
)
async def test_an_unknown_certificate(
    cloud: Cloud, clock: ManualClock, own: Certified, header: dict[str, Any]
) -> None:
    text = own.sign(claims(clock.now()), {"x5t#S256": "none", **header})

    assert aadsts(await exchange(cloud, text)) == UNKNOWN


async def test_another_key_under_the_name_of_a_registered_one(
    cloud: Cloud, clock: ManualClock, own: Certified, other: Certified
) -> None:
    answer = await exchange(cloud, other.sign(claims(clock.now()), {"x5t": own.x5t}))

    assert aadsts(answer) == UNKNOWN
    assert own.sha1.hex().upper() in answer.json()["error_description"]


async def test_a_certificate_of_another_application(
    cloud: Cloud, clock: ManualClock, own: Certified
) -> None:
    given = claims(clock.now(), iss=ADMIN_CLIENT_ID, sub=ADMIN_CLIENT_ID)
    text = own.sign(given, {"x5t": own.x5t})

    assert aadsts(await exchange(cloud, text, ADMIN_CLIENT_ID)) == UNKNOWN


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"aud": AUDIENCE.replace("test/", "test//")}, None),
        ({"aud": AUDIENCE.replace("/token", "//token")}, None),
        ({"aud": f"https://entra.test/{TENANT_ID}/oauth2/token"}, None),
        ({"aud": "https://entra.test/clinic.example/oauth2/v2.0/token"}, None),
        ({"aud": STOCK}, None),
        ({"aud": STOCK.upper().replace("HTTPS", "https")}, None),
        ({"aud": [AUDIENCE]}, None),
        ({"aud": [AUDIENCE, STOCK]}, (401, "invalid_client", 5002741)),
        ({"aud": None}, AUDIENCE_WRONG),
        ({"aud": []}, AUDIENCE_WRONG),
        ({"aud": "https://entra.test"}, AUDIENCE_WRONG),
        ({"aud": "https://["}, AUDIENCE_WRONG),
        ({"aud": AUDIENCE + "?x=1"}, AUDIENCE_WRONG),
        ({"aud": AUDIENCE.replace("https", "http")}, AUDIENCE_WRONG),
        ({"aud": AUDIENCE.replace("entra.test", "evil.test")}, AUDIENCE_WRONG),
        ({"aud": AUDIENCE.replace(TENANT_ID, ADMIN_CLIENT_ID)}, AUDIENCE_WRONG),
        ({"iss": OPERATOR_CLIENT_ID.upper(), "sub": OPERATOR_CLIENT_ID.upper()}, None),
        ({"iss": ADMIN_CLIENT_ID}, OF_ANOTHER),
        ({"sub": ADMIN_CLIENT_ID}, OF_ANOTHER),
        ({"sub": None}, OF_ANOTHER),
        ({"exp": 0}, TIME_OVER),
        ({"exp": None}, TIME_OVER),
        ({"nbf": 2**40}, TIME_OVER),
        ({"jti": 5}, MALFORMED),
        ({"jti": None}, None),
    ],
)
async def test_assertions_by_claim(
    cloud: Cloud, clock: ManualClock, own: Certified, change: dict[str, Any], refusal: Any
) -> None:
    answer = await exchange(cloud, own.sign(claims(clock.now(), **change), {"x5t": own.x5t}))

    if refusal is None:
        assert answer.status_code == 200, answer.text
    else:
        assert aadsts(answer) == refusal


@pytest.mark.parametrize("chain", ["text", ["%"], [5], ["bm8="], {}])
async def test_a_chain_that_cannot_be_read(
    cloud: Cloud, clock: ManualClock, own: Certified, chain: Any
) -> None:
    text = own.sign(claims(clock.now()), {"x5t": own.x5t, "x5c": chain})

    assert aadsts(await exchange(cloud, text)) == MALFORMED


async def test_other_algorithms_are_refused(
    cloud: Cloud, clock: ManualClock, own: Certified
) -> None:
    text = own.sign(claims(clock.now()), {"x5t": own.x5t}, "RS384")

    assert aadsts(await exchange(cloud, text)) == MALFORMED


async def test_an_assertion_serves_until_it_expires(
    cloud: Cloud, clock: ManualClock, own: Certified
) -> None:
    text = own.sign(claims(clock.now()), {"x5t": own.x5t})

    assert (await exchange(cloud, text)).status_code == 200
    clock.advance(timedelta(minutes=10))
    assert (await exchange(cloud, text)).status_code == 200
    clock.advance(timedelta(minutes=6))
    assert aadsts(await exchange(cloud, text)) == TIME_OVER


async def test_a_certificate_registered_through_graph_signs_in_while_it_lasts(
    cloud: Cloud, clock: ManualClock, other: Certified
) -> None:
    app = await cloud.register()
    soon = (clock.now() + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    [given] = [other.credential(endDateTime=soon)]
    answer = await patch(cloud, {"id": app.id}, keyCredentials=[given])
    assert answer.status_code == 204, answer.text

    def signed() -> str:
        wanted = claims_of(app.app_id, AUDIENCE, clock.now())
        return other.sign(wanted, {"x5t": other.x5t})

    before = await exchange(cloud, signed(), app.app_id)
    clock.advance(timedelta(minutes=10))
    after = await exchange(cloud, signed(), app.app_id)

    assert before.status_code == 200, before.text
    assert aadsts(after) == UNKNOWN
    assert "expired" in after.json()["error_description"]


async def test_a_certificate_of_the_service_principal_signs_in(
    cloud: Cloud, clock: ManualClock, other: Certified
) -> None:
    app = await cloud.register()
    path = f"/v1.0/servicePrincipals/{app.principal_id}"

    answer = await cloud.operator.patch(path, json={"keyCredentials": [other.credential()]})
    text = other.sign(claims_of(app.app_id, AUDIENCE, clock.now()), {"x5t": other.x5t})
    hidden = (await cloud.operator.get(path)).json()["keyCredentials"]
    shown = (await cloud.operator.get(f"{path}?$select=keyCredentials")).json()["keyCredentials"]

    assert answer.status_code == 204, answer.text
    assert (await exchange(cloud, text, app.app_id)).status_code == 200
    assert [item["key"] for item in (*hidden, *shown)] == [None, other.der]
    again = await cloud.operator.patch(path, json={"keyCredentials": hidden})
    assert again.status_code == 204
    assert (await exchange(cloud, text, app.app_id)).status_code == 200


async def test_a_certificate_that_was_removed_signs_in_no_more(
    cloud: Cloud, clock: ManualClock, own: Certified
) -> None:
    [app] = (
        await cloud.operator.get(f"/v1.0/applications?$filter=appId eq '{OPERATOR_CLIENT_ID}'")
    ).json()["value"]
    answer = await cloud.admin.patch(f"/v1.0/applications/{app['id']}", json={"keyCredentials": []})
    assert answer.status_code == 204, answer.text

    text = own.sign(claims(clock.now()), {"x5t": own.x5t})

    assert aadsts(await exchange(cloud, text)) == UNKNOWN


async def test_a_seeded_certificate_must_be_one() -> None:
    with pytest.raises(ValueError, match="PEM"):
        Seeds(operator_certificate_pem="no certificate")
