from uuid import uuid4

import pytest

from entra_emulator import GRAPH_APP_ID, OPERATOR_CLIENT_ID, TENANT_ID
from tests.emulator.cloud import CREATE, Cloud, error_of, role, scope


async def application(cloud: Cloud, **members: object) -> dict:
    body = {"displayName": "app", **members}
    return (await cloud.operator.post("/v1.0/applications", json=body)).json()


async def test_upsert_by_app_id_creates_once(cloud: Cloud) -> None:
    app = await application(cloud)
    path = f"/v1.0/servicePrincipals(appId='{app['appId']}')"

    missing = await cloud.operator.patch(path, json={})
    first = await cloud.operator.patch(path, json={}, headers=CREATE)
    again = await cloud.operator.patch(path, json={"notes": "n"}, headers=CREATE)
    found = await cloud.operator.get(path)

    assert [answer.status_code for answer in (missing, first, again)] == [404, 201, 204]
    assert found.json()["id"] == first.json()["id"]
    assert found.json()["notes"] == "n"


async def test_a_second_one_for_an_application_is_refused(cloud: Cloud) -> None:
    app = await application(cloud)
    body = {"appId": app["appId"], "accountEnabled": True}
    await cloud.operator.post("/v1.0/servicePrincipals", json=body)

    answer = await cloud.operator.post("/v1.0/servicePrincipals", json=body)

    assert error_of(answer) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert f"service principal name {app['appId']} is already in use" in answer.text


async def test_it_needs_an_application(cloud: Cloud) -> None:
    body = {"appId": str(uuid4())}

    by_owner = await cloud.operator.post("/v1.0/servicePrincipals", json=body)
    by_admin = await cloud.admin.post("/v1.0/servicePrincipals", json=body)

    assert error_of(by_owner) == (403, "Authorization_RequestDenied")
    assert "must in the local tenant" in by_owner.text
    assert by_admin.json()["error"]["details"][0]["code"] == "NoBackingApplicationObject"


async def test_owned_by_makes_it_for_own_applications_only(cloud: Cloud) -> None:
    made = await cloud.admin.post("/v1.0/applications", json={"displayName": "foreign"})

    answer = await cloud.operator.post(
        "/v1.0/servicePrincipals", json={"appId": made.json()["appId"]}
    )

    assert error_of(answer) == (403, "Authorization_RequestDenied")


@pytest.mark.parametrize("body", [{}, {"appId": None}, {"appId": "x"}, {"appId": 7}])
async def test_app_id_is_required(cloud: Cloud, body: dict) -> None:
    answer = await cloud.operator.post("/v1.0/servicePrincipals", json=body)

    assert error_of(answer) == (400, "Request_BadRequest")


async def test_it_shows_what_its_application_declares(cloud: Cloud) -> None:
    app = await cloud.register(
        "fhir",
        identifierUris=["https://fhir.clinic.example"],
        appRoles=[role("read")],
        tags=["of-app"],
        web={"redirectUris": ["https://a.example/"]},
    )
    path = f"/v1.0/servicePrincipals/{app.principal_id}"
    await cloud.operator.patch(path, json={"tags": ["own"]})
    api = {"oauth2PermissionScopes": [scope("write")]}
    await cloud.operator.patch(
        f"/v1.0/applications/{app.id}", json={"displayName": "renamed", "api": api}
    )

    shown = (await cloud.operator.get(path)).json()

    assert shown["displayName"] == shown["appDisplayName"] == "renamed"
    assert shown["servicePrincipalNames"] == [app.app_id, "https://fhir.clinic.example"]
    assert [item["value"] for item in shown["appRoles"]] == ["read"]
    assert [item["value"] for item in shown["oauth2PermissionScopes"]] == ["write"]
    assert shown["tags"] == ["of-app", "own"]
    assert shown["replyUrls"] == ["https://a.example/"]
    assert shown["appOwnerOrganizationId"] == TENANT_ID


async def test_what_is_derived_cannot_be_set(cloud: Cloud) -> None:
    app = await cloud.register()
    path = f"/v1.0/servicePrincipals/{app.principal_id}"
    shown = (await cloud.operator.get(path)).json()

    echo = await cloud.operator.patch(path, json={"appRoles": shown["appRoles"]})
    change = await cloud.operator.patch(path, json={"appRoles": [role("a")]})
    keys = await cloud.operator.patch(path, json={"keyCredentials": [{"type": "x"}]})

    assert [answer.status_code for answer in (echo, change, keys)] == [204, 400, 400]


async def test_a_secret_of_the_service_principal_signs_in(cloud: Cloud) -> None:
    app = await cloud.register()
    path = f"/v1.0/servicePrincipals/{app.principal_id}"

    made = (await cloud.operator.post(f"{path}/addPassword")).json()
    form = {"client_id": app.app_id, "client_secret": made["secretText"]}
    claims = await cloud.claims(**form, scope=f"{app.app_id}/.default")
    await cloud.operator.post(f"{path}/removePassword", json={"keyId": made["keyId"]})
    after = await cloud.token(**form, scope=f"{app.app_id}/.default")

    assert claims["oid"] == app.principal_id
    assert after.status_code == 401


