"""Two replicas that take turns, and a sign-in service with a lag of its own."""

from datetime import timedelta

import pytest

from entra_emulator import ManualClock, Replica
from tests.emulator.cloud import GRAPH, Cloud, aadsts

LAG = timedelta(seconds=30)
APPS = "/v1.0/applications"


async def lag(cloud: Cloud, **members: object) -> None:
    answer = await cloud.anybody.put("/_emulator/lag", json=members)
    assert answer.status_code == 200, answer.text


async def names(cloud: Cloud, path: str, times: int) -> list[str]:
    return [(await cloud.operator.get(path)).json()["displayName"] for _ in range(times)]


async def renamed(cloud: Cloud, clock: ManualClock) -> str:
    """The path of an application whose name was changed from old to new just now."""
    app = await cloud.register("old")
    clock.advance(LAG)
    path = f"{APPS}/{app.id}"
    await cloud.operator.patch(path, json={"displayName": "new"})
    return path


async def test_replicas_take_turns_in_the_given_order(cloud: Cloud, clock: ManualClock) -> None:
    path = await renamed(cloud, clock)
    await lag(cloud, seconds=30, order=["fresh", "lagging", "lagging"])

    assert await names(cloud, path, 7) == ["new", "old", "old", "new", "old", "old", "new"]
    clock.advance(LAG)
    assert await names(cloud, path, 3) == ["new"] * 3


async def test_a_young_object_flips_too(cloud: Cloud) -> None:
    await lag(cloud, seconds=30, order=["lagging", "fresh"])
    await cloud.operator.post(APPS, json={"displayName": "x", "uniqueName": "k"})

    path = f"{APPS}(uniqueName='k')"
    statuses = [(await cloud.operator.get(path)).status_code for _ in range(4)]

    assert statuses == [200, 404, 200, 404]


async def test_a_seed_draws_the_same_turns_again(cloud: Cloud, clock: ManualClock) -> None:
    path = await renamed(cloud, clock)

    async def drawn(seed: int) -> list[str]:
        await lag(cloud, seconds=30, seed=seed)
        return await names(cloud, path, 30)

    first = await drawn(7)

    assert set(first) == {"old", "new"}
    assert await drawn(7) == first
    assert await drawn(8) != first


async def test_without_an_order_every_read_is_behind(cloud: Cloud, clock: ManualClock) -> None:
    path = await renamed(cloud, clock)
    await lag(cloud, seconds=30, order=["fresh"])
    await lag(cloud, seconds=30)

    assert await names(cloud, path, 3) == ["old"] * 3


async def test_sign_in_can_be_behind_while_graph_is_not(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    clock.advance(LAG)
    await lag(cloud, seconds=0, signInSeconds=18)
    form = {"client_id": app.app_id, "client_secret": await cloud.secret(app), "scope": GRAPH}

    early = await cloud.token(**form)
    [seen] = (await cloud.operator.get(f"{APPS}/{app.id}")).json()["passwordCredentials"]
    clock.advance(timedelta(seconds=18))

    assert aadsts(early) == (401, "invalid_client", 7000215)
    assert seen["keyId"]
    assert (await cloud.token(**form)).status_code == 200


async def test_graph_can_be_behind_while_sign_in_is_not(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    clock.advance(LAG)
    await lag(cloud, seconds=30, signInSeconds=0)
    form = {"client_id": app.app_id, "client_secret": await cloud.secret(app), "scope": GRAPH}

    assert (await cloud.token(**form)).status_code == 200
    shown = (await cloud.operator.get(f"{APPS}/{app.id}")).json()
    assert shown["passwordCredentials"] == []


async def test_each_credential_has_a_lag_of_its_own(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    clock.advance(LAG)
    await lag(cloud, seconds=0, signInSeconds=18)
    older = {"client_id": app.app_id, "client_secret": await cloud.secret(app), "scope": GRAPH}
    clock.advance(timedelta(seconds=10))
    newer = older | {"client_secret": await cloud.secret(app)}
    clock.advance(timedelta(seconds=10))

    assert (await cloud.token(**older)).status_code == 200
    assert aadsts(await cloud.token(**newer)) == (401, "invalid_client", 7000215)


async def test_a_revoked_credential_is_accepted_until_sign_in_has_heard_of_it(
    cloud: Cloud, clock: ManualClock
) -> None:
    app = await cloud.register()
    form = {"client_id": app.app_id, "client_secret": await cloud.secret(app), "scope": GRAPH}
    clock.advance(LAG)
    await lag(cloud, seconds=0, signInSeconds=18)
    [seen] = (await cloud.operator.get(f"{APPS}/{app.id}")).json()["passwordCredentials"]

    body = {"keyId": seen["keyId"]}
    await cloud.operator.post(f"{APPS}/{app.id}/removePassword", json=body)

    assert (await cloud.token(**form)).status_code == 200
    clock.advance(timedelta(seconds=18))
    assert (await cloud.token(**form)).status_code == 401


async def test_the_order_can_be_set_from_python(cloud: Cloud, clock: ManualClock) -> None:
    path = await renamed(cloud, clock)
    store = cloud.emulator.directory.store
    store.lag = LAG
    store.replicas.serve_in_order([Replica.LAGGING, Replica.FRESH])

    assert await names(cloud, path, 2) == ["old", "new"]


@pytest.mark.parametrize("seconds", [0, 30])
async def test_writes_act_on_the_primary_whichever_replica_serves(
    cloud: Cloud, clock: ManualClock, seconds: int
) -> None:
    path = await renamed(cloud, clock)
    await lag(cloud, seconds=seconds, order=["lagging", "fresh"])

    for number in range(4):
        await cloud.operator.patch(path, json={"tags": [str(number)]})
    clock.advance(LAG)

    shown = (await cloud.operator.get(path)).json()
    assert (shown["displayName"], shown["tags"]) == ("new", ["3"])
