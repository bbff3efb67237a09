"""Answers that make no sense, and refusals by policy: nothing shrinks, nothing runs hot."""

import re
from datetime import timedelta

import pytest

from entra_emulator import Fault, Spoilt

pytestmark = pytest.mark.control_plane

GRAPH = "^/v1.0/"
LIFETIME = timedelta(hours=4320)
SENSELESS = [
    {"answer": Spoilt.HTML},
    {"answer": Spoilt.TRUNCATED},
    {"answer": Spoilt.EMPTY},
    {"answer": Spoilt.NO_CONTENT},
    {"answer": Spoilt.WRONG_TYPES},
    {"answer": Spoilt.NULLS, "members": frozenset({"passwordCredentials"})},
    {"answer": Spoilt.WITHOUT, "members": frozenset({"passwordCredentials"})},
    {"answer": Spoilt.WITHOUT, "members": frozenset({"tags"})},
    {"status": 404, "code": "UnknownError"},
]


def fault(lab, path=GRAPH, times=999, **members):
    lab.emulator.weather.add(Fault(re.compile(path), times=times, **members))


def restrict(lab, **restriction):
    policy = {"state": "enabled", **restriction}
    lab.emulator.directory.policies.set({"passwordCredentials": [policy]})


async def version(lab, name):
    return (await lab.read("secret", name))["metadata"]["resourceVersion"]


@pytest.mark.parametrize("weather", SENSELESS, ids=str)
async def test_a_ready_registration_loses_nothing_to_senseless_answers(lab, service, weather):
    before = await version(lab, service)
    lab.pass_time(timedelta(hours=1))
    fault(lab, **weather)
    await lab.reconcile(service)
    conditions = await lab.conditions(service)
    assert conditions["Ready"] == ("True", "Succeeded")
    assert conditions["Synced"] == ("False", "GraphUnavailable")
    assert not (await lab.reconcile(service)).changed
    lab.emulator.weather.clear()
    assert lab.writes() == []
    await lab.settle(service)
    assert lab.writes() == []
    assert await version(lab, service) == before


@pytest.mark.parametrize("weather", SENSELESS, ids=str)
async def test_a_deletion_is_never_concluded_from_senseless_answers(lab, service, weather):
    object_id = (await lab.status(service))["objectId"]
    await lab.delete("fhirapp", service)
    fault(lab, **weather)
    for _ in range(3):
        assert (await lab.reconcile(service)).result == "waiting"
        lab.pass_time(timedelta(hours=1))
    lab.emulator.weather.clear()
    assert lab.writes() == []
    assert not lab.emulator.directory.store.locate(object_id).is_deleted
    assert (await lab.settle(service)).result == "gone"
    assert lab.emulator.directory.store.locate(object_id).is_deleted


async def test_an_empty_list_of_credentials_is_no_loss_while_sign_in_takes_the_secret(lab, service):
    before = await version(lab, service)
    lab.pass_time(timedelta(hours=1))
    fault(lab, answer=Spoilt.EMPTIED, members=frozenset({"passwordCredentials"}))
    outcome = await lab.reconcile(service)
    assert outcome.result == "success"
    assert outcome.due <= timedelta(minutes=15), "it must be looked at again soon"
    assert lab.added() == []
    assert await version(lab, service) == before
    lab.emulator.weather.clear()
    await lab.settle(service)
    assert lab.writes() == []


async def test_a_credential_that_was_really_removed_is_replaced(lab, service):
    lab.pass_time(timedelta(hours=1))
    status = await lab.status(service)
    connection = await lab.connection()
    key_id = status["credentials"][0]["keyId"]
    await connection.applications.remove_password(status["objectId"], key_id)
    lab.forget_calls()
    await lab.settle(service)
    assert len(lab.added()) == 1
    assert await lab.accepts(service)


