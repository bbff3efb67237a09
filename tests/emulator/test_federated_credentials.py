from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entra_emulator import Emulator, ManualClock
from tests.emulator.cloud import CREATE, App, Cloud, aadsts, error_of
from tests.emulator.federation import AUDIENCE, ISSUER, SUBJECT, assertion, exchange

BODY = {"name": "portal", "issuer": ISSUER, "subject": SUBJECT, "audiences": [AUDIENCE]}
VALUE = (400, "InvalidFederatedIdentityCredentialValue")


@pytest.fixture(scope="module")
def issuer_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
async def app(cloud: Cloud) -> App:
    return await cloud.register("portal")


@pytest.fixture
async def known_issuer(cloud: Cloud, issuer_key: RSAPrivateKey) -> None:
    pem = issuer_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = {"issuer": ISSUER, "publicKey": pem.decode()}
    answer = await cloud.anybody.put("/_emulator/issuers", json=body)
    assert answer.status_code == 200, answer.text


def path(app: App, rest: str = "") -> str:
    return f"/v1.0/applications/{app.id}/federatedIdentityCredentials{rest}"


async def add(cloud: Cloud, app: App, **members: Any) -> httpx.Response:
    given = {name: value for name, value in {**BODY, **members}.items() if value is not ...}
    return await cloud.operator.post(path(app), json=given)


async def listed(cloud: Cloud, app: App, query: str = "") -> list[Any]:
    answer = await cloud.operator.get(path(app, query))
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["value"]
    return found


async def test_a_credential_is_made_and_found_by_id_and_name(cloud: Cloud, app: App) -> None:
    answer = await add(cloud, app, description="the portal's")

    assert answer.status_code == 201, answer.text
    made = answer.json()
    credential = {**BODY, "description": "the portal's", "id": made["id"]}
    context = made.pop("@odata.context")
    assert made == credential
    assert context.endswith(f"#applications('{app.id}')/federatedIdentityCredentials/$entity")
    assert answer.headers["location"].endswith(f"/federatedIdentityCredentials/{made['id']}")
    assert await listed(cloud, app) == [credential]
    for key in (f"/{made['id']}", "/portal", "(name='portal')", "/PORTAL"):
        one = (await cloud.operator.get(path(app, key))).json()
        assert {name: one[name] for name in credential} == credential


async def test_the_application_itself_does_not_show_them(cloud: Cloud, app: App) -> None:
    await add(cloud, app)

    shown = (await cloud.operator.get(f"/v1.0/applications/{app.id}")).json()
    by_app_id = await cloud.operator.get(
        f"/v1.0/applications(appId='{app.app_id}')/federatedIdentityCredentials"
    )
    objects = (await cloud.anybody.get("/_emulator/objects")).json()

    assert "federatedIdentityCredentials" not in shown
    assert len(by_app_id.json()["value"]) == 1
    [found] = [item for item in objects["applications"] if item["id"] == app.id]
    assert [item["name"] for item in found["federatedIdentityCredentials"]] == ["portal"]


@pytest.mark.parametrize("name", ["name", "issuer", "subject", "audiences"])
@pytest.mark.parametrize("value", [..., None, ""])
async def test_what_a_credential_needs(cloud: Cloud, app: App, name: str, value: Any) -> None:
    answer = await add(cloud, app, **{name: value})

    assert error_of(answer) == (400, "Request_BadRequest")
    assert answer.json()["error"]["details"][0]["code"] == "MissingValue"


@pytest.mark.parametrize(
    "members",
    [
        {"name": "ab"},
        {"name": "n" * 121},
        {"name": "-abc"},
        {"name": "a b c"},
        {"name": "a/bc"},
        {"audiences": [AUDIENCE, "other"]},
        {"audiences": ["a" * 601]},
        {"audiences": [""]},
    ],
)
async def test_values_that_the_directory_refuses(
    cloud: Cloud, app: App, members: dict[str, Any]
) -> None:
    answer = await add(cloud, app, **members)

    assert error_of(answer) == VALUE
    assert "paramName: FederatedIdentityCredential." in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "i" * 601},
        {"subject": "s" * 601},
        {"description": "d" * 601},
        {"audiences": "text"},
        {"audiences": [None]},
        {"issuer": 5},
        {"colour": "red"},
        {"id": "mine"},
    ],
)
async def test_values_of_the_wrong_form(cloud: Cloud, app: App, members: dict[str, Any]) -> None:
    answer = await add(cloud, app, **members)

    assert answer.status_code == 400, answer.text
    assert await listed(cloud, app) == []


