"""The administrator's page: what a client asks for is granted at once, by whoever accepts."""

import pytest

from entra_emulator import TENANT_ID
from tests.emulator.cloud import App, Cloud, role, scope

PAGE = f"/{TENANT_ID}/adminconsent"
API = "https://api.clinic.example"
BACK = "https://portal.clinic.example/done"


@pytest.fixture
async def api(cloud: Cloud) -> App:
    return await cloud.register(
        "api", identifierUris=[API], appRoles=[role("read", id=ROLE)],
        api={"oauth2PermissionScopes": [scope("use", id=SCOPE), scope("more", id=MORE)]},
    )  # fmt: skip


ROLE, SCOPE, MORE = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")


async def asking(cloud: Cloud, api: App, *wanted: tuple[str, str]) -> App:
    access = [{"id": each, "type": kind} for each, kind in wanted]
    return await cloud.register(
        "client", web={"redirectUris": [BACK]},
        requiredResourceAccess=[{"resourceAppId": api.app_id, "resourceAccess": access}],
    )  # fmt: skip


async def granted(cloud: Cloud, client: App) -> tuple[set[str], list[str]]:
    base = f"/v1.0/servicePrincipals/{client.principal_id}"
    roles = (await cloud.admin.get(f"{base}/appRoleAssignments")).json()["value"]
    grants = (await cloud.admin.get(f"{base}/oauth2PermissionGrants")).json()["value"]
    return {each["appRoleId"] for each in roles}, [each["scope"] for each in grants]


async def test_the_page_says_what_is_asked_for_and_grants_nothing(cloud: Cloud, api: App) -> None:
    client = await asking(cloud, api, (ROLE, "Role"), (SCOPE, "Scope"))

    page = await cloud.anybody.get(PAGE, params={"client_id": client.app_id})

    assert "read of api" in page.text
    assert "use of api" in page.text
    assert await granted(cloud, client) == (set(), [])


async def test_accepting_grants_roles_and_scopes_for_all(cloud: Cloud, api: App) -> None:
    client = await asking(cloud, api, (ROLE, "Role"), (SCOPE, "Scope"))

    answer = await cloud.anybody.post(PAGE, params={"client_id": client.app_id})

    assert answer.status_code == 200
    assert await granted(cloud, client) == ({ROLE}, ["use"])


async def test_accepting_again_adds_what_is_new_and_takes_nothing_back(
    cloud: Cloud, api: App
) -> None:
    client = await asking(cloud, api, (ROLE, "Role"), (MORE, "Scope"))
    await cloud.grant(client, api.principal_id, "use")

    for _ in range(2):
        await cloud.anybody.post(PAGE, params={"client_id": client.app_id})

    assert await granted(cloud, client) == ({ROLE}, ["use more"])


async def test_the_browser_goes_back_to_a_redirect_uri_of_the_client(
    cloud: Cloud, api: App
) -> None:
    client = await asking(cloud, api, (SCOPE, "Scope"))
    query = {"client_id": client.app_id, "redirect_uri": BACK, "state": "s"}

    answer = await cloud.anybody.post(PAGE, params=query)

    expected = f"{BACK}?admin_consent=True&tenant={TENANT_ID}&state=s"
    assert answer.headers["location"] == expected


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "AADSTS90014"),
        ({"client_id": "99999999-9999-9999-9999-999999999999"}, "AADSTS700016"),
        ({"client_id": "{client}", "redirect_uri": "https://evil.example"}, "AADSTS50011"),
    ],
)
async def test_a_wrong_request_is_refused_on_the_page(
    cloud: Cloud, api: App, query: dict[str, str], code: str
) -> None:
    client = await asking(cloud, api, (SCOPE, "Scope"))
    filled = {name: value.replace("{client}", client.app_id) for name, value in query.items()}

    answer = await cloud.anybody.post(PAGE, params=filled)

    assert answer.status_code == 400
    assert code in answer.text
    assert await granted(cloud, client) == (set(), [])


async def test_what_the_api_does_not_have_cannot_be_granted(cloud: Cloud, api: App) -> None:
    client = await asking(cloud, api, ("dddddddd-0000-4000-8000-000000000000", "Scope"))

    answer = await cloud.anybody.post(PAGE, params={"client_id": client.app_id})

    assert "AADSTS650053" in answer.text
