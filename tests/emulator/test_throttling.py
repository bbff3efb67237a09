from collections.abc import Iterable
from datetime import timedelta

import httpx
import pytest

from entra_emulator import ADMIN_CLIENT_ID, OPERATOR_CLIENT_ID, TENANT_ID, ManualClock
from tests.emulator.cloud import ADMIN_SECRET, GRAPH, Cloud, error_of

QUOTAS = "/_emulator/throttling"
APPS = "/v1.0/applications"
PRINCIPALS = "/v1.0/servicePrincipals"
CHEAP = f"{PRINCIPALS}?$top=1"


async def throttle(cloud: Cloud, *, enabled: bool = True, size: str = "S") -> None:
    answer = await cloud.anybody.put(QUOTAS, json={"enabled": enabled, "size": size})
    assert answer.status_code == 200, answer.text


def spend(cloud: Cloud, units: int) -> None:
    """Let the operator have spent that many resource units just now."""
    now = cloud.emulator.clock.now()
    cloud.emulator.quotas.charge(OPERATOR_CLIENT_ID, TENANT_ID, units, is_write=False, now=now)


def write(cloud: Cloud, times: int) -> None:
    """Let the operator have written that many times just now, at no other cost."""
    now = cloud.emulator.clock.now()
    for _ in range(times):
        cloud.emulator.quotas.charge(OPERATOR_CLIENT_ID, TENANT_ID, 0, is_write=True, now=now)


def use(answer: httpx.Response) -> str | None:
    return answer.headers.get("x-ms-throttle-limit-percentage")


async def test_quotas_are_off_at_first_and_after_a_reset(cloud: Cloud) -> None:
    assert (await cloud.anybody.get(QUOTAS)).json() == {"enabled": False, "size": "S"}
    spend(cloud, 10_000)
    assert (await cloud.operator.get(CHEAP)).status_code == 200

    await throttle(cloud, size="L")
    assert (await cloud.anybody.get(QUOTAS)).json() == {"enabled": True, "size": "L"}
    await cloud.anybody.post("/_emulator/reset")

    assert (await cloud.anybody.get(QUOTAS)).json() == {"enabled": False, "size": "S"}


@pytest.mark.parametrize(("size", "capacity"), [("S", 3500), ("M", 5000), ("L", 8000)])
async def test_resource_units_by_the_size_of_the_tenant(
    cloud: Cloud, size: str, capacity: int
) -> None:
    await throttle(cloud, size=size)
    spend(cloud, capacity - 2)

    listed = await cloud.operator.get(APPS)
    refused = await cloud.operator.get(CHEAP)

    assert listed.status_code == 200
    assert use(listed) == "1.00"
    assert error_of(refused) == (429, "TooManyRequests")
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
    assert refused.headers["x-ms-throttle-scope"] == (
        f"Tenant_Application/ReadWrite/{OPERATOR_CLIENT_ID}/{TENANT_ID}"
    )


async def test_units_come_back_with_time(cloud: Cloud, clock: ManualClock) -> None:
    await throttle(cloud)
    spend(cloud, 3500)
    clock.advance(timedelta(milliseconds=5))  # 1.75 units

    assert (await cloud.operator.get(APPS)).status_code == 429

    clock.advance(timedelta(milliseconds=12))  # what the refused request took comes back as well
    assert (await cloud.operator.get(APPS)).status_code == 200


async def test_a_full_bucket_does_not_grow(cloud: Cloud, clock: ManualClock) -> None:
    await throttle(cloud)
    assert (await cloud.operator.get(CHEAP)).status_code == 200
    clock.advance(timedelta(minutes=30))
    spend(cloud, 3500)

    assert (await cloud.operator.get(CHEAP)).status_code == 429


@pytest.mark.parametrize(("seconds", "status"), [(6, 429), (7, 200)])
async def test_whoever_waits_for_retry_after_is_served(
    cloud: Cloud, clock: ManualClock, seconds: int, status: int
) -> None:
    await throttle(cloud)
    spend(cloud, 5600)

    refused = await cloud.operator.get(APPS)
    clock.advance(timedelta(seconds=seconds))

    assert refused.headers["retry-after"] == "7"
    assert (await cloud.operator.get(APPS)).status_code == status


async def test_refused_requests_count(cloud: Cloud, clock: ManualClock) -> None:
    await throttle(cloud)
    spend(cloud, 3500)

    uses = [use(await cloud.operator.get(CHEAP)) for _ in range(350)]

    assert (uses[0], uses[-1]) == ("1.00", "1.10")
    clock.advance(timedelta(milliseconds=900))
    assert (await cloud.operator.get(CHEAP)).status_code == 429
    clock.advance(timedelta(milliseconds=200))
    assert (await cloud.operator.get(CHEAP)).status_code == 200


async def test_refused_requests_lock_nobody_out(cloud: Cloud, clock: ManualClock) -> None:
    await throttle(cloud)
    for _ in range(20):
        spend(cloud, 3500)

    refused = await cloud.operator.get(CHEAP)

    assert use(refused) == "1.80"
    assert refused.headers["retry-after"] == "9"


