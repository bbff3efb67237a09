from datetime import timedelta

import pytest

from entra_emulator import ADMIN_CLIENT_ID, ManualClock
from entra_emulator.constants import GRAPH_APP_ROLES
from entra_emulator.graph.surface import ROUTES
from entra_emulator.signin.keys import SigningKey
from tests.emulator.cloud import ADMIN_SECRET, GRAPH, Cloud, error_of, role
from tests.emulator.graph_schema import operations, subset

APPS = "/v1.0/applications"


async def test_without_a_token_nothing_is_served(cloud: Cloud) -> None:
    answer = await cloud.anybody.get(APPS)

    assert error_of(answer) == (401, "InvalidAuthenticationToken")
    challenge = answer.headers["www-authenticate"]
    assert 'authorization_uri="https://entra.test/common/oauth2/authorize"' in challenge


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer a.b.c", "Basic abc", "Bearer ä"])
async def test_what_is_no_token_is_refused(cloud: Cloud, header: str) -> None:
    answer = await cloud.anybody.get(APPS, headers={"Authorization": header.encode()})

    assert error_of(answer) == (401, "InvalidAuthenticationToken")


async def test_a_token_for_another_resource_is_refused(cloud: Cloud) -> None:
    app = await cloud.register()
    answer = await cloud.token(
        client_id=ADMIN_CLIENT_ID, client_secret=ADMIN_SECRET, scope=f"{app.app_id}/.default"
    )
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    answer = await cloud.anybody.get(APPS, headers=headers)

    assert answer.status_code == 401
    assert "Invalid audience" in answer.text


async def test_a_token_expires(cloud: Cloud, clock: ManualClock) -> None:
    clock.advance(timedelta(hours=1, minutes=6))

    answer = await cloud.operator.get(APPS)

    assert answer.status_code == 401
    assert "the token is expired" in answer.text


