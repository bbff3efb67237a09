from datetime import timedelta
from uuid import uuid4

import pytest

from entra_emulator import ManualClock
from tests.emulator.cloud import Cloud, error_of, role, scope
from tests.emulator.registrations import MINIMAL, SHARED, make, patch


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


async def test_a_replica_that_is_behind_does_not_know_what_was_disabled(
    cloud: Cloud, clock: ManualClock
) -> None:
    read = role("read")
    app = await make(cloud, appRoles=[read])
    clock.advance(timedelta(minutes=1))
    lag = {"seconds": 30, "order": ["fresh", "lagging", "fresh"]}
    await cloud.anybody.put("/_emulator/lag", json=lag)

    assert (await patch(cloud, app, appRoles=[{**read, "isEnabled": False}])).status_code == 204
    behind = await patch(cloud, app, appRoles=[])
    fresh = await patch(cloud, app, appRoles=[])

    assert error_of(behind) == (400, "CannotDeleteOrUpdateEnabledEntitlement")
    assert fresh.status_code == 204
