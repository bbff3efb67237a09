"""Reads that are behind, or flip between two replicas: nothing is made twice, lost or undone."""

from datetime import timedelta

import pytest

from entra_emulator import Replica

pytestmark = pytest.mark.control_plane

ORDERS = {
    "lagging": (Replica.LAGGING,),
    "alternating": (Replica.FRESH, Replica.LAGGING),
    "mostly fresh": (Replica.FRESH, Replica.FRESH, Replica.LAGGING),
}
CASES = pytest.mark.parametrize(
    ("lag", "order"),
    [
        (timedelta(0), "lagging"),
        (timedelta(seconds=10), "alternating"),
        (timedelta(minutes=20), "lagging"),
        (timedelta(minutes=20), "alternating"),
        (timedelta(minutes=20), "mostly fresh"),
    ],
    ids=str,
)
STEP = timedelta(minutes=2)


def behind(lab, lag, order):
    """Let Graph's reads be behind; sign-in is up to date, so that probes take no virtual hours."""
    replicas = lab.emulator.directory.store.replicas
    replicas.lag, replicas.sign_in_lag = lag, timedelta(0)
    replicas.serve_in_order(ORDERS[order])


async def watched(lab, name, minutes):
    """Pass after pass for so long; the last result. A Secret that is there works all the time."""
    for _ in range(minutes // 2):
        outcome = await lab.reconcile(name)
        assert outcome.result != "stalled", await lab.message(name)
        data = await lab.secret(name)
        if data and "AZURE_CLIENT_SECRET" in data:
            assert await lab.accepts(name)
        lab.pass_time(STEP)
    return outcome.result


def ours(lab, kind="application"):
    return [
        entity for entity in lab.emulator.directory.store.all(kind)
        if lab.namespace in str(entity.document.get("tags")) and not entity.is_deleted
    ]  # fmt: skip


def added(lab):
    return [entry for entry in lab.calls("POST") if entry.path.endswith("/addPassword")
            and entry.status == 200]  # fmt: skip


async def quiet(lab, name):
    """Nothing is left to do, whichever replica answers."""
    lab.forget_calls()
    for _ in range(4):
        assert (await lab.reconcile(name)).result == "success"
    assert lab.writes() == []


@CASES
async def test_a_clinic_is_made_once(lab, lag, order):
    behind(lab, lag, order)
    server, client = await lab.register("Resource"), await lab.register("Service")
    await watched(lab, server, 30)
    assert await watched(lab, client, 30) == "success"
    assert len(ours(lab)) == 2
    assert len(added(lab)) == 1
    lab.pass_time(lag)
    await quiet(lab, client)
    await quiet(lab, server)


@CASES
async def test_a_changed_spec_is_written_once_and_not_undone(lab, lag, order):
    roles = [
        {"value": value, "displayName": value, "description": value,
         "allowedMemberTypes": ["Application"]}
        for value in ("one", "two")
    ]  # fmt: skip
    resource = {"url": "https://{uri}.clinic.example"}
    name = await lab.ready(
        "Resource", resource=resource | {"appRoles": {"presets": [], "custom": roles}}
    )
    lab.pass_time(timedelta(hours=2))
    behind(lab, lag, order)
    lab.forget_calls()
    url = f"https://{lab.namespace}.clinic.example"
    changed = {"url": url, "appRoles": {"presets": [], "custom": roles[:1]}}
    await lab.patch("fhirapp", name, {"spec": {"displayName": "new", "resource": changed}})
    await watched(lab, name, 30)
    document = await lab.application(name)
    assert document["displayName"] == "new"
    assert [role["value"] for role in document["appRoles"]] == ["one"]
    assert len(lab.writes()) <= 4, [(e.method, e.path, e.status) for e in lab.writes()]
    lab.pass_time(lag)
    await quiet(lab, name)


@CASES
async def test_a_renewal_is_done_once_and_its_credential_never_counts_as_lost(lab, lag, order):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    behind(lab, lag, order)
    lab.forget_calls()
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + STEP)
    await watched(lab, name, 40)
    assert len(added(lab)) == 1
    lab.pass_time(timedelta(hours=25))
    await watched(lab, name, 40)
    assert len(added(lab)) == 1
    document = await lab.application(name)
    assert len(document["passwordCredentials"]) == 1
    assert await lab.accepts(name)
    await quiet(lab, name)


@CASES
async def test_a_deletion_leaves_nothing_behind(lab, lag, order):
    behind(lab, lag, order)
    server = await lab.register("Resource")
    await lab.reconcile(server)
    assert len(ours(lab)) == 1
    await lab.delete("fhirapp", server)
    for _ in range(30):
        if (await lab.reconcile(server)).result == "gone":
            break
        lab.pass_time(STEP)
    assert await lab.read("fhirapp", server) is None
    assert ours(lab) == []
