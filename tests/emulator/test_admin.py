from datetime import timedelta

import httpx
import pytest

from entra_emulator import ADMIN_CLIENT_ID, OPERATOR_CLIENT_ID, Emulator, ManualClock
from tests.emulator.cloud import ADMIN_SECRET, GRAPH, TOKEN, Cloud

APPS = "/v1.0/applications"


async def test_it_is_off_unless_asked_for() -> None:
    transport = httpx.ASGITransport(app=Emulator().app)
    async with httpx.AsyncClient(transport=transport, base_url="https://entra.test") as client:
        for path in ("requests", "faults", "objects", ""):
            assert (await client.get(f"/_emulator/{path}")).status_code == 404


async def test_requests_are_logged_with_their_caller(cloud: Cloud) -> None:
    await cloud.anybody.delete("/_emulator/requests")
    await cloud.token(client_id=ADMIN_CLIENT_ID, client_secret=ADMIN_SECRET, scope=GRAPH)
    await cloud.operator.get(f"{APPS}?$top=1")
    await cloud.anybody.get(f"{APPS}/x")

    log = (await cloud.anybody.get("/_emulator/requests")).json()

    rows = [(entry["method"], entry["path"], entry["query"], entry["status"]) for entry in log]
    assert rows == [
        ("POST", TOKEN, "", 200),
        ("GET", APPS, "$top=1", 200),
        ("GET", f"{APPS}/x", "", 401),
    ]
    assert [entry["caller"] for entry in log] == [ADMIN_CLIENT_ID, OPERATOR_CLIENT_ID, None]
    assert log[0]["time"] == "2026-06-01T12:00:00Z"


async def test_time_can_be_advanced(cloud: Cloud, clock: ManualClock) -> None:
    before = clock.now()

    answer = await cloud.anybody.post("/_emulator/clock", json={"advanceSeconds": 90.5})

    assert answer.json() == {"now": "2026-06-01T12:01:30Z"}
    assert clock.now() - before == timedelta(seconds=90.5)


async def test_objects_are_shown_without_secrets(cloud: Cloud) -> None:
    app = await cloud.register("mine")
    secret = await cloud.secret(app)
    gone = await cloud.register("gone")
    await cloud.operator.delete(f"{APPS}/{gone.id}")

    answer = await cloud.anybody.get("/_emulator/objects")

    objects = answer.json()
    assert {item["displayName"] for item in objects["applications"]} >= {"mine"}
    assert {item["id"] for item in objects["deleted"]} == {gone.id, gone.principal_id}
    assert len(objects["assignments"]) == 4
    assert objects["grants"] == []
    mine = next(item for item in objects["applications"] if item["id"] == app.id)
    assert mine["owners"]
    assert mine["passwordCredentials"][0]["secretText"] is None
    for text in (secret, ADMIN_SECRET):
        assert text not in answer.text


