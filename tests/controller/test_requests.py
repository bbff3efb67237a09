"""What people ask for by annotation, and what they are told when a credential is in danger."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from entra_emulator import Fault

pytestmark = pytest.mark.control_plane

ROTATE = "fhirapps.dev/rotate-requested-at"
REVOKE = "fhirapps.dev/revoke-previous-requested-at"
TIDY = {"spec": {"credential": {"clientSecret": {}, "unmanaged": "Remove"}}}
ADD_PASSWORD = re.compile(r"/addPassword$")
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def ask(lab, name, **annotations):
    """Annotate with times relative to now; what is no timedelta goes in as it is."""
    given = {"rotate": ROTATE, "revoke": REVOKE}
    now = lab.world.clock()
    values = {
        given[key]: stamp(now + value) if isinstance(value, timedelta) else value
        for key, value in annotations.items()
    }
    await lab.patch("fhirapp", name, {"metadata": {"annotations": values}})
    return values


async def reasons(lab, name):
    return [event["reason"] for event in await lab.events(name)]


@pytest.fixture
async def aged(lab, service):
    """A Service whose credential is a day old."""
    lab.pass_time(DAY)
    await lab.settle(service)
    lab.forget_calls()
    return service


async def test_a_rotation_on_request_happens_once_with_an_overlap(lab, aged):
    old = await lab.live_key_id(aged)
    before = await lab.secret(aged)
    asked = await ask(lab, aged, rotate=timedelta(0))
    for _ in range(3):
        await lab.settle(aged)
        lab.pass_time(MINUTE)
    new = await lab.live_key_id(aged)
    assert new != old
    assert await lab.accepts(aged)
    assert lab.emulator.directory.accepts(before["AZURE_CLIENT_ID"], before["AZURE_CLIENT_SECRET"])
    assert len(lab.added()) == 1
    assert (await lab.status(aged))["lastHandledRotateAt"] == asked[ROTATE]
    assert "CredentialRenewed" in await reasons(lab, aged)
    lab.pass_time(DAY)
    await lab.settle(aged)
    assert set(await lab.key_ids(aged)) == {new}
    assert len(lab.added()) == 1


async def test_a_restore_without_status_rotates_nothing(lab, aged):
    await ask(lab, aged, rotate=timedelta(0))
    await lab.settle(aged)
    lab.pass_time(2 * DAY)
    await lab.settle(aged)
    lab.forget_calls()
    await lab.forget_status(aged)
    await lab.settle(aged)
    assert lab.added() == []
    assert "lastHandledRotateAt" in await lab.status(aged)


async def test_a_request_older_than_the_credential_does_nothing_but_is_echoed(lab, aged):
    asked = await ask(lab, aged, rotate=-30 * DAY)
    await lab.settle(aged)
    assert lab.writes() == []
    assert (await lab.status(aged))["lastHandledRotateAt"] == asked[ROTATE]


async def test_a_request_for_a_time_to_come_acts_when_it_comes(lab, aged):
    await ask(lab, aged, rotate=timedelta(minutes=30))
    outcome = await lab.settle(aged)
    assert outcome.due <= timedelta(minutes=30)
    assert lab.writes() == []
    assert "lastHandledRotateAt" not in await lab.status(aged)
    lab.pass_time(timedelta(minutes=31))
    await lab.settle(aged)
    assert len(lab.added()) == 1


async def test_a_request_that_is_no_time_is_named_and_wakes_nothing_else(lab, aged):
    await ask(lab, aged, rotate="now", revoke="2026-13-01T00:00:00Z")
    outcome = await lab.settle(aged)
    assert outcome.due > timedelta(hours=1)  # the next look for consent
    assert lab.writes() == []
    assert (await lab.conditions(aged))["InvalidRequest"] == ("True", "InvalidAnnotation")
    assert (await lab.conditions(aged))["Ready"] == ("True", "Succeeded")
    assert f"`{ROTATE}` and `{REVOKE}`" in await lab.message(aged, "InvalidRequest")
    assert outcome.registration.status.last_handled_rotate_at is None
    version = (await lab.read("fhirapp", aged))["metadata"]["resourceVersion"]
    await lab.settle(aged)
    assert (await lab.read("fhirapp", aged))["metadata"]["resourceVersion"] == version
    assert (await reasons(lab, aged)).count("InvalidRequest") == 1
    await ask(lab, aged, rotate=None, revoke=None)
    await lab.settle(aged)
    assert "InvalidRequest" not in await lab.conditions(aged)


async def test_a_leaked_secret_ends_at_once_when_both_are_asked_for(lab, aged):
    leaked = await lab.secret(aged)
    asked = await ask(lab, aged, rotate=timedelta(0), revoke=timedelta(0))
    await lab.settle(aged)
    assert set(await lab.key_ids(aged)) == {await lab.live_key_id(aged)}
    assert await lab.accepts(aged)
    client, value = leaked["AZURE_CLIENT_ID"], leaked["AZURE_CLIENT_SECRET"]
    assert not lab.emulator.directory.accepts(client, value)
    status = await lab.status(aged)
    assert status["lastHandledRotateAt"] == asked[ROTATE]
    assert status["lastHandledRevokePreviousAt"] == asked[REVOKE]


async def test_a_revocation_ends_an_overlap_and_spares_what_comes_later(lab, aged):
    await ask(lab, aged, rotate=timedelta(0))
    await lab.settle(aged)
    lab.pass_time(MINUTE)
    asked = await ask(lab, aged, revoke=timedelta(0))
    await lab.settle(aged)
    live = await lab.live_key_id(aged)
    assert set(await lab.key_ids(aged)) == {live}
    assert (await lab.status(aged))["lastHandledRevokePreviousAt"] == asked[REVOKE]
    lab.pass_time(timedelta(hours=4320) * 2 / 3)
    await lab.settle(aged)
    assert await lab.live_key_id(aged) != live
    assert live in set(await lab.key_ids(aged))


async def test_a_revocation_alone_spares_what_the_secret_holds(lab, aged):
    live = await lab.live_key_id(aged)
    await ask(lab, aged, revoke=timedelta(0))
    await lab.settle(aged)
    assert set(await lab.key_ids(aged)) == {live}
    assert lab.writes() == []


async def test_a_request_that_status_cannot_echo_is_named_once_and_ignored(lab, aged):
    name = "fhirapps.dev/reconcile-requested-at"
    await lab.patch("fhirapp", aged, {"metadata": {"annotations": {name: "x" * 513}}})
    await lab.settle(aged)
    message = await lab.message(aged, "InvalidRequest")
    assert message == f"annotation `{name}` is ignored: it must be at most 512 characters long"
    assert not (await lab.reconcile(aged)).changed
    assert "lastHandledReconcileAt" not in await lab.status(aged)


# --- clocks ---------------------------------------------------------------------------------
async def test_with_a_wrong_clock_nothing_is_issued_or_retired_and_ready_stays(lab, aged):
    right = lab.world.clock
    wrong = replace(lab.world, clock=lambda: right() + timedelta(hours=5000))
    skewed = replace(lab, world=wrong)
    outcome = await skewed.reconcile(aged)
    assert (outcome.result, outcome.reason) == ("waiting", "ClockSkew")
    assert lab.writes() == []
    conditions = await lab.conditions(aged)
    assert conditions["Ready"] == ("True", "Succeeded")
    assert conditions["Synced"] == ("False", "ClockSkew")
    assert "CredentialExpiring" not in conditions
    await lab.settle(aged)
    assert (await lab.conditions(aged))["Synced"] == ("True", "Succeeded")


# --- the end comes near ---------------------------------------------------------------------
async def test_a_renewal_that_cannot_happen_is_told_before_the_end(lab, service):
    code = "CredentialTypeNotAllowedAsPerAppPolicy"
    lab.emulator.weather.add(Fault(path=ADD_PASSWORD, times=99, status=400, code=code))
    lab.pass_time(timedelta(hours=4320) * 2 / 3)
    await lab.reconcile(service)
    assert "CredentialExpiring" not in await lab.conditions(service)
    lab.pass_time(timedelta(hours=4320) / 5)
    for _ in range(2):
        assert (await lab.reconcile(service)).result == "stalled"
    conditions = await lab.conditions(service)
    assert conditions["CredentialExpiring"] == ("True", "PolicyBlocked")
    assert conditions["Ready"] == ("True", "Succeeded")
    assert conditions["Synced"] == ("False", "PolicyBlocked")
    assert "Stalled" not in conditions
    end = (await lab.status(service))["credentials"][0]["endTime"]
    assert end in await lab.message(service, "CredentialExpiring")
    warned = [e for e in await lab.events(service) if e["reason"] == "CredentialExpiring"]
    assert [e["type"] for e in warned] == ["Warning"]
    lab.emulator.weather.clear()
    await lab.settle(service)
    assert "CredentialExpiring" not in await lab.conditions(service)
    assert (await lab.conditions(service))["Ready"] == ("True", "Succeeded")


async def test_a_suspended_registration_warns_and_then_says_that_its_credential_has_ended(
    lab, service
):
    await lab.patch("fhirapp", service, {"spec": {"suspend": True}})
    lab.pass_time(timedelta(hours=4320) * 9 / 10)
    await lab.reconcile(service)
    conditions = await lab.conditions(service)
    assert conditions["CredentialExpiring"] == ("True", "Suspended")
    assert conditions["Ready"] == ("True", "Succeeded")
    lab.pass_time(timedelta(hours=4320) / 10)
    await lab.reconcile(service)
    assert (await lab.conditions(service))["Ready"] == ("False", "CredentialExpired")
    assert lab.writes() == []


# --- credentials of others ------------------------------------------------------------------
async def test_credentials_of_others_are_reported_and_removed_only_on_demand(lab, aged):
    connection = await lab.connection()
    app = await connection.applications.by_object_id((await lab.status(aged))["objectId"])
    end = lab.world.clock() + timedelta(days=700)
    theirs = await connection.applications.add_password(app, "by hand", end, young=False)
    lab.pass_time(2 * DAY)
    await lab.settle(aged)
    assert "1 client secret" in await lab.message(aged, "Synced")
    assert theirs.credential.key_id in set(await lab.key_ids(aged))
    await lab.patch("fhirapp", aged, TIDY)
    await lab.settle(aged)
    assert set(await lab.key_ids(aged)) == {await lab.live_key_id(aged)}
    await lab.settle(aged)
    assert "1 client secret" not in await lab.message(aged, "Synced")


async def test_a_removal_of_a_strangers_credential_is_told(lab, aged):
    await lab.patch("fhirapp", aged, TIDY)
    await lab.settle(aged)
    connection = await lab.connection()
    app = await connection.applications.by_object_id((await lab.status(aged))["objectId"])
    end = lab.world.clock() + timedelta(days=700)
    theirs = await connection.applications.add_password(app, "by hand", end, young=False)
    await lab.settle(aged)
    assert theirs.credential.key_id in set(await lab.key_ids(aged))
    lab.pass_time(DAY + MINUTE)
    await lab.settle(aged)
    assert theirs.credential.key_id not in set(await lab.key_ids(aged))
    assert "CredentialsOfOthersRemoved" in await reasons(lab, aged)
