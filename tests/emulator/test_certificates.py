import base64
from datetime import timedelta
from typing import Any

import pytest

from entra_emulator import ManualClock
from tests.emulator.certified import END, Certified, certified, elliptic
from tests.emulator.cloud import Cloud, error_of
from tests.emulator.registrations import create, get, make, patch


@pytest.fixture(scope="module")
def one() -> Certified:
    return certified()


@pytest.fixture(scope="module")
def two() -> Certified:
    return certified(end=END + timedelta(days=30))


async def selected(cloud: Cloud, app: dict[str, Any], select: str = "keyCredentials") -> list[Any]:
    answer = await cloud.operator.get(f"/v1.0/applications/{app['id']}?$select={select}")
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["keyCredentials"]
    return found


async def test_a_certificate_is_taken_at_the_creation(cloud: Cloud, one: Certified) -> None:
    app = await make(cloud, keyCredentials=[one.credential(displayName="first")])

    [shown] = app["keyCredentials"]
    assert shown == {
        "customKeyIdentifier": base64.b64encode(one.sha1).decode(),
        "displayName": "first",
        "endDateTime": "2027-01-01T00:00:00Z",
        "key": None,
        "keyId": shown["keyId"],
        "startDateTime": "2026-01-01T00:00:00Z",
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }


async def test_only_a_read_of_one_object_that_selects_them_shows_keys(
    cloud: Cloud, one: Certified
) -> None:
    app = await make(cloud, keyCredentials=[one.credential()])

    [hidden] = (await get(cloud, app))["keyCredentials"]
    listed = await cloud.operator.get("/v1.0/applications?$select=id,keyCredentials")
    of_list = {item["id"]: item["keyCredentials"] for item in listed.json()["value"]}
    path = await cloud.operator.get(f"/v1.0/applications/{app['id']}/keyCredentials")

    assert hidden["key"] is None
    assert of_list[app["id"]] == [hidden]
    assert path.json()["value"] == [hidden]
    assert await selected(cloud, app) == [{**hidden, "key": one.der}]
    assert await selected(cloud, app, "id,KEYCREDENTIALS") == [{**hidden, "key": one.der}]


async def test_what_a_client_reads_back_it_can_write(
    cloud: Cloud, one: Certified, two: Certified
) -> None:
    app = await make(cloud, keyCredentials=[one.credential()])
    [kept] = (await get(cloud, app))["keyCredentials"]

    answer = await patch(cloud, app, keyCredentials=[kept, two.credential()])

    assert answer.status_code == 204
    first, second = await selected(cloud, app)
    assert first == {**kept, "key": one.der}
    assert second["key"] == two.der


async def test_the_collection_is_replaced(cloud: Cloud, one: Certified, two: Certified) -> None:
    app = await make(cloud, keyCredentials=[one.credential()])

    await patch(cloud, app, keyCredentials=[two.credential()])
    assert [item["key"] for item in await selected(cloud, app)] == [two.der]

    await patch(cloud, app, displayName="other")
    assert len(await selected(cloud, app)) == 1

    await patch(cloud, app, keyCredentials=[])
    assert await selected(cloud, app) == []


async def test_keys_are_read_as_clients_write_them(cloud: Cloud, one: Certified) -> None:
    lines = "\n".join(one.der[at : at + 64] for at in range(0, len(one.der), 64))
    given = one.credential(key=lines + "\n") | {"@odata.type": "#microsoft.graph.keyCredential"}

    app = await make(cloud, keyCredentials=[given])

    assert [item["key"] for item in await selected(cloud, app)] == [one.der]


async def test_wishes_are_kept_and_long_names_are_cut(cloud: Cloud, one: Certified) -> None:
    key_id = "1f0a6b4e-0000-4000-8000-00000000000A"
    wishes = {
        "displayName": "n" * 200,
        "keyId": key_id,
        "startDateTime": "2026-02-01T00:00:00Z",
        "endDateTime": "2026-12-01T00:00:00Z",
    }

    app = await make(cloud, keyCredentials=[one.credential(**wishes)])

    [shown] = app["keyCredentials"]
    assert shown["displayName"] == "n" * 90
    assert shown["keyId"] == key_id.lower()
    assert shown["startDateTime"] == "2026-02-01T00:00:00Z"
    assert shown["endDateTime"] == "2026-12-01T00:00:00Z"