async def test_writes_have_a_quota_of_their_own(cloud: Cloud, clock: ManualClock) -> None:
    await throttle(cloud, size="L")
    write(cloud, 2999)

    made = await cloud.operator.post(APPS, json={"displayName": "last"})
    refused = await cloud.operator.post(APPS, json={"displayName": "too many"})
    read = await cloud.operator.get(CHEAP)

    assert made.status_code == 201
    assert use(made) == "1.00"
    assert error_of(refused) == (429, "TooManyRequests")
    assert refused.headers["x-ms-throttle-information"] == "WriteLimitExceeded"
    assert refused.headers["x-ms-throttle-scope"].startswith("Tenant_Application/Write/")
    assert read.status_code == 200
    assert use(read) is None
    names = [item["displayName"] for item in (await cloud.operator.get(APPS)).json()["value"]]
    assert "last" in names
    assert "too many" not in names


async def test_twenty_writes_come_back_in_a_second(cloud: Cloud, clock: ManualClock) -> None:
    await throttle(cloud, size="L")
    write(cloud, 3000)
    clock.advance(timedelta(seconds=1))
    path = f"{APPS}/{'0' * 8}-0000-0000-0000-{'0' * 12}"

    statuses = [(await cloud.operator.delete(path)).status_code for _ in range(21)]

    assert statuses == [404] * 20 + [429]


async def test_the_longer_wait_of_two_limits_is_told(cloud: Cloud) -> None:
    await throttle(cloud)
    spend(cloud, 3500)
    write(cloud, 3100)

    refused = await cloud.operator.post(APPS, json={"displayName": "x"})

    assert refused.headers["x-ms-throttle-information"] == "WriteLimitExceeded"
    assert refused.headers["retry-after"] == "6"


async def test_use_is_told_from_four_fifths_on(cloud: Cloud) -> None:
    await throttle(cloud)
    spend(cloud, 2798)

    first, second = [await cloud.operator.get(CHEAP) for _ in range(2)]

    assert use(first) is None
    assert use(second) == "0.80"


async def test_each_caller_has_its_own_quotas(cloud: Cloud) -> None:
    await throttle(cloud)
    spend(cloud, 3500)

    assert (await cloud.operator.get(CHEAP)).status_code == 429
    assert (await cloud.admin.get(CHEAP)).status_code == 200


async def test_sign_in_is_not_throttled(cloud: Cloud) -> None:
    await throttle(cloud)
    spend(cloud, 7000)

    answer = await cloud.token(client_id=ADMIN_CLIENT_ID, client_secret=ADMIN_SECRET, scope=GRAPH)

    assert answer.status_code == 200


async def test_setting_quotas_fills_the_buckets(cloud: Cloud) -> None:
    await throttle(cloud)
    spend(cloud, 7000)
    await throttle(cloud, size="M")

    assert (await cloud.operator.get(CHEAP)).status_code == 200


async def test_refused_and_failed_requests_tell_their_cost(cloud: Cloud) -> None:
    await throttle(cloud)
    spend(cloud, 3497)

    missing = await cloud.operator.get(f"{APPS}/nothing")
    refused = await cloud.operator.get(APPS)

    assert [missing.status_code, refused.status_code] == [404, 429]
    assert [each.headers["x-ms-resource-unit"] for each in (missing, refused)] == ["2", "2"]


async def test_costs_are_the_documented_ones(cloud: Cloud) -> None:
    app = await cloud.register()
    calls: Iterable[tuple[str, str, int]] = [
        ("GET", APPS, 2),
        ("GET", f"{APPS}?$select=id", 1),
        ("GET", f"{APPS}?$select=id&$top=5", 1),
        ("GET", f"{APPS}?$top=19", 1),
        ("GET", f"{APPS}?$top=20", 2),
        ("GET", f"{APPS}?$expand=owners", 3),
        ("GET", f"{APPS}/{app.id}", 2),
        ("GET", f"{APPS}/{app.id}/owners", 1),
        ("GET", PRINCIPALS, 1),
        ("GET", f"{PRINCIPALS}/{app.principal_id}", 1),
        ("GET", f"{PRINCIPALS}/{app.principal_id}/appRoleAssignments", 2),
        ("GET", f"{PRINCIPALS}/{app.principal_id}/appRoleAssignedTo", 1),
        ("GET", "/v1.0/oauth2PermissionGrants", 2),
        ("DELETE", f"{APPS}/{app.id}", 1),
    ]

    told = []
    for method, path, _ in calls:
        answer = await cloud.operator.request(method, path)
        told.append((method, path, int(answer.headers["x-ms-resource-unit"])))

    assert told == list(calls)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"enabled": True, "size": "XL"}, "size"),
        ({"enabled": True, "size": 5}, "size"),
        ({"enabled": True, "size": ["S"]}, "size"),
        ({"enabled": True, "colour": 1}, "colour"),
    ],
)
async def test_bad_settings_are_told_by_field(cloud: Cloud, body: object, field: str) -> None:
    answer = await cloud.anybody.put(QUOTAS, json=body)

    assert answer.status_code == 400
    assert field in answer.json()["error"]
