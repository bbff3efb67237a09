from uuid import uuid4

import pytest

from entra_emulator.constants import DEFAULT_ACCESS_ROLE
from tests.emulator.cloud import App, Cloud, error_of, role, scope

READ, USERS = role("read"), role("people", members=("User",))
NOBODY = "00000000-0000-4000-8000-00000000dead"
OFF = role("off", isEnabled=False)


async def server(cloud: Cloud) -> App:
    api = {"oauth2PermissionScopes": [scope("user_impersonation"), scope("more")]}
    return await cloud.register("server", appRoles=[READ, USERS, OFF], api=api)


# ---- app role assignments


async def test_an_assignment_is_seen_from_both_ends(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")

    made = await cloud.assign(client.principal_id, resource, READ["id"])
    of_client = f"/v1.0/servicePrincipals/{client.principal_id}/appRoleAssignments"
    to_server = f"/v1.0/servicePrincipals/{resource.principal_id}/appRoleAssignedTo"
    from_client = (await cloud.operator.get(of_client)).json()["value"]
    from_server = (await cloud.operator.get(to_server)).json()["value"]
    single = await cloud.operator.get(f"{of_client}/{made.json()['id']}")

    assert made.status_code == 201
    assert made.json()["principalDisplayName"] == "client"
    assert made.json()["resourceDisplayName"] == "server"
    assert made.json()["principalType"] == "ServicePrincipal"
    assert [item["id"] for item in from_client] == [made.json()["id"]]
    assert from_client == from_server
    assert single.json()["appRoleId"] == READ["id"]


async def test_it_can_be_posted_at_the_client_too(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    body = {"resourceId": resource.principal_id, "appRoleId": READ["id"]}
    path = f"/v1.0/servicePrincipals/{client.principal_id}/appRoleAssignments"

    made = await cloud.admin.post(path, json=body)
    other = await cloud.admin.post(path, json={**body, "principalId": resource.principal_id})

    assert made.json()["principalId"] == client.principal_id
    assert other.status_code == 400


async def test_the_same_assignment_twice_is_refused(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    await cloud.assign(client.principal_id, resource, READ["id"])

    answer = await cloud.assign(client.principal_id, resource, READ["id"])

    assert error_of(answer) == (400, "Request_BadRequest")
    assert "Permission being assigned already exists on the object" in answer.text


@pytest.mark.parametrize(
    "role_id",
    [str(uuid4()), OFF["id"], USERS["id"], DEFAULT_ACCESS_ROLE],
    ids=["unknown", "disabled", "for-users", "default-access"],
)
async def test_roles_that_cannot_be_assigned_to_a_client(cloud: Cloud, role_id: str) -> None:
    resource, client = await server(cloud), await cloud.register("client")

    answer = await cloud.assign(client.principal_id, resource, role_id)

    assert error_of(answer) == (400, "Request_BadRequest")


async def test_default_access_is_for_resources_without_roles(cloud: Cloud) -> None:
    resource, client = await cloud.register("plain"), await cloud.register("client")

    answer = await cloud.assign(client.principal_id, resource, DEFAULT_ACCESS_ROLE)

    assert answer.status_code == 201


async def test_users_get_roles_for_users(cloud: Cloud) -> None:
    resource = await server(cloud)
    alice = cloud.emulator.seeds.users[0].id

    taken = await cloud.assign(alice, resource, USERS["id"])
    refused = await cloud.assign(alice, resource, READ["id"])

    assert taken.json()["principalType"] == "User"
    assert refused.status_code == 400


async def test_unknown_ends_are_told_apart(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    nowhere = App("", "", str(uuid4()))

    no_principal = await cloud.assign(str(uuid4()), resource, READ["id"])
    no_resource = await cloud.assign(client.principal_id, nowhere, READ["id"])
    no_guid = await cloud.assign("x", resource, READ["id"])

    assert error_of(no_principal) == (400, "Request_BadRequest")
    assert "Not a valid reference update" in no_principal.text
    assert error_of(no_resource) == (404, "Request_ResourceNotFound")
    assert error_of(no_guid) == (400, "Request_BadRequest")


async def test_an_assignment_can_be_taken_back(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    made = (await cloud.assign(client.principal_id, resource, READ["id"])).json()
    path = f"/v1.0/servicePrincipals/{resource.principal_id}/appRoleAssignedTo/{made['id']}"
    elsewhere = path.replace(resource.principal_id, client.principal_id)

    wrong = await cloud.admin.delete(elsewhere)
    gone = await cloud.admin.delete(path)
    again = await cloud.admin.delete(path)

    assert [wrong.status_code, gone.status_code, again.status_code] == [404, 204, 404]


async def test_assignments_vanish_with_the_client_and_come_back_with_it(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    await cloud.assign(client.principal_id, resource, READ["id"])
    path = f"/v1.0/servicePrincipals/{resource.principal_id}/appRoleAssignedTo"

    await cloud.operator.delete(f"/v1.0/servicePrincipals/{client.principal_id}")
    without = (await cloud.operator.get(path)).json()["value"]
    await cloud.operator.post(f"/v1.0/directory/deletedItems/{client.principal_id}/restore")
    restored = (await cloud.operator.get(path)).json()["value"]
    await cloud.operator.delete(f"/v1.0/servicePrincipals/{client.principal_id}")
    await cloud.operator.delete(f"/v1.0/directory/deletedItems/{client.principal_id}")
    purged = (await cloud.anybody.get("/_emulator/objects")).json()["assignments"]

    assert (without, len(restored)) == ([], 1)
    assert (await cloud.operator.get(path)).json()["value"] == []
    assert client.principal_id not in {item["principalId"] for item in purged}


# ---- grants


async def test_a_grant_is_made_changed_and_removed(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")

    made = await cloud.grant(client, resource.principal_id, "user_impersonation")
    path = f"/v1.0/oauth2PermissionGrants/{made.json()['id']}"
    changed = await cloud.admin.patch(path, json={"scope": "user_impersonation more"})
    read = (await cloud.admin.get(path)).json()
    fixed = await cloud.admin.patch(path, json={"clientId": resource.principal_id})
    unknown = await cloud.admin.patch(path, json={"colour": "red"})
    gone = await cloud.admin.delete(path)

    assert [made.status_code, changed.status_code, gone.status_code] == [201, 204, 204]
    assert read["scope"] == "user_impersonation more"
    assert read["consentType"] == "AllPrincipals"
    assert [fixed.status_code, unknown.status_code] == [400, 400]
    assert (await cloud.admin.get(path)).status_code == 404


async def test_a_second_grant_for_the_same_ends_is_refused(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    await cloud.grant(client, resource.principal_id, "user_impersonation")

    answer = await cloud.grant(client, resource.principal_id, "more")

    assert error_of(answer) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert "Permission entry already exists." in answer.text


async def test_grants_are_found_by_their_ends(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    other = await cloud.register("other")
    made = (await cloud.grant(client, resource.principal_id, "more")).json()
    await cloud.grant(other, resource.principal_id, "more")
    wanted = (
        f"clientId eq '{client.principal_id}' and resourceId eq '{resource.principal_id}' "
        "and consentType eq 'AllPrincipals'"
    )

    found = await cloud.admin.get("/v1.0/oauth2PermissionGrants", params={"$filter": wanted})
    of_client = await cloud.admin.get(
        f"/v1.0/servicePrincipals/{client.principal_id}/oauth2PermissionGrants"
    )

    for answer in (found, of_client):
        assert [item["id"] for item in answer.json()["value"]] == [made["id"]]


@pytest.mark.parametrize(
    "change",
    [
        {"consentType": "Everybody"},
        {"consentType": None},
        {"principalId": NOBODY},
        {"consentType": "Principal"},
        {"clientId": NOBODY},
        {"resourceId": NOBODY},
        {"clientId": None},
        {"scope": "x" * 3851},
        {"scope": 5},
        {"colour": "red"},
    ],
)
async def test_grants_that_are_refused(cloud: Cloud, change: dict) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    body = {
        "clientId": client.principal_id,
        "consentType": "AllPrincipals",
        "resourceId": resource.principal_id,
        "scope": "more",
    }

    answer = await cloud.admin.post("/v1.0/oauth2PermissionGrants", json={**body, **change})

    assert error_of(answer) == (400, "Request_BadRequest")


async def test_a_grant_for_one_user_names_a_user(cloud: Cloud) -> None:
    resource, client = await server(cloud), await cloud.register("client")
    body = {
        "clientId": client.principal_id,
        "consentType": "Principal",
        "principalId": cloud.emulator.seeds.users[0].id,
        "resourceId": resource.principal_id,
        "scope": "more",
    }

    answer = await cloud.admin.post("/v1.0/oauth2PermissionGrants", json=body)

    assert answer.json()["principalId"] == cloud.emulator.seeds.users[0].id
