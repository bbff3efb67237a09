from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from entra_emulator import TENANT_ID, ManualClock
from tests.emulator.cloud import CREATE, Cloud, error_of, role, scope

KEY = "/v1.0/applications(uniqueName='k1')"
SHARED = "1f0a6b4e-0000-4000-8000-000000000001"
MINIMAL = {"displayName": "one", "signInAudience": "AzureADMyOrg"}


async def make(cloud: Cloud, **members: object) -> dict:
    answer = await cloud.operator.post("/v1.0/applications", json={**MINIMAL, **members})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def patch(cloud: Cloud, app: dict, **members: object):
    return await cloud.operator.patch(f"/v1.0/applications/{app['id']}", json=members)


async def get(cloud: Cloud, app: dict) -> dict:
    answer = await cloud.operator.get(f"/v1.0/applications/{app['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


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


# ---- roles and scopes


async def test_an_enabled_entitlement_must_be_disabled_before_it_goes(cloud: Cloud) -> None:
    read, write = role("read"), scope("write")
    app = await make(cloud, appRoles=[read], api={"oauth2PermissionScopes": [write]})

    for members in (
        {"appRoles": []},
        {"appRoles": [{**read, "description": "else"}]},
        {"appRoles": [{**read, "allowedMemberTypes": ["User"]}]},
        {"appRoles": [{**read, "value": "else"}]},
        {"api": {"oauth2PermissionScopes": []}},
        {"api": {"oauth2PermissionScopes": [{**write, "type": "Admin"}]}},
    ):
        answer = await patch(cloud, app, **members)
        assert error_of(answer) == (400, "CannotDeleteOrUpdateEnabledEntitlement"), members

    assert (await patch(cloud, app, appRoles=[{**read, "isEnabled": False}])).status_code == 204
    assert (await patch(cloud, app, appRoles=[])).status_code == 204
    disabled = {"oauth2PermissionScopes": [{**write, "isEnabled": False}]}
    assert (await patch(cloud, app, api=disabled)).status_code == 204
    assert (await patch(cloud, app, api={"oauth2PermissionScopes": []})).status_code == 204


async def test_entitlements_can_be_added_beside_enabled_ones(cloud: Cloud) -> None:
    read = role("read", members=("User", "Application"))
    app = await make(cloud, appRoles=[read])
    turned = {**read, "allowedMemberTypes": ["Application", "User"]}

    answer = await patch(cloud, app, appRoles=[role("write"), turned])

    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize(
    ("roles", "scopes"),
    [
        ([role("a", id=SHARED), role("b", id=SHARED)], []),
        ([role("a"), role("a")], []),
        ([], [scope("a"), scope("a")]),
        ([role("a b")], []),
        ([role(".a")], []),
        ([role("a" * 121)], []),
        ([role("ä")], []),
        ([], [scope("a\u0000")]),
        ([role("a", members=())], []),
        ([role("a", members=("Group",))], []),
        ([{"id": SHARED}], []),
        ([role("a", id="no-guid")], []),
        ([], [scope("a", type="Everybody")]),
        ([], [{"id": SHARED, "value": "a"}]),
        ([role("a", id=SHARED)], [scope("b", id=SHARED)]),
        ([role("a", id=SHARED)], [scope("a", id=str(uuid4()))]),
        ([role("a", id=SHARED)], [scope("a", id=SHARED, adminConsentDescription="else")]),
        ([role("a", id=SHARED)], [scope("a", id=SHARED, isEnabled=False)]),
    ],
)
async def test_entitlements_that_are_refused(cloud: Cloud, roles: list, scopes: list) -> None:
    body = {**MINIMAL, "appRoles": roles, "api": {"oauth2PermissionScopes": scopes}}

    answer = await cloud.operator.post("/v1.0/applications", json=body)

    assert answer.status_code == 400, answer.text


async def test_a_role_and_a_scope_may_be_one_permission(cloud: Cloud) -> None:
    twins = {
        "appRoles": [role("a", id=SHARED)],
        "api": {"oauth2PermissionScopes": [scope("a", id=SHARED)]},
    }

    assert (await make(cloud, **twins))["appRoles"][0]["id"] == SHARED


async def test_pre_authorized_permissions_must_exist(cloud: Cloud) -> None:
    app = await make(cloud)
    client = {"appId": str(uuid4()), "delegatedPermissionIds": [SHARED]}

    early = await patch(cloud, app, api={"preAuthorizedApplications": [client]})
    await patch(cloud, app, api={"oauth2PermissionScopes": [scope("a", id=SHARED)]})
    late = await patch(cloud, app, api={"preAuthorizedApplications": [client]})

    [detail] = early.json()["error"]["details"]
    assert (early.status_code, detail["code"]) == (400, "InvalidValue")
    assert detail["target"] == "api.preAuthorizedApplications.delegatedPermissionIds"
    assert late.status_code == 204


# ---- identifier URIs


@pytest.mark.parametrize(
    "uri",
    [
        "https://fhir.clinic.example",
        "https://clinic.example/fhir",
        "https://example.com",
        "https://clinic.onmicrosoft.com/fhir",
        "https://FHIR.clinic.example",
        "api://{appId}",
        "api://{appId}/fhir",
        f"api://{TENANT_ID}/fhir",
        f"api://{TENANT_ID}/{{appId}}",
        "api://fhir/{appId}",
        "api://fhir.clinic.example/r4",
    ],
)
async def test_identifier_uris_that_prove_themselves(cloud: Cloud, uri: str) -> None:
    app = await make(cloud)

    answer = await patch(cloud, app, identifierUris=[uri.format(**app)])

    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize(
    "uri",
    [
        "https://fhir.other.example",
        "https://notclinic.example",
        "https://clinic.example.other.example",
        "http://fhir.clinic.example",
        "api://fhir",
        "api://7d7e3a0c-0000-4000-8000-00000000000f",
        "api://fhir.other.example/r4",
        "urn:fhir",
    ],
)
async def test_identifier_uris_without_proof_need_version_2(cloud: Cloud, uri: str) -> None:
    app = await make(cloud)

    refused = await patch(cloud, app, identifierUris=[uri])
    exempt = await patch(cloud, app, identifierUris=[uri], api={"requestedAccessTokenVersion": 2})
    back = await patch(cloud, app, api={"requestedAccessTokenVersion": 1})

    assert error_of(refused) == (400, "HostNameNotOnVerifiedDomain")
    assert exempt.status_code == 204
    assert error_of(back) == (400, "HostNameNotOnVerifiedDomain")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "fhir",
        "https://",
        "https://fhir.clinic.example/",
        "https://*.clinic.example",
        "a b:c",
        "https://fhir.clinic.example/" + "x" * 255,
        "https:///x",
        "api://[x/y",
    ],
)
async def test_identifier_uris_that_are_malformed(cloud: Cloud, uri: str) -> None:
    answer = await cloud.operator.post(
        "/v1.0/applications", json={**MINIMAL, "identifierUris": [uri]}
    )

    assert answer.status_code == 400


