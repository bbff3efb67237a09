from datetime import timedelta
from uuid import uuid4

from entra_emulator import OPERATOR_CLIENT_ID, ManualClock
from tests.emulator.cloud import OPERATOR_SECRET, App, Cloud, error_of

ITEMS = "/v1.0/directory/deletedItems"


async def deleted(cloud: Cloud, **members: object) -> App:
    app = await cloud.register(**members)
    assert (await cloud.operator.delete(f"/v1.0/applications/{app.id}")).status_code == 204
    return app


async def test_delete_is_soft(cloud: Cloud) -> None:
    app = await deleted(cloud)

    gone = await cloud.operator.get(f"/v1.0/applications/{app.id}")
    again = await cloud.operator.delete(f"/v1.0/applications/{app.id}")
    item = await cloud.operator.get(f"{ITEMS}/{app.id}")

    assert error_of(gone) == error_of(again) == (404, "Request_ResourceNotFound")
    assert item.json()["deletedDateTime"] == "2026-06-01T12:00:00Z"
    assert item.json()["displayName"] == "app"


async def test_restore_brings_the_application_alone(cloud: Cloud) -> None:
    app = await deleted(cloud, tags=["kept"])

    early = await cloud.operator.post(f"{ITEMS}/{app.principal_id}/restore")
    restored = await cloud.operator.post(f"{ITEMS}/{app.id}/restore")
    principal = await cloud.operator.get(f"/v1.0/servicePrincipals/{app.principal_id}")
    late = await cloud.operator.post(f"{ITEMS}/{app.principal_id}/restore")

    assert "without backing Application" in early.text
    assert early.status_code == 400
    assert restored.json()["tags"] == ["kept"]
    assert restored.json()["deletedDateTime"] is None
    assert principal.status_code == 404
    assert late.status_code == 200
    assert (await cloud.operator.get(f"/v1.0/applications/{app.id}")).status_code == 200


async def test_a_service_principal_cannot_come_back_beside_a_new_one(cloud: Cloud) -> None:
    app = await deleted(cloud)
    await cloud.operator.post(f"{ITEMS}/{app.id}/restore")
    await cloud.operator.post("/v1.0/servicePrincipals", json={"appId": app.app_id})

    answer = await cloud.operator.post(f"{ITEMS}/{app.principal_id}/restore")

    assert error_of(answer) == (409, "Request_MultipleObjectsWithSameKeyValue")


async def test_a_restored_application_keeps_its_secrets(cloud: Cloud) -> None:
    app = await cloud.register()
    secret = await cloud.secret(app)
    await cloud.operator.delete(f"/v1.0/applications/{app.id}")
    while_gone = cloud.emulator.directory.accepts(app.app_id, secret)

    await cloud.operator.post(f"{ITEMS}/{app.id}/restore")

    assert not while_gone
    assert cloud.emulator.directory.accepts(app.app_id, secret)


async def test_purge_is_for_good_and_frees_the_unique_name(cloud: Cloud) -> None:
    app = await deleted(cloud, uniqueName="k")

    purged = await cloud.operator.delete(f"{ITEMS}/{app.id}")
    again = await cloud.operator.delete(f"{ITEMS}/{app.id}")
    principal = await cloud.operator.get(f"{ITEMS}/{app.principal_id}")
    made = await cloud.operator.post(
        "/v1.0/applications", json={"displayName": "new", "uniqueName": "k"}
    )

    assert [purged.status_code, again.status_code] == [204, 404]
    assert principal.status_code == 200
    assert made.status_code == 201


async def test_the_retention_ends_after_30_days(cloud: Cloud, clock: ManualClock) -> None:
    app = await deleted(cloud)
    clock.advance(timedelta(minutes=59))
    kept = await cloud.operator.get(f"{ITEMS}/{app.id}")

    clock.advance(timedelta(days=30))
    fresh = await cloud.signed_in(OPERATOR_CLIENT_ID, OPERATOR_SECRET)

    assert kept.status_code == 200
    assert (await fresh.get(f"{ITEMS}/{app.id}")).status_code == 404


async def test_lists_name_a_type(cloud: Cloud) -> None:
    app, _ = await deleted(cloud), await cloud.register("live")
    apps = f"{ITEMS}/microsoft.graph.application"

    listed = (await cloud.admin.get(apps)).json()["value"]
    filtered = await cloud.admin.get(apps, params={"$filter": f"appId eq '{uuid4()}'"})
    principals = await cloud.admin.get(f"{ITEMS}/microsoft.graph.servicePrincipal")

    assert [item["id"] for item in listed] == [app.id]
    assert filtered.json()["value"] == []
    assert [item["id"] for item in principals.json()["value"]] == [app.principal_id]


async def test_owned_by_sees_its_own_items_but_no_list(cloud: Cloud) -> None:
    mine = await deleted(cloud)
    theirs = (await cloud.admin.post("/v1.0/applications", json={"displayName": "x"})).json()
    await cloud.admin.delete(f"/v1.0/applications/{theirs['id']}")

    for path in (f"{ITEMS}/microsoft.graph.application", f"{ITEMS}/{theirs['id']}"):
        assert error_of(await cloud.operator.get(path)) == (403, "Authorization_RequestDenied")
    assert (await cloud.operator.get(f"{ITEMS}/{mine.id}")).status_code == 200
    for answer in (
        await cloud.operator.post(f"{ITEMS}/{theirs['id']}/restore"),
        await cloud.operator.delete(f"{ITEMS}/{theirs['id']}"),
    ):
        assert error_of(answer) == (403, "Authorization_RequestDenied")
    assert (await cloud.operator.delete(f"{ITEMS}/{mine.id}")).status_code == 204


async def test_live_objects_are_no_deleted_items(cloud: Cloud) -> None:
    app = await cloud.register()

    assert (await cloud.operator.get(f"{ITEMS}/{app.id}")).status_code == 404
    assert (await cloud.operator.get(f"{ITEMS}/{uuid4()}")).status_code == 404
