import re

import pytest

from entra_emulator import GRAPH_APP_ID
from tests.emulator.cloud import Cloud, error_of

APPS = "/v1.0/applications"
EVENTUAL = {"ConsistencyLevel": "eventual"}


async def names(cloud: Cloud, query: str, **headers: str) -> list[str]:
    answer = await cloud.operator.get(f"{APPS}?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [item["displayName"] for item in answer.json()["value"]]


async def make(cloud: Cloud, *members: dict) -> None:
    for body in members:
        answer = await cloud.operator.post(APPS, json=body)
        assert answer.status_code == 201, answer.text


async def test_lists_are_paged_and_links_lead_on(cloud: Cloud) -> None:
    await make(cloud, *({"displayName": f"a{number}"} for number in range(5)))
    path = f"{APPS}?$top=2&$filter=startswith(displayName,'a')&$select=displayName"
    pages = []

    while path:
        body = (await cloud.operator.get(path)).json()
        pages.append([item["displayName"] for item in body["value"]])
        path = body.get("@odata.nextLink")
        assert path is None or path.startswith("https://entra.test/v1.0/applications?")

    # the seeded tool is called "Administrator's tool"
    assert pages == [["Administrator's tool", "a0"], ["a1", "a2"], ["a3", "a4"]]


async def test_a_page_survives_the_deletion_of_its_last_object(cloud: Cloud) -> None:
    await make(cloud, *({"displayName": f"a{number}"} for number in range(3)))
    found = (await cloud.operator.get(f"{APPS}?$top=3")).json()
    await cloud.operator.delete(f"{APPS}/{found['value'][-1]['id']}")

    rest = (await cloud.operator.get(found["@odata.nextLink"])).json()["value"]

    assert [item["displayName"] for item in rest] == ["a1", "a2"]


async def test_a_page_has_100_objects_unless_asked_otherwise(cloud: Cloud) -> None:
    await make(cloud, *({"displayName": str(number)} for number in range(101)))

    first = (await cloud.operator.get(APPS)).json()

    assert len(first["value"]) == 100
    assert "@odata.nextLink" in first
    assert len((await cloud.operator.get(f"{APPS}?$top=999")).json()["value"]) == 103


@pytest.mark.parametrize("top", ["0", "1000", "-1", "x", "1e3", "", "99999999999", "²"])
async def test_page_sizes_that_are_refused(cloud: Cloud, top: str) -> None:
    answer = await cloud.operator.get(APPS, params={"$top": top})

    assert error_of(answer) == (400, "Request_UnsupportedQuery")


@pytest.mark.parametrize("token", ["x", "====", "/w==", "LTE5OTk5OTk5OTk5OTk5OTk5OTk5OTl4"])
async def test_page_tokens_that_are_refused(cloud: Cloud, token: str) -> None:
    answer = await cloud.operator.get(APPS, params={"$skiptoken": token})

    assert error_of(answer) == (400, "Directory_ExpiredPageToken")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("displayName eq 'one'", ["one"]),
        ("displayName eq 'ONE'", ["one"]),
        ("startswith(displayName,'o')", ["one", "o'clock"]),
        ("startsWith(displayName, 'o''c')", ["o'clock"]),
        ("displayName eq 'o''clock'", ["o'clock"]),
        ("displayName in ('one', 'two')", ["one", "two"]),
        ("uniqueName eq 'u-2'", ["two"]),
        ("identifierUris/any(u:u eq 'https://fhir.clinic.example')", ["one"]),
        ("identifierUris/any(u: startswith(u, 'https://f'))", ["one"]),
        ("tags/any(t:t eq 'x' or t eq 'y')", ["one", "two"]),
        ("tags/any(t:t eq 'y') and displayName eq 'two'", ["two"]),
        ("(displayName eq 'one' or displayName eq 'two') and tags/any(t:t eq 'x')", ["one"]),
        ("displayName+eq+'one'", ["one"]),
        ("uniqueName eq null and startswith(displayName,'o')", ["one", "o'clock"]),
    ],
)
async def test_filters(cloud: Cloud, query: str, found: list[str]) -> None:
    await make(
        cloud,
        {
            "displayName": "one",
            "tags": ["x"],
            "identifierUris": ["https://fhir.clinic.example"],
        },
        {"displayName": "two", "uniqueName": "u-2", "tags": ["y"]},
        {"displayName": "o'clock"},
    )

    assert await names(cloud, f"$filter={query}") == found