async def test_a_name_is_there_once(cloud: Cloud, app: App) -> None:
    await add(cloud, app)

    again = await add(cloud, app, name="Portal", subject="other")

    assert error_of(again) == (409, "Request_MultipleObjectsWithSameKeyValue")
    message = again.json()["error"]["message"]
    assert message == "FederatedIdentityCredential with name Portal already exists."


async def test_issuer_and_subject_are_there_once_in_an_application(cloud: Cloud, app: App) -> None:
    await add(cloud, app)
    other = await cloud.register("other")

    again = await add(cloud, app, name="second")
    elsewhere = await add(cloud, other)
    differs = await add(cloud, app, name="third", subject=SUBJECT.upper())

    assert error_of(again) == VALUE
    assert again.json()["error"]["message"].startswith(
        "The combination of issuer and subject must be unique for the application. "
        f"Issuer {ISSUER} and Subject: {SUBJECT} already exist."
    )
    assert (elsewhere.status_code, differs.status_code) == (201, 201)


async def test_an_application_has_at_most_20(cloud: Cloud, app: App) -> None:
    for number in range(20):
        answer = await add(cloud, app, name=f"n-{number}", subject=f"s-{number}")
        assert answer.status_code == 201, answer.text

    assert error_of(await add(cloud, app)) == VALUE
    await cloud.operator.delete(path(app, "/n-7"))
    assert (await add(cloud, app)).status_code == 201


async def test_all_but_the_name_can_change(cloud: Cloud, app: App) -> None:
    made = (await add(cloud, app)).json()
    change = {"subject": "other", "audiences": ["api://other"], "description": "moved"}

    answer = await cloud.operator.patch(path(app, f"/{made['id']}"), json=change)
    repeated = await cloud.operator.patch(path(app, "/portal"), json={**BODY, **change})

    assert (answer.status_code, repeated.status_code) == (204, 204), answer.text
    assert await listed(cloud, app) == [{**BODY, "id": made["id"], **change}]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"name": "renamed"}, (400, "Request_BadRequest")),
        ({"subject": "taken"}, VALUE),
        ({"subject": None}, VALUE),
        ({"issuer": ""}, VALUE),
        ({"audiences": []}, VALUE),
        ({"id": "mine"}, (400, "Request_BadRequest")),
    ],
)
async def test_changes_that_the_directory_refuses(
    cloud: Cloud, app: App, change: dict[str, Any], refusal: tuple[int, str]
) -> None:
    await add(cloud, app)
    await add(cloud, app, name="second", subject="taken")
    before = await listed(cloud, app)

    answer = await cloud.operator.patch(path(app, "/portal"), json=change)

    assert error_of(answer) == refusal
    assert await listed(cloud, app) == before


async def test_an_upsert_makes_it_once(cloud: Cloud, app: App) -> None:
    key = path(app, "(name='portal')")
    body = {name: value for name, value in BODY.items() if name != "name"}

    first = await cloud.operator.patch(key, json=body, headers=CREATE)
    second = await cloud.operator.patch(key, json={**body, "subject": "new"}, headers=CREATE)
    plain = await cloud.operator.patch(path(app, "(name='gone')"), json=body)
    differs = await cloud.operator.patch(
        path(app, "(name='gone')"), json={**body, "name": "other"}, headers=CREATE
    )

    assert (first.status_code, second.status_code) == (201, 204)
    assert [item["subject"] for item in await listed(cloud, app)] == ["new"]
    assert error_of(plain) == (404, "Request_ResourceNotFound")
    assert error_of(differs) == (400, "Request_BadRequest")


async def test_a_deleted_one_is_gone(cloud: Cloud, app: App) -> None:
    await add(cloud, app)

    first = await cloud.operator.delete(path(app, "/portal"))
    second = await cloud.operator.delete(path(app, "/portal"))

    assert first.status_code == 204
    assert error_of(second) == (404, "Request_ResourceNotFound")
    assert await listed(cloud, app) == []