async def test_reset_leads_back_to_the_seeds(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    await cloud.anybody.put("/_emulator/lag", json={"seconds": 5})
    await cloud.anybody.put("/_emulator/latency", json={"seconds": 0})
    await cloud.anybody.post("/_emulator/faults", json={"path": "x", "status": 500})
    await cloud.anybody.put("/_emulator/skew", json={"seconds": 60})
    await cloud.anybody.put("/_emulator/tokens", json={"lifetimeSeconds": 600})
    await cloud.anybody.put("/_emulator/credentials", json={"spacingSeconds": 60})
    before = clock.now()

    answer = await cloud.anybody.post("/_emulator/reset")

    assert answer.status_code == 204
    assert (await cloud.operator.get(f"{APPS}/{app.id}")).status_code == 404
    assert (await cloud.anybody.get("/_emulator/faults")).json() == []
    assert len((await cloud.anybody.get("/_emulator/requests")).json()) == 1
    assert cloud.emulator.directory.store.lag == timedelta(0)
    assert cloud.emulator.weather.skew == timedelta(0)
    assert cloud.emulator.tokens.lifetime == 3599
    assert cloud.emulator.directory.contention.spacing == timedelta(0)
    assert clock.now() == before
    assert await cloud.signed_in(ADMIN_CLIENT_ID, ADMIN_SECRET)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "faults", {}, "status or drop"),
        ("POST", "faults", {"path": "x"}, "status or drop"),
        ("POST", "faults", {"path": "x", "status": 500, "drop": True}, "status or drop"),
        ("POST", "faults", {"status": 500}, "path"),
        ("POST", "faults", {"path": "(", "status": 500}, "path"),
        ("POST", "faults", {"path": 5, "status": 500}, "path"),
        ("POST", "faults", {"path": "x", "status": 200}, "status"),
        ("POST", "faults", {"path": "x", "status": "500"}, "status"),
        ("POST", "faults", {"path": "x", "status": 500, "times": 0}, "times"),
        ("POST", "faults", {"path": "x", "status": 500, "when": "now"}, "when"),
        ("POST", "faults", {"path": "x", "status": 500, "method": "FLY"}, "method"),
        ("POST", "faults", {"path": "x", "status": 500, "code": 5}, "code"),
        ("POST", "faults", {"path": "x", "status": 500, "retryAfter": -1}, "retryAfter"),
        ("POST", "faults", {"path": "x", "drop": "yes"}, "drop"),
        ("POST", "faults", {"path": "x", "status": 500, "colour": 1}, "colour"),
        ("POST", "faults", {"path": "x", "hang": True, "drop": True}, "status or drop"),
        ("POST", "faults", {"path": "x", "answer": "truncated", "status": 500}, "status or drop"),
        ("POST", "faults", {"path": "x", "answer": "sour"}, "answer"),
        ("POST", "faults", {"path": "x", "answer": "slow", "seconds": -1}, "seconds"),
        ("POST", "faults", {"path": "x", "answer": "nulls", "members": [1]}, "members"),
        ("POST", "faults", {"path": "x", "answer": "nulls", "when": "before"}, "when"),
        ("POST", "faults", {"path": "x", "answer": "nulls", "code": "X"}, "code"),
        ("POST", "faults", {"path": "x", "drop": True, "code": "X"}, "code"),
        ("POST", "faults", {"path": "x", "status": 500, "members": []}, "members"),
        ("POST", "faults", {"path": "x", "status": 500, "skip": -1}, "skip"),
        ("POST", "faults", {"path": "x", "status": 429, "retryAfter": "a\nb"}, "retryAfter"),
        ("PUT", "lag", {"seconds": 1, "signInSeconds": -1}, "signInSeconds"),
        ("PUT", "lag", {"seconds": 1, "order": ["stale"]}, "order"),
        ("PUT", "lag", {"seconds": 1, "order": "fresh"}, "order"),
        ("PUT", "lag", {"seconds": 1, "order": ["fresh"], "seed": 1}, "order or seed"),
        ("PUT", "skew", {"seconds": 1e12}, "seconds"),
        ("PUT", "tokens", {}, "lifetimeSeconds"),
        ("PUT", "tokens", {"lifetimeSeconds": 0}, "lifetimeSeconds"),
        ("PUT", "credentials", {"maxSeconds": -1}, "maxSeconds"),
        ("PUT", "credentials", {"spacingSeconds": "1"}, "spacingSeconds"),
        ("PUT", "credentials", {"spacingStatus": 200}, "spacingStatus"),
        ("PUT", "lag", {"seconds": -1}, "seconds"),
        ("PUT", "lag", {"seconds": 3601}, "seconds"),
        ("PUT", "lag", {"second": 1}, "second"),
        ("PUT", "lag", {}, "seconds"),
        ("PUT", "latency", {"seconds": "1"}, "seconds"),
        ("PUT", "latency", {"seconds": True}, "seconds"),
        ("POST", "clock", {"advanceSeconds": -1}, "advanceSeconds"),
        ("POST", "clock", {"advanceSeconds": 1e300}, "advanceSeconds"),
        ("POST", "clock", {"seconds": 1}, "seconds"),
        ("POST", "clock", [], "body"),
    ],
)
async def test_bad_input_is_told_by_field(
    cloud: Cloud, method: str, path: str, body: object, field: str
) -> None:
    answer = await cloud.anybody.request(method, f"/_emulator/{path}", json=body)

    assert answer.status_code == 400
    assert field in answer.json()["error"]


async def test_bodies_that_cannot_be_read(cloud: Cloud) -> None:
    for content, status in ((b"{", 400), (b'{"seconds":NaN}', 400), (b" " * 70_000, 413)):
        answer = await cloud.anybody.put("/_emulator/lag", content=content)
        assert answer.status_code == status


async def test_time_ends_with_the_calendar(cloud: Cloud) -> None:
    statuses = set()
    for _ in range(200):
        answer = await cloud.anybody.post(
            "/_emulator/clock", json={"advanceSeconds": 1_500_000_000}
        )
        statuses.add(answer.status_code)

    assert statuses == {200, 400}
    assert (await cloud.operator.get(APPS)).status_code == 401