@pytest.mark.parametrize(
    "query", ["displayName ne 'x'", "not displayName eq 'x'", "endswith(displayName,'x')"]
)
async def test_advanced_filters_need_the_consistency_level(cloud: Cloud, query: str) -> None:
    bare = await cloud.operator.get(APPS, params={"$filter": query})
    header = await cloud.operator.get(APPS, params={"$filter": query}, headers=EVENTUAL)
    both = await cloud.operator.get(
        APPS, params={"$filter": query, "$count": "true"}, headers=EVENTUAL
    )

    assert error_of(bare) == error_of(header) == (400, "Request_UnsupportedQuery")
    assert both.status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "displayName",
        "displayName eq",
        "displayName eq 'x",
        "eq 'x'",
        "(displayName eq 'x'",
        "displayName eq 'x' and",
        "startswith(displayName)",
        "startswith(displayName, true)",
        "tags/all(t:t eq 'x')",
        "tags/any(t)",
        "notes eq 'x'",
        "colour eq 'red'",
        "a/b/c eq 'x'",
        "displayName gt 'x'",
        "tags/any(t:u eq 'x')",
        "displayName eq 'x' 'y'",
        "§",
        "))",
        "'x' eq 'y'",
        "(" * 500,
        "displayName eq 'x' or " * 300,
    ],
)
async def test_filters_that_are_refused(cloud: Cloud, query: str) -> None:
    answer = await cloud.operator.get(APPS, params={"$filter": query})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in {"BadRequest", "Request_UnsupportedQuery"}


async def test_service_principals_are_found_by_name(cloud: Cloud) -> None:
    query = f"servicePrincipalNames/any(c:c eq '{GRAPH_APP_ID}')"

    answer = await cloud.operator.get("/v1.0/servicePrincipals", params={"$filter": query})

    assert [item["appId"] for item in answer.json()["value"]] == [GRAPH_APP_ID]


async def test_select_chooses_members(cloud: Cloud) -> None:
    app = await cloud.register()

    one = (await cloud.operator.get(f"{APPS}/{app.id}?$select=id,DISPLAYNAME")).json()
    every = (await cloud.operator.get(f"{APPS}/{app.id}?$select=*")).json()
    wrong = await cloud.operator.get(f"{APPS}/{app.id}?$select=colour")

    assert set(one) == {"@odata.context", "id", "displayName"}
    assert "tags" in every
    assert error_of(wrong) == (400, "BadRequest")
    assert "Could not find a property named 'colour'" in wrong.text


async def test_counting_needs_the_consistency_level(cloud: Cloud) -> None:
    counted = await cloud.operator.get(f"{APPS}?$count=true&$top=1", headers=EVENTUAL)
    refused = await cloud.operator.get(f"{APPS}?$count=true")
    wrong = await cloud.operator.get(f"{APPS}?$count=maybe", headers=EVENTUAL)

    assert counted.json()["@odata.count"] == 2
    assert refused.json()["error"]["message"] == "$count is not currently supported."
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "$orderby=displayName",
        "$search=x",
        "$expand=owners",
        "$skip=1",
        "$colour=red",
        "$top=1&$top=2",
        "$filter=%ff",
    ],
)
async def test_options_that_are_not_served(cloud: Cloud, query: str) -> None:
    assert (await cloud.operator.get(f"{APPS}?{query}")).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/v1.0//applications",
        "/beta/applications",
        "/v1.0/myorganization/applications",
        "/v1.0/Applications",
        "//v1.0/applications/",
    ],
)
async def test_paths_that_real_clients_send(cloud: Cloud, path: str) -> None:
    answer = await cloud.operator.get(path)

    if path.startswith("//v1.0"):
        assert answer.status_code == 404  # not Graph's: the version comes first
    else:
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "path",
    [
        "colours",
        "applications/{}/colours/x",
        "applications(colour='x')",
        "applications(x)",
        "applications('a','b')",
        "me",
        "",
        "servicePrincipals(uniqueName='x')",
        "%ff",
        "a'b/(c",
    ],
)
async def test_unknown_paths(cloud: Cloud, path: str) -> None:
    answer = await cloud.operator.get(f"/v1.0/{path}")

    assert error_of(answer) == (400, "BadRequest")


