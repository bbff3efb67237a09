from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from entra_emulator import ManualClock
from tests.emulator.cloud import CREATE, Cloud, role
from tests.emulator.registrations import KEY, MINIMAL, get, make, patch


async def test_a_secret_is_shown_once(cloud: Cloud, clock: ManualClock) -> None:
    app = await make(cloud)
    path = f"/v1.0/applications/{app['id']}/addPassword"

    shown = await cloud.operator.post(path, json={"passwordCredential": {"displayName": "n"}})
    [kept] = (await get(cloud, app))["passwordCredentials"]

    credential = shown.json()
    assert 16 <= len(credential["secretText"]) <= 64
    assert credential["hint"] == credential["secretText"][:3]
    assert kept == {
        **{name: value for name, value in credential.items() if "@" not in name},
        "secretText": None,
    }
    assert kept["startDateTime"] == "2026-06-01T12:00:00Z"
    assert datetime.fromisoformat(kept["endDateTime"]) == clock.now() + timedelta(days=730)


async def test_a_password_has_the_wanted_lifetime_and_no_wanted_key_id(cloud: Cloud) -> None:
    app = await make(cloud)
    wish = {"endDateTime": "2026-07-01T02:00:00.5+02:00", "keyId": str(uuid4())}

    answer = await cloud.operator.post(
        f"/v1.0/applications(appId='{app['appId']}')/addPassword",
        json={"passwordCredential": wish},
    )

    assert answer.json()["endDateTime"] == "2026-07-01T00:00:00Z"
    assert answer.json()["keyId"] != wish["keyId"]


@pytest.mark.parametrize("given", ["YWJj", "YW Jj", "YWJj\n"])
async def test_a_custom_key_identifier_is_kept_as_base64(cloud: Cloud, given: str) -> None:
    app = await make(cloud)
    body = {"passwordCredential": {"customKeyIdentifier": given}}

    answer = await cloud.operator.post(f"/v1.0/applications/{app['id']}/addPassword", json=body)

    assert answer.json()["customKeyIdentifier"] == "YWJj"


@pytest.mark.parametrize(
    "body",
    [
        {"passwordCredential": {"endDateTime": "2026-05-01T00:00:00Z"}},
        {"passwordCredential": {"startDateTime": "9999-06-01T00:00:00Z"}},
        {"passwordCredential": {"endDateTime": "tomorrow"}},
        {"passwordCredential": {"endDateTime": "2026-13-01T00:00:00Z"}},
        {"passwordCredential": {"endDateTime": "0001-01-01T00:00:00+10:00"}},
        {"passwordCredential": {"customKeyIdentifier": "ä"}},
        {"passwordCredential": {"customKeyIdentifier": "a"}},
        {"passwordCredential": {"customKeyIdentifier": 1}},
        {"passwordCredential": {"colour": "red"}},
        {"passwordCredential": "x"},
        {"displayName": "x"},
    ],
)
async def test_passwords_that_are_refused(cloud: Cloud, body: dict) -> None:
    app = await make(cloud)

    answer = await cloud.operator.post(f"/v1.0/applications/{app['id']}/addPassword", json=body)

    assert answer.status_code == 400


async def test_remove_password_takes_one_away(cloud: Cloud) -> None:
    app = await make(cloud)
    path = f"/v1.0/applications/{app['id']}"
    first = (await cloud.operator.post(f"{path}/addPassword")).json()
    second = (await cloud.operator.post(f"{path}/addPassword", json={})).json()

    gone = await cloud.operator.post(f"{path}/removePassword", json={"keyId": first["keyId"]})
    again = await cloud.operator.post(f"{path}/removePassword", json={"keyId": first["keyId"]})
    bad = await cloud.operator.post(f"{path}/removePassword", json={"keyId": "x"})
    none = await cloud.operator.post(f"{path}/removePassword", json={})

    assert [answer.status_code for answer in (gone, again, bad, none)] == [204, 400, 400, 400]
    [left] = (await get(cloud, app))["passwordCredentials"]
    assert left["keyId"] == second["keyId"]


async def test_passwords_come_with_a_creation_but_not_with_an_update(cloud: Cloud) -> None:
    app = await make(cloud, passwordCredentials=[{"displayName": "first"}])

    [credential] = app["passwordCredentials"]
    assert credential["secretText"]
    assert (await get(cloud, app))["passwordCredentials"][0]["secretText"] is None
    assert (await patch(cloud, app, passwordCredentials=[])).status_code == 400
    upsert = {**MINIMAL, "passwordCredentials": [{"displayName": "x"}]}
    assert (await cloud.operator.patch(KEY, json=upsert, headers=CREATE)).status_code == 400


async def test_personal_accounts_change_the_limits(cloud: Cloud) -> None:
    personal = {"signInAudience": "AzureADandPersonalMicrosoftAccount"}
    version = {"api": {"requestedAccessTokenVersion": 2}}
    roles = {"appRoles": [role("a")]}
    app = await make(cloud, **personal, **version)
    path = f"/v1.0/applications/{app['id']}/addPassword"

    for body in (personal, {**personal, **version, **roles}):
        answer = await cloud.operator.post("/v1.0/applications", json={**MINIMAL, **body})
        assert answer.status_code == 400
    answers = [await cloud.operator.post(path) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert answers[2].json()["error"]["code"] == "TooManyAppPasswords"


async def test_expiry_is_an_instant_in_utc(cloud: Cloud) -> None:
    app = await make(cloud)
    answer = await cloud.operator.post(f"/v1.0/applications/{app['id']}/addPassword")

    assert datetime.fromisoformat(answer.json()["endDateTime"]).tzinfo == UTC
