import re
from html import unescape

import pytest

from tests.emulator.clinic import FHIR, SCOPE, SPA, WEB, Clinic
from tests.emulator.cloud import (
    AUTHORIZE,
    returned,
)


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