async def test_unknown_segments_are_named(cloud: Cloud) -> None:
    answer = await cloud.operator.get("/v1.0/colours")

    expected = "Resource not found for the segment 'colours'."
    assert answer.json()["error"]["message"] == expected


@pytest.mark.parametrize("key", ["x", "(appId='x')", "('x')", "(uniqueName='')"])
async def test_unknown_keys(cloud: Cloud, key: str) -> None:
    path = f"{APPS}{key if key.startswith('(') else '/' + key}"

    assert error_of(await cloud.operator.get(path)) == (404, "Request_ResourceNotFound")


async def test_a_method_that_a_path_does_not_take(cloud: Cloud) -> None:
    answer = await cloud.operator.delete(APPS)

    assert answer.status_code == 405
    assert answer.json()["error"]["message"].endswith("request target: DELETE.")


async def test_one_property_can_be_read(cloud: Cloud) -> None:
    app = await cloud.register(tags=["a"])

    found = await cloud.operator.get(f"{APPS}/{app.id}/tags")
    missing = await cloud.operator.get(f"{APPS}/{app.id}/colour")

    assert found.json()["value"] == ["a"]
    assert error_of(missing) == (400, "BadRequest")


async def test_headers_of_an_answer(cloud: Cloud) -> None:
    sent = {"client-request-id": "0a0b0c0d-0000-4000-8000-000000000001"}

    answer = await cloud.operator.get(APPS, headers=sent)
    odd = await cloud.operator.get(APPS, headers={"client-request-id": "a b\t" * 50})

    headers = answer.headers
    assert headers["client-request-id"] == sent["client-request-id"]
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["request-id"])
    assert odd.headers["client-request-id"] == odd.headers["request-id"]
    assert headers["date"] == "Mon, 01 Jun 2026 12:00:00 GMT"
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["cache-control"] == "no-cache"
    assert "ServerInfo" in headers["x-ms-ags-diagnostic"]


@pytest.mark.parametrize(
    ("path", "units"),
    [
        ("applications", 2),
        ("applications?$select=id", 1),
        ("applications?$top=5", 1),
        ("applications?$select=id&$top=5", 1),
        ("servicePrincipals", 1),
    ],
)
async def test_resource_units(cloud: Cloud, path: str, units: int) -> None:
    answer = await cloud.operator.get(f"/v1.0/{path}")

    assert answer.headers["x-ms-resource-unit"] == str(units)


async def test_metadata_can_be_left_out(cloud: Cloud) -> None:
    headers = {"Accept": "application/json;odata.metadata=none"}

    body = (await cloud.operator.get(f"{APPS}?$top=1", headers=headers)).json()

    assert set(body) == {"@odata.nextLink", "value"}


async def test_annotations_in_a_body_are_no_properties(cloud: Cloud) -> None:
    body = {
        "@odata.type": "#microsoft.graph.application",
        "displayName": "x",
        "tags@odata.type": "x",
    }

    assert (await cloud.operator.post(APPS, json=body)).status_code == 201


async def test_links_lead_on_from_an_odd_key_too(cloud: Cloud) -> None:
    caller = await cloud.permitted("Application.ReadWrite.All", "Directory.Read.All")
    app = await cloud.register(uniqueName="ä b/c")
    path = "/v1.0/applications(uniqueName='%C3%A4%20b%2Fc')/owners"
    for user in cloud.emulator.seeds.users:
        reference = {"@odata.id": f"https://entra.test/v1.0/directoryObjects/{user.id}"}
        await caller.post(f"/v1.0/applications/{app.id}/owners/$ref", json=reference)

    first = (await caller.get(f"{path}?$top=2")).json()
    rest = (await caller.get(first["@odata.nextLink"])).json()

    assert (len(first["value"]), len(rest["value"])) == (2, 1)