async def test_a_token_under_another_key_is_refused(cloud: Cloud) -> None:
    form = {"client_id": ADMIN_CLIENT_ID, "client_secret": ADMIN_SECRET, "scope": GRAPH}
    token = (await cloud.token(**form)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    before = await cloud.anybody.get(APPS, headers=headers)

    cloud.emulator._world.key = SigningKey.generate()

    assert before.status_code == 200
    assert (await cloud.anybody.get(APPS, headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/addPassword"),
        ("POST", "/removePassword"),
        ("GET", "/owners"),
        ("GET", "/appRoles"),
    ],
)
async def test_owned_by_opens_own_applications_only(cloud: Cloud, method: str, path: str) -> None:
    theirs = (await cloud.admin.post(APPS, json={"displayName": "x", "uniqueName": "u"})).json()

    for key in (f"/{theirs['id']}", f"(appId='{theirs['appId']}')", "(uniqueName='u')"):
        body = None if method in {"GET", "DELETE"} else {}
        answer = await cloud.operator.request(method, f"{APPS}{key}{path}", json=body)
        assert error_of(answer) == (403, "Authorization_RequestDenied")
        assert "Insufficient privileges" in answer.text


async def test_owned_by_lists_everything(cloud: Cloud) -> None:
    theirs = (await cloud.admin.post(APPS, json={"displayName": "x"})).json()

    listed = (await cloud.operator.get(APPS)).json()["value"]

    assert theirs["id"] in {item["id"] for item in listed}


async def test_owned_by_reads_any_service_principal_but_not_what_hangs_on_it(cloud: Cloud) -> None:
    graph = await cloud.graph_principal()
    path = f"/v1.0/servicePrincipals/{graph}"

    assert (await cloud.operator.get(path)).status_code == 200
    for part in ("/appRoleAssignedTo", "/owners", "/ownedObjects"):
        assert error_of(await cloud.operator.get(path + part))[0] == 403
    assert error_of(await cloud.operator.patch(path, json={"notes": "x"}))[0] == 403


async def test_granting_is_not_part_of_owned_by(cloud: Cloud) -> None:
    read = role("read")
    app = await cloud.register(appRoles=[read])
    path = f"/v1.0/servicePrincipals/{app.principal_id}"
    body = {"principalId": app.principal_id, "resourceId": app.principal_id}

    assigned = await cloud.operator.post(
        f"{path}/appRoleAssignedTo", json={**body, "appRoleId": read["id"]}
    )
    granted = await cloud.operator.post("/v1.0/oauth2PermissionGrants", json={})
    listed = await cloud.operator.get(f"{path}/oauth2PermissionGrants")

    assert [answer.status_code for answer in (assigned, granted, listed)] == [403, 403, 403]


async def test_roles_of_graph_need_the_assignment_permission(cloud: Cloud) -> None:
    caller = await cloud.permitted("Application.ReadWrite.All")
    read = role("read")
    app = await cloud.register(appRoles=[read])
    graph = await cloud.graph_principal()
    path = "/v1.0/servicePrincipals/{}/appRoleAssignedTo"

    def body(resource: str, role_id: str) -> dict:
        return {"principalId": app.principal_id, "resourceId": resource, "appRoleId": role_id}

    own = await caller.post(path.format(app.principal_id), json=body(app.principal_id, read["id"]))
    power = GRAPH_APP_ROLES["Application.ReadWrite.All"]
    escalation = await caller.post(path.format(graph), json=body(graph, power))

    assert own.status_code == 201
    assert error_of(escalation) == (403, "Authorization_RequestDenied")


async def test_assigning_needs_reading_as_well(cloud: Cloud) -> None:
    read = role("read")
    app = await cloud.register(appRoles=[read])
    path = f"/v1.0/servicePrincipals/{app.principal_id}/appRoleAssignedTo"
    body = {
        "principalId": app.principal_id,
        "resourceId": app.principal_id,
        "appRoleId": read["id"],
    }

    alone = await cloud.permitted("AppRoleAssignment.ReadWrite.All")
    both = await cloud.permitted("AppRoleAssignment.ReadWrite.All", "Application.Read.All")

    assert (await alone.post(path, json=body)).status_code == 403
    assert (await both.post(path, json=body)).status_code == 201


async def test_reading_does_not_write(cloud: Cloud) -> None:
    reader = await cloud.permitted("Application.Read.All")
    app = await cloud.register()

    assert (await reader.get(f"{APPS}/{app.id}")).status_code == 200
    assert (await reader.patch(f"{APPS}/{app.id}", json={})).status_code == 403
    assert (await reader.post(APPS, json={"displayName": "x"})).status_code == 403


async def test_a_permission_counts_from_the_next_token_on(cloud: Cloud) -> None:
    app = await cloud.register()
    secret = await cloud.secret(app)
    before = await cloud.signed_in(app.app_id, secret)

    assert (await before.get(APPS)).status_code == 403


async def test_mapped_claims_cannot_be_accepted_at_creation_with_owned_by(cloud: Cloud) -> None:
    body = {"displayName": "x", "api": {"acceptMappedClaims": True}}

    created = await cloud.operator.post(APPS, json=body)
    app = await cloud.register()
    patched = await cloud.operator.patch(f"{APPS}/{app.id}", json={"api": body["api"]})

    assert (created.status_code, patched.status_code) == (403, 204)


DOCUMENTED_ELSEWHERE = {
    # the subset has no permissions for these: the rows of the pages of deletedItems and of the
    # single objects of a navigation
    ("GET", "/directory/deletedItems/{directoryObject-id}"),
    ("DELETE", "/directory/deletedItems/{directoryObject-id}"),
    ("GET", "/directory/deletedItems/microsoft.graph.application"),
    ("GET", "/directory/deletedItems/microsoft.graph.servicePrincipal"),
    # the subset has the permissions of other types only
    ("POST", "/directory/deletedItems/{directoryObject-id}/restore"),
    # Application.Read.All and Directory.Read.All are in the table as companions, not on their own
    ("POST", "/servicePrincipals/{servicePrincipal-id}/appRoleAssignedTo"),
    ("POST", "/servicePrincipals/{servicePrincipal-id}/appRoleAssignments"),
    ("POST", "/applications/{application-id}/owners/$ref"),
    ("POST", "/servicePrincipals/{servicePrincipal-id}/owners/$ref"),
    # not in the subset at all
    ("GET", "/applications/{application-id}/{property}"),
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.template}")
def test_permissions_are_those_of_the_documentation(route) -> None:
    path = "/" + route.template.replace("{}", "x")
    found = [entry for entry in operations() if entry[0].fullmatch(path)]
    _, template, item = found[0]
    if (route.method, template) in DOCUMENTED_ELSEWHERE:
        return
    documented = item[route.method.lower()].get("x-ms-application-permissions")
    if documented is None:  # a cast or a member of a navigation: as the navigation itself
        parent = subset()["paths"][template.rpartition("/")[0]]
        documented = parent["get"]["x-ms-application-permissions"]

    assert route.permissions == frozenset(documented["all"])