@pytest.mark.parametrize("how", [Spoilt.HTML, Spoilt.EMPTY, Spoilt.WITHOUT], ids=str)
async def test_credentials_whose_answers_are_lost_do_not_pile_up(lab, how):
    await lab.ready("Resource")
    name = await lab.register("Service")
    fault(lab, "addPassword", answer=how)
    for _ in range(30):
        assert (await lab.reconcile(name)).result == "waiting"
        lab.pass_time(timedelta(minutes=2))
    assert 1 <= len(lab.added()) <= 9
    lab.emulator.weather.clear()
    lab.pass_time(timedelta(hours=25))
    await lab.settle(name)
    assert await lab.accepts(name)
    lab.pass_time(timedelta(hours=25))
    await lab.settle(name)
    assert len((await lab.application(name))["passwordCredentials"]) == 1


@pytest.mark.parametrize(
    "weather", [{"answer": Spoilt.HTML}, {"status": 503}, {"drop": True}], ids=str
)
async def test_a_fresh_secret_survives_a_sign_in_service_that_fails_for_a_moment(lab, weather):
    await lab.ready("Resource")
    name = await lab.register("Service")
    await lab.connection()
    fault(lab, "/oauth2/v2.0/token$", times=3, **weather)
    await lab.settle(name)
    assert len(lab.added()) == 1
    assert await lab.accepts(name)


@pytest.mark.parametrize("status", [409, 503])
async def test_writes_that_collide_are_spaced_out(lab, service, status):
    contention = lab.emulator.directory.contention
    contention.spacing, contention.status = timedelta(seconds=3), status
    lab.pass_time(LIFETIME * 2 / 3 + timedelta(minutes=1))
    await lab.settle(service)
    lab.pass_time(timedelta(hours=25))
    await lab.settle(service)
    await lab.delete("fhirapp", service)
    assert (await lab.settle(service)).result == "gone"


async def test_a_policy_against_the_lifetime_is_told_with_the_field_and_obeyed_at_once(lab):
    await lab.ready("Resource")
    restrict(lab, restrictionType="passwordLifetime", maxLifetime="P90D")
    name = await lab.register("Service")
    outcome = await lab.reconcile(name)
    assert (outcome.result, outcome.due, outcome.retry_after) == ("stalled", None, None)
    assert (await lab.conditions(name))["Stalled"] == ("True", "PolicyBlocked")
    message = await lab.message(name)
    assert "`credential.clientSecret.duration`" in message
    assert "policy 00000000-0000-0000-0000-00000000d0a1" in message
    assert len(lab.added()) == 1
    assert await lab.secret(name) is None
    assert not (await lab.reconcile(name)).changed or len(lab.added()) == 2
    spec = {"spec": {"credential": {"clientSecret": {"duration": "2160h"}}}}
    await lab.patch("fhirapp", name, spec)
    await lab.settle(name)
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")
    assert await lab.accepts(name)
    assert len((await lab.application(name))["passwordCredentials"]) == 1


async def test_a_policy_that_blocks_a_renewal_leaves_the_old_secret_alone(lab, service):
    before = await version(lab, service)
    restrict(lab, restrictionType="passwordAddition")
    lab.pass_time(LIFETIME * 2 / 3 + timedelta(minutes=1))
    for _ in range(3):
        outcome = await lab.reconcile(service)
        assert (outcome.result, outcome.retry_after) == ("stalled", None)
        lab.pass_time(timedelta(hours=1))
    assert len(lab.added()) == 3
    assert await version(lab, service) == before
    assert await lab.accepts(service)
    lab.emulator.directory.policies.set({})
    await lab.settle(service)
    assert await version(lab, service) != before
    assert await lab.accepts(service)


async def test_a_shorter_lifetime_is_renewed_by_what_was_granted(lab):
    await lab.ready("Resource")
    lab.emulator.directory.policies.granted_lifetime = timedelta(days=9)
    name = await lab.register("Service")
    await lab.settle(name)
    await lab.grant(name, "globalReader")
    lab.pass_time(timedelta(minutes=1))
    outcome = await lab.settle(name)
    assert timedelta(days=5) < outcome.due <= timedelta(days=6)
    lab.pass_time(timedelta(days=6))
    lab.forget_calls()
    await lab.settle(name)
    assert len(lab.added()) == 1
    assert await lab.accepts(name)
