from uuid import uuid4

import pytest

from tests.emulator.cloud import CREATE, Cloud, error_of, role, scope
from tests.emulator.registrations import KEY, MINIMAL, SHARED, get, make, patch


async def test_upsert_creates_once_and_updates_afterwards(cloud: Cloud) -> None:
    first = await cloud.operator.patch(KEY, json=MINIMAL, headers=CREATE)
    again = await cloud.operator.patch(KEY, json={"displayName": "two"}, headers=CREATE)
    found = await cloud.operator.get(KEY)

    assert (first.status_code, again.status_code) == (201, 204)
    assert first.json()["uniqueName"] == "k1"
    assert found.json()["id"] == first.json()["id"]
    assert found.json()["displayName"] == "two"


async def test_without_prefer_a_missing_key_is_not_created(cloud: Cloud) -> None:
    answer = await cloud.operator.patch(KEY, json=MINIMAL)

    assert error_of(answer) == (404, "Request_ResourceNotFound")
    assert "does not exist or one of its queried" in answer.json()["error"]["message"]


async def test_upsert_cannot_contradict_its_key(cloud: Cloud) -> None:
    body = {**MINIMAL, "uniqueName": "other"}

    answer = await cloud.operator.patch(KEY, json=body, headers=CREATE)

    assert error_of(answer) == (400, "Request_BadRequest")


async def test_keys_are_decoded(cloud: Cloud) -> None:
    path = "/v1.0/applications(uniqueName='it''s%20a%2Fb')"

    made = await cloud.operator.patch(path, json=MINIMAL, headers=CREATE)

    assert made.json()["uniqueName"] == "it's a/b"
    assert (await cloud.operator.get(path)).status_code == 200


@pytest.mark.parametrize("form", ["/{id}", "('{id}')", "(appId='{appId}')", "(uniqueName='u')"])
async def test_an_application_is_found_by_every_key(cloud: Cloud, form: str) -> None:
    app = await make(cloud, uniqueName="u")

    answer = await cloud.operator.get("/v1.0/applications" + form.format(**app))

    assert answer.json()["id"] == app["id"]


async def test_a_soft_deleted_application_keeps_its_unique_name(cloud: Cloud) -> None:
    app = await make(cloud, uniqueName="k1")
    await cloud.operator.delete(f"/v1.0/applications/{app['id']}")

    answer = await cloud.operator.patch(KEY, json=MINIMAL, headers=CREATE)

    error = answer.json()["error"]
    assert error_of(answer) == (400, "Request_BadRequest")
    assert error["message"] == (
        "Another object with the same value for property uniqueName already exists."
    )
    assert error["details"][0]["code"] == "ObjectConflict"


async def test_unique_name_can_be_filled_once(cloud: Cloud) -> None:
    app = await make(cloud)

    filled = await patch(cloud, app, uniqueName="late")
    repeated = await patch(cloud, app, uniqueName="late")
    changed = await patch(cloud, app, uniqueName="other")

    assert [filled.status_code, repeated.status_code, changed.status_code] == [204, 204, 400]


async def test_what_was_written_is_read_back(cloud: Cloud) -> None:
    read, write = role("read"), scope("write")
    body = {
        "notes": "n",
        "tags": ["a", "b"],
        "isFallbackPublicClient": True,
        "web": {"redirectUris": ["https://a.example/cb"], "homePageUrl": None},
        "spa": {"redirectUris": ["https://spa.example/"]},
        "publicClient": {"redirectUris": ["http://localhost", "msauth.com.a://auth"]},
        "requiredResourceAccess": [
            {
                "resourceAppId": str(uuid4()),
                "resourceAccess": [{"id": str(uuid4()), "type": "Scope"}],
            }
        ],
        "appRoles": [read],
        "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [write]},
    }

    app = await make(cloud, **body)
    read_back = await get(cloud, app)

    for name in ("notes", "tags", "isFallbackPublicClient", "requiredResourceAccess", "spa"):
        assert read_back[name] == body[name]
    assert read_back["publicClient"] == body["publicClient"]
    assert read_back["web"]["redirectUriSettings"] == [
        {"uri": "https://a.example/cb", "index": None}
    ]
    assert read_back["appRoles"] == [{**read, "isEnabled": True, "origin": "Application"}]
    stored = read_back["api"]["oauth2PermissionScopes"][0]
    assert write.items() <= stored.items()
    assert stored["isEnabled"]