async def test_lists_can_be_filtered_and_paged(cloud: Cloud, app: App) -> None:
    for number in range(3):
        await add(cloud, app, name=f"n-{number}", subject=f"s-{number}")

    by_subject = await listed(cloud, app, "?$filter=subject eq 's-1'&$select=name")
    page = (await cloud.operator.get(path(app, "?$top=2"))).json()
    rest = (await cloud.operator.get(page["@odata.nextLink"])).json()

    assert by_subject == [{"name": "n-1"}]
    assert [item["name"] for item in page["value"] + rest["value"]] == ["n-0", "n-1", "n-2"]


async def test_they_need_ownership_and_a_permission(cloud: Cloud, app: App) -> None:
    await add(cloud, app)
    stranger = await cloud.permitted("Application.ReadWrite.OwnedBy")
    reader = await cloud.permitted("Application.Read.All")

    assert (await stranger.get(path(app))).status_code == 403
    assert (await stranger.post(path(app), json=BODY)).status_code == 403
    assert (await reader.get(path(app))).status_code == 200
    assert (await reader.delete(path(app, "/portal"))).status_code == 403
    assert (await cloud.admin.delete(path(app, "/portal"))).status_code == 204


async def test_other_keys_do_not_exist(cloud: Cloud, app: App) -> None:
    answer = await cloud.operator.get(path(app, "(subject='s')"))

    assert error_of(answer) == (400, "BadRequest")


async def test_they_come_back_with_the_application(cloud: Cloud, app: App) -> None:
    await add(cloud, app)
    await cloud.operator.delete(f"/v1.0/applications/{app.id}")

    gone = await cloud.operator.get(path(app))
    await cloud.operator.post(f"/v1.0/directory/deletedItems/{app.id}/restore")

    assert gone.status_code == 404
    assert [item["name"] for item in await listed(cloud, app)] == ["portal"]


# ---- signing in


async def test_a_workload_signs_in_with_the_token_of_its_cluster(
    cloud: Cloud, clock: ManualClock, app: App, issuer_key: RSAPrivateKey, known_issuer: None
) -> None:
    text = assertion(issuer_key, clock.now())

    before = await exchange(cloud, text, client_id=app.app_id)
    await add(cloud, app)
    after = await exchange(cloud, text, client_id=app.app_id)
    await cloud.operator.patch(path(app, "/portal"), json={"subject": "another"})
    moved = await exchange(cloud, text, client_id=app.app_id)

    assert aadsts(before) == (400, "invalid_request", 70021)
    assert cloud.verified(after.json()["access_token"])["appid"] == app.app_id
    assert aadsts(moved) == (401, "invalid_client", 700213)


async def test_a_fresh_credential_is_not_believed_at_once(
    cloud: Cloud,
    clock: ManualClock,
    emulator: Emulator,
    app: App,
    issuer_key: RSAPrivateKey,
    known_issuer: None,
) -> None:
    emulator.directory.store.lag = timedelta(seconds=30)
    clock.advance(timedelta(seconds=30))
    await add(cloud, app)

    early = await exchange(cloud, assertion(issuer_key, clock.now()), client_id=app.app_id)
    unseen = await listed(cloud, app)
    clock.advance(timedelta(seconds=30))
    late = await exchange(cloud, assertion(issuer_key, clock.now()), client_id=app.app_id)

    assert aadsts(early) == (400, "invalid_request", 70021)
    assert unseen == []
    assert late.status_code == 200, late.text


async def test_an_issuer_without_a_known_key_is_not_believed(
    cloud: Cloud, clock: ManualClock, app: App, issuer_key: RSAPrivateKey
) -> None:
    await add(cloud, app)

    answer = await exchange(cloud, assertion(issuer_key, clock.now()), client_id=app.app_id)

    assert aadsts(answer) == (401, "invalid_client", 50013)


@pytest.mark.parametrize(
    "body",
    [{}, {"issuer": ISSUER}, {"issuer": ISSUER, "publicKey": "x"}, {"issuer": 5}, {"key": "x"}],
)
async def test_what_is_no_issuer(cloud: Cloud, body: dict[str, Any]) -> None:
    answer = await cloud.anybody.put("/_emulator/issuers", json=body)

    assert answer.status_code == 400
