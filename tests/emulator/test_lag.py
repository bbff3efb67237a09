from datetime import timedelta

import pytest

from entra_emulator import ManualClock
from entra_emulator.directory.store import MAX_LAG
from tests.emulator.cloud import CREATE, GRAPH, App, Cloud, aadsts, error_of, role, scope

LAG = timedelta(seconds=30)
APPS = "/v1.0/applications"


@pytest.fixture
async def lagging(cloud: Cloud) -> Cloud:
    answer = await cloud.anybody.put("/_emulator/lag", json={"seconds": LAG.total_seconds()})
    assert answer.status_code == 200
    return cloud


async def young(cloud: Cloud, **members: object) -> dict:
    body = {"displayName": "young", "uniqueName": "k", **members}
    return (await cloud.operator.post(APPS, json=body)).json()


async def test_a_young_application_is_not_there_yet(lagging: Cloud, clock: ManualClock) -> None:
    app = await young(lagging)

    async def answers() -> list[int]:
        return [
            (await lagging.operator.get(f"{APPS}/{app['id']}")).status_code,
            (await lagging.operator.get(f"{APPS}(uniqueName='k')")).status_code,
            (await lagging.operator.patch(f"{APPS}/{app['id']}", json={})).status_code,
            (await lagging.operator.post(f"{APPS}/{app['id']}/addPassword")).status_code,
        ]

    listed = (await lagging.operator.get(APPS)).json()["value"]
    early = await answers()
    clock.advance(LAG)

    assert "young" not in {item["displayName"] for item in listed}
    assert early == [404, 404, 404, 404]
    assert await answers() == [200, 200, 204, 200]


async def test_a_service_principal_needs_an_application_that_has_arrived(
    lagging: Cloud, clock: ManualClock
) -> None:
    app = await young(lagging)
    path = f"/v1.0/servicePrincipals(appId='{app['appId']}')"

    early = await lagging.operator.patch(path, json={}, headers=CREATE)
    clock.advance(LAG)
    late = await lagging.operator.patch(path, json={}, headers=CREATE)

    assert early.status_code == 400
    assert early.json()["error"]["details"][0]["code"] == "NoBackingApplicationObject"
    assert late.status_code == 201


async def test_an_upsert_that_does_not_see_the_key_meets_its_uniqueness(
    lagging: Cloud, clock: ManualClock
) -> None:
    app = await young(lagging)
    clock.advance(LAG)
    await lagging.operator.post("/v1.0/servicePrincipals", json={"appId": app["appId"]})
    await young(lagging, uniqueName="k2")

    name = await lagging.operator.patch(
        f"{APPS}(uniqueName='k2')", json={"displayName": "x"}, headers=CREATE
    )
    principal = await lagging.operator.patch(
        f"/v1.0/servicePrincipals(appId='{app['appId']}')", json={}, headers=CREATE
    )

    assert error_of(name) == (400, "Request_BadRequest")
    assert error_of(principal) == (409, "Request_MultipleObjectsWithSameKeyValue")