async def test_what_was_read_can_be_written_back(cloud: Cloud) -> None:
    app = await make(cloud, appRoles=[role("read")], web={"redirectUris": ["https://a.example/"]})
    before = await get(cloud, app)

    answer = await cloud.operator.patch(f"/v1.0/applications/{app['id']}", json=before)

    assert answer.status_code == 204, answer.text
    assert await get(cloud, app) == before


async def test_patch_merges_complex_properties_and_replaces_collections(cloud: Cloud) -> None:
    app = await make(
        cloud,
        tags=["a", "b"],
        api={"requestedAccessTokenVersion": 2, "knownClientApplications": [str(uuid4())]},
    )

    await patch(cloud, app, tags=["c"], api={"knownClientApplications": []})
    after = await get(cloud, app)

    assert after["tags"] == ["c"]
    assert after["api"]["requestedAccessTokenVersion"] == 2
    assert after["api"]["knownClientApplications"] == []


async def test_creation_alone_shows_seven_digits_of_a_second(cloud: Cloud) -> None:
    app = await make(cloud)

    assert app["createdDateTime"] == "2026-06-01T12:00:00.0000000Z"
    assert (await get(cloud, app))["createdDateTime"] == "2026-06-01T12:00:00Z"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"displayName": ""}, "Request_BadRequest"),
        ({"displayName": None}, "Request_BadRequest"),
        ({"displayName": "x" * 121}, "Request_BadRequest"),
        ({"displayName": 5}, "BadRequest"),
        ({"description": "x" * 1025}, "Request_BadRequest"),
        ({"colour": "red"}, "Request_BadRequest"),
        ({"api": {"colour": "red"}}, "Request_BadRequest"),
        ({"id": SHARED}, "Request_BadRequest"),
        ({"appId": SHARED}, "Request_BadRequest"),
        ({"signInAudience": "Everybody"}, "Request_BadRequest"),
        ({"signInAudience": None}, "Request_BadRequest"),
        ({"tags": ["a b"]}, "Request_BadRequest"),
        ({"tags": [""]}, "Request_BadRequest"),
        ({"tags": ["x" * 257]}, "Request_BadRequest"),
        ({"tags": ["a", "a"]}, "Request_BadRequest"),
        ({"tags": [None]}, "Request_BadRequest"),
        ({"tags": "a"}, "BadRequest"),
        ({"isFallbackPublicClient": "yes"}, "BadRequest"),
        ({"api": {"requestedAccessTokenVersion": 3}}, "Request_BadRequest"),
        ({"api": {"requestedAccessTokenVersion": "2"}}, "BadRequest"),
        ({"api": {"requestedAccessTokenVersion": True}}, "BadRequest"),
        ({"requiredResourceAccess": [{"resourceAppId": "x"}]}, "BadRequest"),
        ({"requiredResourceAccess": [{"resourceAccess": []}]}, "Request_BadRequest"),
        ({"tags": [str(number) for number in range(1300)]}, "Directory_ResourceSizeExceeded"),
    ],
)
async def test_what_an_application_may_not_be(cloud: Cloud, members: dict, code: str) -> None:
    created = await cloud.operator.post("/v1.0/applications", json={**MINIMAL, **members})
    app = await make(cloud)
    changed = await patch(cloud, app, **members)

    assert created.json()["error"]["code"] == code
    assert changed.json()["error"]["code"] == code
    assert created.status_code == changed.status_code in {400, 403}


async def test_collections_are_not_nullable_in_a_patch(cloud: Cloud) -> None:
    app = await make(cloud, tags=None)

    assert error_of(await patch(cloud, app, tags=None)) == (400, "BadRequest")


async def test_a_name_is_required(cloud: Cloud) -> None:
    answer = await cloud.operator.post("/v1.0/applications", json={})

    assert answer.json()["error"]["message"] == (
        "A value is required for property 'displayName' of resource 'Application'."
    )


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b"1", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b'{"a":"\\ud800"}']
)
async def test_what_is_no_json_object_is_refused(cloud: Cloud, raw: bytes) -> None:
    answer = await cloud.operator.post("/v1.0/applications", content=raw)

    assert error_of(answer) == (400, "BadRequest")
    assert answer.json()["error"]["message"].startswith("Unable to read JSON request payload")


async def test_a_body_has_a_size_limit(cloud: Cloud) -> None:
    answer = await cloud.operator.post("/v1.0/applications", content=b" " * (4 * 1024 * 1024 + 1))

    assert answer.status_code == 413