@pytest.mark.parametrize(
    "wishes",
    [
        {"endDateTime": "2027-01-01T00:00:01Z"},
        {"endDateTime": "2026-05-01T00:00:00Z"},
        {"startDateTime": "2026-12-01T00:00:00Z", "endDateTime": "2026-11-01T00:00:00Z"},
    ],
)
async def test_a_credential_ends_with_its_certificate_and_not_before_now(
    cloud: Cloud, one: Certified, wishes: dict[str, str]
) -> None:
    answer = await create(cloud, keyCredentials=[one.credential(**wishes)])

    assert error_of(answer) == (400, "KeyCredentialsInvalidEndDate")
    assert answer.json()["error"]["message"] == "Key credential end date is invalid."


async def test_an_expired_entry_fails_the_whole_write(
    cloud: Cloud, clock: ManualClock, one: Certified, two: Certified
) -> None:
    soon = (clock.now() + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    app = await make(cloud, keyCredentials=[one.credential(endDateTime=soon)])
    clock.advance(timedelta(minutes=10))
    [expired] = (await get(cloud, app))["keyCredentials"]

    refused = await patch(cloud, app, keyCredentials=[expired, two.credential()])
    taken = await patch(cloud, app, keyCredentials=[two.credential()])

    assert error_of(refused) == (400, "KeyCredentialsInvalidEndDate")
    assert taken.status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        {"key": None},
        {"key": None, "keyId": "1f0a6b4e-0000-4000-8000-00000000000a"},
        {"key": "bm8gY2VydGlmaWNhdGU="},
        {"key": "%"},
        {"key": 5},
        {"key": ""},
        {"key": elliptic()},
        {"type": "Symmetric"},
        {"type": None},
        {"usage": "Sign"},
        {"usage": None},
        {"endDateTime": "tomorrow"},
        {"colour": "red"},
    ],
)
async def test_what_is_no_certificate_to_sign_in_with(
    cloud: Cloud, one: Certified, change: dict[str, Any]
) -> None:
    answer = await create(cloud, keyCredentials=[one.credential(**change)])

    assert answer.status_code == 400, answer.text


async def test_a_present_entry_cannot_get_another_key(
    cloud: Cloud, one: Certified, two: Certified
) -> None:
    app = await make(cloud, keyCredentials=[one.credential()])
    [shown] = await selected(cloud, app)

    same = await patch(cloud, app, keyCredentials=[shown])
    other = await patch(cloud, app, keyCredentials=[{**shown, "key": two.der}])

    assert same.status_code == 204
    assert error_of(other) == (400, "Request_BadRequest")
    assert "Update to existing credential" in other.text


async def test_usages_are_named_when_one_is_wrong(cloud: Cloud, one: Certified) -> None:
    answer = await create(cloud, keyCredentials=[one.credential(usage="Encrypt")])

    assert error_of(answer) == (400, "Request_BadRequest")
    assert "Acceptable values are Sign, Verify." in answer.text


async def test_a_key_id_is_there_once(cloud: Cloud, one: Certified, two: Certified) -> None:
    key_id = "1f0a6b4e-0000-4000-8000-00000000000a"
    both = [one.credential(keyId=key_id), two.credential(keyId=key_id)]

    assert (await create(cloud, keyCredentials=both)).status_code == 400


async def test_the_emulators_own_view_shows_no_keys(cloud: Cloud, one: Certified) -> None:
    app = await make(cloud, keyCredentials=[one.credential()])

    objects = (await cloud.anybody.get("/_emulator/objects")).json()

    [found] = [item for item in objects["applications"] if item["id"] == app["id"]]
    assert [item["key"] for item in found["keyCredentials"]] == [None]
