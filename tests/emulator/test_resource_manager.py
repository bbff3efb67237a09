from datetime import timedelta

import httpx
import pytest

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID, ManualClock
from tests.emulator.cloud import GRAPH, OPERATOR_SECRET, Cloud, error_of

ENDPOINTS, SUBSCRIPTIONS = "/metadata/endpoints", "/subscriptions?api-version=2022-12-01"
AUDIENCE = "https://management.core.windows.net/"
VERSION = {"api-version": "2022-09-01"}


async def token(cloud: Cloud, scope: str) -> str:
    answer = await cloud.token(
        client_id=OPERATOR_CLIENT_ID, client_secret=OPERATOR_SECRET, scope=scope
    )
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found


async def subscriptions(cloud: Cloud, scope: str, path: str = SUBSCRIPTIONS) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await token(cloud, scope)}"}
    return await cloud.anybody.get(path, headers=headers)


@pytest.mark.parametrize(
    "resource",
    [
        "https://management.core.windows.net/",
        "https://management.core.windows.net",
        "https://management.azure.com",
        "797f4846-ba00-4fd7-ba43-dac1f8f63013",
    ],
)
async def test_the_tenant_has_no_subscriptions(cloud: Cloud, resource: str) -> None:
    answer = await subscriptions(cloud, f"{resource}/.default")

    assert answer.status_code == 200, answer.text
    assert answer.json()["value"] == []


async def test_the_token_names_the_resource_as_it_was_asked_for(cloud: Cloud) -> None:
    claims = cloud.verified(await token(cloud, f"{AUDIENCE}/.default"))

    assert claims["aud"] == AUDIENCE


async def test_a_token_for_graph_does_not_open_it(cloud: Cloud) -> None:
    answer = await subscriptions(cloud, GRAPH)

    assert error_of(answer) == (401, "InvalidAuthenticationTokenAudience")


async def test_a_token_for_it_does_not_open_graph(cloud: Cloud) -> None:
    answer = await subscriptions(cloud, f"{AUDIENCE}/.default", "/v1.0/applications")

    assert error_of(answer) == (401, "InvalidAuthenticationToken")


async def test_without_a_token_it_says_where_to_get_one(cloud: Cloud) -> None:
    answer = await cloud.anybody.get(SUBSCRIPTIONS)

    assert error_of(answer) == (401, "AuthenticationFailed")
    assert f'"https://entra.test/{TENANT_ID}"' in answer.headers["www-authenticate"]


async def test_a_token_expires(cloud: Cloud, clock: ManualClock) -> None:
    headers = {"Authorization": f"Bearer {await token(cloud, f'{AUDIENCE}/.default')}"}
    clock.advance(timedelta(hours=2))

    answer = await cloud.anybody.get(SUBSCRIPTIONS, headers=headers)

    assert error_of(answer) == (401, "ExpiredAuthenticationToken")


@pytest.mark.parametrize("version", ["", "?api-version=", "?api-version=latest"])
async def test_every_request_names_a_version(cloud: Cloud, version: str) -> None:
    listed = await subscriptions(cloud, f"{AUDIENCE}/.default", f"/subscriptions{version}")
    endpoints = await cloud.anybody.get(f"{ENDPOINTS}{version}")

    assert error_of(listed) == (400, "MissingApiVersionParameter")
    assert error_of(endpoints) == (400, "MissingApiVersionParameter")


async def test_the_endpoints_are_all_here(cloud: Cloud) -> None:
    answer = await cloud.anybody.get(ENDPOINTS, params=VERSION)

    assert answer.json() == {
        "name": "EntraEmulator",
        "authentication": {
            "loginEndpoint": "https://entra.test",
            "audiences": [AUDIENCE, "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": "https://entra.test/",
        "microsoftGraphResourceId": "https://entra.test/",
        "suffixes": {},
    }


async def test_a_doubled_slash_is_one(cloud: Cloud) -> None:
    answer = await cloud.anybody.get(f"https://entra.test/{ENDPOINTS}", params=VERSION)

    assert answer.status_code == 200, answer.text


async def test_a_client_of_the_stock_name_is_told_stock_names(cloud: Cloud) -> None:
    headers = {"Host": "management.azure.com"}

    [answer] = (
        await cloud.anybody.get(ENDPOINTS, params={"api-version": "2019-05-01"}, headers=headers)
    ).json()

    assert answer["authentication"]["loginEndpoint"] == "https://login.microsoftonline.com"
    assert answer["resourceManager"] == "https://management.azure.com/"
    assert answer["microsoftGraphResourceId"] == "https://graph.microsoft.com/"


@pytest.mark.parametrize("path", ["/v1.0/me", "/beta/me", "/v1.0/me/ownedObjects"])
async def test_an_application_is_nobody_in_person(cloud: Cloud, path: str) -> None:
    answer = await cloud.operator.get(path)

    assert error_of(answer) == (400, "BadRequest")
    assert "delegated authentication flow" in answer.text