async def test_deleting_the_application_takes_it_along(cloud: Cloud) -> None:
    app = await cloud.register()

    await cloud.operator.delete(f"/v1.0/applications/{app.id}")
    gone = await cloud.operator.get(f"/v1.0/servicePrincipals/{app.principal_id}")
    kept = await cloud.operator.get(f"/v1.0/directory/deletedItems/{app.principal_id}")

    assert error_of(gone) == (404, "Request_ResourceNotFound")
    assert kept.json()["@odata.type"] == "#microsoft.graph.servicePrincipal"


async def test_microsoft_graph_is_there_to_be_found(cloud: Cloud) -> None:
    path = f"/v1.0/servicePrincipals(appId='{GRAPH_APP_ID}')"

    graph = (await cloud.operator.get(path)).json()

    assert graph["displayName"] == "Microsoft Graph"
    assert "https://graph.microsoft.com" in graph["servicePrincipalNames"]
    values = {item["value"] for item in graph["appRoles"]}
    assert "Application.ReadWrite.OwnedBy" in values
    assert {"openid", "offline_access"} <= {
        item["value"] for item in graph["oauth2PermissionScopes"]
    }


# ---- owners


async def test_the_creator_becomes_owner(cloud: Cloud) -> None:
    app = await cloud.register()
    me = f"/v1.0/servicePrincipals(appId='{OPERATOR_CLIENT_ID}')"
    operator = (await cloud.operator.get(me)).json()["id"]

    for path in (f"applications/{app.id}", f"servicePrincipals/{app.principal_id}"):
        listed = (await cloud.operator.get(f"/v1.0/{path}/owners")).json()["value"]
        assert [owner["id"] for owner in listed] == [operator]
        assert listed[0]["@odata.type"] == "#microsoft.graph.servicePrincipal"


async def test_owned_objects_are_listed_by_kind(cloud: Cloud) -> None:
    app = await cloud.register("mine")
    await cloud.admin.post("/v1.0/applications", json={"displayName": "theirs"})
    me = f"/v1.0/servicePrincipals(appId='{OPERATOR_CLIENT_ID}')/ownedObjects"

    everything = (await cloud.operator.get(me)).json()["value"]
    apps = (await cloud.operator.get(f"{me}/microsoft.graph.application")).json()["value"]
    principals = (await cloud.operator.get(f"{me}/microsoft.graph.servicePrincipal")).json()

    assert {item["id"] for item in everything} == {app.id, app.principal_id}
    assert [item["id"] for item in apps] == [app.id]
    assert [item["id"] for item in principals["value"]] == [app.principal_id]


async def test_owners_are_bound_at_creation(cloud: Cloud) -> None:
    alice = cloud.emulator.seeds.users[0].id
    bind = {"owners@odata.bind": [f"https://graph.microsoft.com/v1.0/users/{alice}"]}

    app = await application(cloud, **bind)
    listed = (await cloud.operator.get(f"/v1.0/applications/{app['id']}/owners")).json()["value"]
    unknown = {"owners@odata.bind": [f"https://x/v1.0/directoryObjects/{uuid4()}"]}
    refused = await cloud.operator.post("/v1.0/applications", json={"displayName": "x", **unknown})

    assert alice in {owner["id"] for owner in listed}
    assert refused.status_code == 404


async def test_owners_are_added_and_removed(cloud: Cloud) -> None:
    caller = await cloud.permitted("Application.ReadWrite.All", "Directory.Read.All")
    app = await cloud.register()
    path = f"/v1.0/applications/{app.id}/owners"
    alice = cloud.emulator.seeds.users[0].id
    reference = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{alice}"}

    added = await caller.post(f"{path}/$ref", json=reference)
    again = await caller.post(f"{path}/$ref", json=reference)
    listed = (await caller.get(path)).json()["value"]
    removed = await caller.delete(f"{path}/{alice}/$ref")
    missing = await caller.delete(f"{path}/{alice}/$ref")

    assert [added.status_code, again.status_code] == [204, 400]
    assert "references already exist" in again.text
    assert "#microsoft.graph.user" in {owner["@odata.type"] for owner in listed}
    assert [removed.status_code, missing.status_code] == [204, 404]


@pytest.mark.parametrize("reference", [None, 5, "alice", "https://x/v1.0/groups/1"])
async def test_references_that_are_refused(cloud: Cloud, reference: object) -> None:
    caller = await cloud.permitted("Application.ReadWrite.All", "Directory.Read.All")
    app = await cloud.register()

    answer = await caller.post(
        f"/v1.0/applications/{app.id}/owners/$ref", json={"@odata.id": reference}
    )

    assert error_of(answer) == (400, "Request_BadRequest")


async def test_losing_ownership_locks_out(cloud: Cloud) -> None:
    app = await cloud.register()
    path = f"/v1.0/applications/{app.id}"
    [owner] = (await cloud.operator.get(f"{path}/owners")).json()["value"]

    await cloud.operator.delete(f"{path}/owners/{owner['id']}/$ref")

    assert error_of(await cloud.operator.get(path)) == (403, "Authorization_RequestDenied")
