import pytest

from entra_emulator import TENANT_ID
from tests.emulator.cloud import Cloud, error_of
from tests.emulator.registrations import MINIMAL, make, patch


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
