import asyncio
import re

import httpx
import pytest

from entra_emulator import OPERATOR_CLIENT_ID, ConnectionDropped, Fault
from tests.emulator.cloud import GRAPH, OPERATOR_SECRET, Cloud, aadsts, error_of

APPS = "/v1.0/applications"
NEW = {"displayName": "x"}


async def fault(cloud: Cloud, **members: object) -> None:
    answer = await cloud.anybody.post("/_emulator/faults", json=members)
    assert answer.status_code == 201, answer.text


async def count(cloud: Cloud) -> int:
    return len((await cloud.operator.get(APPS)).json()["value"])


async def test_a_fault_before_the_effect(cloud: Cloud) -> None:
    before = await count(cloud)
    await fault(cloud, method="POST", path="/applications$", status=503, times=2)

    answers = [await cloud.operator.post(APPS, json=NEW) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert error_of(answers[0]) == (503, "ServiceUnavailable")
    assert await count(cloud) == before + 1


async def test_a_fault_after_the_effect(cloud: Cloud) -> None:
    before = await count(cloud)
    await fault(cloud, method="POST", path="/applications$", status=504, when="after")

    answer = await cloud.operator.post(APPS, json=NEW)

    assert answer.status_code == 504
    assert await count(cloud) == before + 1


async def test_a_fault_has_the_wanted_code_and_retry_after(cloud: Cloud) -> None:
    await fault(cloud, path="applications", status=429, retryAfter=7)
    await fault(cloud, path="applications", status=409, code="Directory_ConcurrencyViolation")

    throttled = await cloud.operator.get(APPS)
    violated = await cloud.operator.get(APPS)

    assert error_of(throttled) == (429, "TooManyRequests")
    assert throttled.headers["retry-after"] == "7"
    assert error_of(violated) == (409, "Directory_ConcurrencyViolation")
    assert "retry-after" not in violated.headers


async def test_method_and_path_must_match(cloud: Cloud) -> None:
    await fault(cloud, method="DELETE", path="applications", status=500)
    await fault(cloud, method="get", path="^/v1.0/servicePrincipals", status=500)

    assert (await cloud.operator.get(APPS)).status_code == 200
    assert len((await cloud.anybody.get("/_emulator/faults")).json()) == 2
    assert (await cloud.operator.get("/v1.0/servicePrincipals")).status_code == 500
    await cloud.anybody.delete("/_emulator/faults")
    assert (await cloud.anybody.get("/_emulator/faults")).json() == []


async def test_the_oldest_fault_that_matches_strikes_first(cloud: Cloud) -> None:
    await fault(cloud, path="applications", status=500)
    await fault(cloud, path=".", status=502)

    statuses = [(await cloud.operator.get(APPS)).status_code for _ in range(3)]

    assert statuses == [500, 502, 200]


async def test_faults_at_the_token_endpoint(cloud: Cloud) -> None:
    form = {"client_id": OPERATOR_CLIENT_ID, "client_secret": OPERATOR_SECRET, "scope": GRAPH}
    await fault(cloud, path="/token$", status=503)
    await fault(cloud, path="/token$", status=400, code="53003")
    await fault(cloud, path="/token$", status=429, retryAfter=3)

    unavailable = await cloud.token(**form)
    blocked = await cloud.token(**form)
    throttled = await cloud.token(**form)

    assert aadsts(unavailable) == (503, "temporarily_unavailable", 90033)
    assert aadsts(blocked) == (400, "invalid_request", 53003)
    assert throttled.headers["retry-after"] == "3"
    assert (await cloud.token(**form)).status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_dropped_connection_is_a_transport_error(cloud: Cloud, when: str) -> None:
    before = await count(cloud)
    await fault(cloud, method="POST", path="/applications$", drop=True, when=when)

    with pytest.raises(httpx.ReadError) as caught:
        await cloud.operator.post(APPS, json=NEW)

    assert isinstance(caught.value, ConnectionDropped)
    assert await count(cloud) == before + (when == "after")


async def test_the_log_shows_what_was_answered(cloud: Cloud) -> None:
    await fault(cloud, path="applications", status=500)
    await fault(cloud, path="applications", drop=True)
    cloud.emulator.requests.clear()

    await cloud.operator.get(APPS)
    with pytest.raises(ConnectionDropped):
        await cloud.operator.get(APPS)

    assert [entry.status for entry in cloud.emulator.requests] == [500, None]


async def test_faults_can_be_added_from_python(cloud: Cloud) -> None:
    cloud.emulator.weather.add(Fault(re.compile("applications"), status=500))

    assert (await cloud.operator.get(APPS)).status_code == 500


@pytest.mark.looptime
async def test_latency_holds_answers_back(cloud: Cloud) -> None:
    loop = asyncio.get_running_loop()
    await cloud.anybody.put("/_emulator/latency", json={"seconds": 30})
    started = loop.time()

    await cloud.operator.get(APPS)

    assert loop.time() - started == 30


@pytest.mark.looptime
async def test_without_latency_nothing_sleeps(cloud: Cloud) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()

    await cloud.register()

    assert loop.time() == started