async def test_an_identifier_uri_has_one_live_holder(cloud: Cloud) -> None:
    uri = "https://fhir.clinic.example"
    first = await make(cloud, identifierUris=[uri])
    second = await make(cloud)

    taken = await patch(cloud, second, identifierUris=[uri.upper().replace("HTTPS", "https")])
    await cloud.operator.delete(f"/v1.0/applications/{first['id']}")
    freed = await patch(cloud, second, identifierUris=[uri])
    path = f"/v1.0/directory/deletedItems/{first['id']}/restore"
    restored = await cloud.operator.post(path)

    assert error_of(taken) == (400, "Request_BadRequest")
    assert taken.json()["error"]["details"][0]["code"] == "ObjectConflict"
    assert freed.status_code == 204
    assert error_of(restored) == (400, "Request_BadRequest")


# ---- redirect URIs


@pytest.mark.parametrize(
    ("platform", "uri"),
    [
        ("web", "https://a.example/cb?x=1"),
        ("web", "http://localhost:8080/cb"),
        ("web", "http://127.0.0.1/cb"),
        ("web", "https://*.a.example/cb"),
        ("spa", "https://a.example"),
        ("publicClient", "myapp://auth"),
        ("publicClient", "https://www.getpostman.com/oauth2/callback"),
    ],
)
async def test_redirect_uris_that_are_taken(cloud: Cloud, platform: str, uri: str) -> None:
    app = await make(cloud, **{platform: {"redirectUris": [uri]}})

    assert app[platform]["redirectUris"] == [uri]


@pytest.mark.parametrize(
    ("platform", "uri"),
    [
        ("web", "http://a.example/cb"),
        ("web", "http://[::1]/cb"),
        ("web", "myapp://auth"),
        ("spa", "myapp://auth"),
        ("web", "/cb"),
        ("web", ""),
        ("web", "https://"),
        ("web", "https://a.example/cb#x"),
        ("web", "https://a.example/c b"),
        ("web", "https://a.example/(cb)"),
        ("web", "https://a.example/" + "x" * 256),
        ("web", "https://a.example:port/"),
        ("publicClient", "http://a.example/cb"),
    ],
)
async def test_redirect_uris_that_are_refused(cloud: Cloud, platform: str, uri: str) -> None:
    body = {**MINIMAL, platform: {"redirectUris": [uri]}}

    answer = await cloud.operator.post("/v1.0/applications", json=body)

    [detail] = answer.json()["error"]["details"]
    assert answer.status_code == 400
    assert detail["target"] == f"{platform}.redirectUris"


async def test_one_redirect_uri_belongs_to_one_platform(cloud: Cloud) -> None:
    uri = {"redirectUris": ["https://a.example/cb"]}
    app = await make(cloud, web=uri)

    assert (await patch(cloud, app, spa=uri)).status_code == 400
    assert (await patch(cloud, app, spa=uri, web={"redirectUris": []})).status_code == 204


async def test_an_application_has_at_most_256_redirect_uris(cloud: Cloud) -> None:
    uris = [f"https://a.example/{number}" for number in range(257)]

    body = {**MINIMAL, "web": {"redirectUris": uris}}

    assert (await cloud.operator.post("/v1.0/applications", json=body)).status_code == 400
    assert await make(cloud, web={"redirectUris": uris[:256]})


# ---- passwords


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


@pytest.mark.parametrize(
    "body",
    [
        {"passwordCredential": {"endDateTime": "2026-05-01T00:00:00Z"}},
        {"passwordCredential": {"startDateTime": "9999-06-01T00:00:00Z"}},
        {"passwordCredential": {"endDateTime": "tomorrow"}},
        {"passwordCredential": {"endDateTime": "2026-13-01T00:00:00Z"}},
        {"passwordCredential": {"endDateTime": "0001-01-01T00:00:00+10:00"}},
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