async def test_reads_are_stale_after_a_patch(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register("old")
    clock.advance(LAG)
    cloud.emulator.directory.store.lag = LAG
    path = f"{APPS}/{app.id}"

    await cloud.operator.patch(path, json={"displayName": "new"})
    before = (await cloud.operator.get(path)).json()["displayName"]
    clock.advance(LAG)

    assert before == "old"
    assert (await cloud.operator.get(path)).json()["displayName"] == "new"


async def test_writes_build_on_the_newest_state(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register("old")
    clock.advance(LAG)
    cloud.emulator.directory.store.lag = LAG
    path = f"{APPS}/{app.id}"

    await cloud.operator.patch(path, json={"displayName": "new"})
    await cloud.operator.patch(path, json={"notes": "n"})
    clock.advance(LAG)
    read = (await cloud.operator.get(path)).json()

    assert (read["displayName"], read["notes"]) == ("new", "n")


async def test_a_deletion_is_not_seen_at_once_either(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    clock.advance(LAG)
    cloud.emulator.directory.store.lag = LAG
    item = f"/v1.0/directory/deletedItems/{app.id}"

    await cloud.operator.delete(f"{APPS}/{app.id}")
    stale = await cloud.operator.get(f"{APPS}/{app.id}")
    write = await cloud.operator.patch(f"{APPS}/{app.id}", json={})
    early = await cloud.operator.get(item)
    clock.advance(LAG)

    assert [stale.status_code, write.status_code, early.status_code] == [200, 404, 404]
    assert (await cloud.operator.get(item)).status_code == 200


async def test_a_fresh_secret_is_refused_for_a_while(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    clock.advance(LAG)
    cloud.emulator.directory.store.lag = LAG
    form = {"client_id": app.app_id, "client_secret": await cloud.secret(app), "scope": GRAPH}

    early = await cloud.token(**form)
    accepted = cloud.emulator.directory.accepts(app.app_id, form["client_secret"])
    clock.advance(LAG)

    assert aadsts(early) == (401, "invalid_client", 7000215)
    assert accepted
    assert (await cloud.token(**form)).status_code == 200


async def test_a_young_client_is_unknown_at_sign_in(lagging: Cloud) -> None:
    app = await young(lagging)

    answer = await lagging.token(client_id=app["appId"], client_secret="x", scope=GRAPH)

    assert aadsts(answer) == (400, "unauthorized_client", 700016)


async def test_a_young_resource_is_unknown_at_sign_in(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    secret = await cloud.secret(app)
    clock.advance(LAG)
    cloud.emulator.directory.store.lag = LAG
    await cloud.operator.patch(
        f"{APPS}/{app.id}", json={"identifierUris": ["https://fhir.clinic.example"]}
    )
    form = {
        "client_id": app.app_id,
        "client_secret": secret,
        "scope": "https://fhir.clinic.example/.default",
    }

    early = await cloud.token(**form)
    clock.advance(LAG)

    assert aadsts(early) == (400, "invalid_resource", 500011)
    assert (await cloud.token(**form)).status_code == 200


READ = role("read")


async def server(cloud: Cloud, clock: ManualClock) -> App:
    api = {"oauth2PermissionScopes": [scope("user_impersonation")]}
    made = await cloud.register("server", appRoles=[READ], api=api)
    clock.advance(LAG)
    return made


async def test_a_young_principal_cannot_be_assigned_yet(cloud: Cloud, clock: ManualClock) -> None:
    resource, client = await server(cloud, clock), await cloud.register("client")
    cloud.emulator.directory.store.lag = LAG

    early = await cloud.assign(client.principal_id, resource, READ["id"])
    young_resource = await cloud.assign(resource.principal_id, client, READ["id"])
    clock.advance(LAG)
    late = await cloud.assign(client.principal_id, resource, READ["id"])

    assert error_of(early) == (400, "Request_BadRequest")
    assert "Not a valid reference update" in early.text
    assert error_of(young_resource) == (404, "Request_ResourceNotFound")
    assert late.status_code == 201


async def test_a_young_role_cannot_be_assigned_yet(cloud: Cloud, clock: ManualClock) -> None:
    resource, client = await server(cloud, clock), await cloud.register("client")
    clock.advance(LAG)
    cloud.emulator.directory.store.lag = LAG
    more = role("more")
    await cloud.operator.patch(f"{APPS}/{resource.id}", json={"appRoles": [READ, more]})

    answer = await cloud.assign(client.principal_id, resource, more["id"])

    assert "Permission being assigned was not found on application." in answer.text


async def test_a_grant_to_a_young_client_lands_although_it_answers_404(
    cloud: Cloud, clock: ManualClock
) -> None:
    resource, client = await server(cloud, clock), await cloud.register("client")
    cloud.emulator.directory.store.lag = LAG

    early = await cloud.grant(client, resource.principal_id, "user_impersonation")
    clock.advance(LAG)
    again = await cloud.grant(client, resource.principal_id, "user_impersonation")

    assert error_of(early) == (404, "Directory_ObjectNotFound")
    assert again.status_code == 409


async def test_a_grant_of_a_young_resource_is_refused(cloud: Cloud, clock: ManualClock) -> None:
    client = await server(cloud, clock)
    resource = await cloud.register("young")
    cloud.emulator.directory.store.lag = LAG

    answer = await cloud.grant(client, resource.principal_id, "x")

    assert error_of(answer) == (400, "Request_BadRequest")
    assert "queried reference-property objects are not present" in answer.text


async def test_seeds_are_never_young(lagging: Cloud) -> None:
    lagging.emulator.directory.store.lag = MAX_LAG

    assert await lagging.graph_principal()


async def test_without_lag_history_is_forgotten(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    entity = cloud.emulator.directory.store.locate(app.id)
    assert entity is not None

    for number in range(10):
        cloud.emulator.directory.store.replace(entity, {**entity.document, "notes": str(number)})
        clock.advance(MAX_LAG / 2)

    assert len(entity.versions) <= 4
