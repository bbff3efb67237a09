"""What is lost comes back: as it was where that is possible, and never twice."""

import re
from datetime import timedelta

import pytest

from entra_emulator import Fault
from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.client import Call

pytestmark = pytest.mark.control_plane

ADD_PASSWORD = re.compile(r"/addPassword$")
REMOVE_PASSWORD = re.compile(r"/removePassword$")
TOKEN = re.compile(r"/oauth2/v2.0/token$")
REVOKE = "fhirapps.dev/revoke-previous-requested-at"
MINUTE = timedelta(minutes=1)


def created(lab):
    """Upserts of applications and service principals that made something."""
    return [call.path for call in lab.calls("PATCH") if call.status == 201]


async def graph(lab, method, path):
    client = (await lab.connection()).applications._graph
    await client.send(Call(method=method, path=path))


async def renewal_is_due(lab):
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + MINUTE)


# --- the application and its service principal ----------------------------------------------
async def test_a_restored_application_brings_its_credential_along(lab, service):
    before = await lab.read("secret", service)
    await (await lab.connection()).applications.delete((await lab.status(service))["objectId"])
    lab.forget_calls()
    await lab.settle(service)
    assert await lab.read("secret", service) == before
    assert await lab.accepts(service)
    assert lab.added() == created(lab) == []


async def test_a_restored_application_without_our_credential_gets_another(lab, service):
    old = await lab.live_key_id(service)
    lab.pass_time(timedelta(hours=1))
    connection, object_id = await lab.connection(), (await lab.status(service))["objectId"]
    await connection.applications.remove_password(object_id, old)
    await connection.applications.delete(object_id)
    lab.forget_calls()
    await lab.settle(service)
    assert await lab.live_key_id(service) != old
    assert await lab.accepts(service)
    assert created(lab) == []
    assert len(lab.added()) == 1


async def test_a_service_principal_deleted_by_hand_is_restored_and_nothing_else(lab, service):
    status = await lab.status(service)
    await graph(lab, "DELETE", f"/servicePrincipals/{status['servicePrincipalId']}")
    lab.forget_calls()
    await lab.settle(service)
    assert (await lab.status(service))["servicePrincipalId"] == status["servicePrincipalId"]
    assert await lab.accepts(service)
    assert lab.added() == created(lab) == []


async def test_a_service_principal_that_is_gone_for_good_is_made_anew(lab, service):
    lab.pass_time(timedelta(hours=1))
    status, before = await lab.status(service), await lab.read("secret", service)
    await graph(lab, "DELETE", f"/servicePrincipals/{status['servicePrincipalId']}")
    await graph(lab, "DELETE", f"/directory/deletedItems/{status['servicePrincipalId']}")
    lab.forget_calls()
    await lab.settle(service)
    after = await lab.status(service)
    assert after["servicePrincipalId"] != status["servicePrincipalId"]
    assert after["appId"] == status["appId"]
    assert await lab.read("secret", service) == before
    assert await lab.accepts(service)
    assert len(created(lab)) == 1
    assert lab.added() == []


# --- the Secret, again and again ------------------------------------------------------------
async def test_a_secret_that_is_deleted_again_and_again_comes_back_more_slowly(lab, service):
    lab.pass_time(timedelta(days=1))
    await lab.delete("secret", service)
    await lab.settle(service)
    await lab.delete("secret", service)
    outcome = await lab.reconcile(service)
    assert (outcome.result, outcome.reason) == ("waiting", "CredentialRateLimited")
    assert outcome.retry_after <= 300
    lab.pass_time(5 * MINUTE)
    await lab.settle(service)
    assert await lab.accepts(service)
    assert len(lab.added()) == 2


async def test_a_secret_that_is_deleted_every_few_minutes_is_back_within_an_hour(lab, service):
    lab.pass_time(timedelta(days=1))
    before = await lab.live_key_id(service)
    for _ in range(3):
        await lab.delete("secret", service)
        lost_at = lab.world.clock()
        while (outcome := await lab.reconcile(service)).result == "waiting":
            assert outcome.reason == "CredentialRateLimited"
            lab.pass_time(timedelta(seconds=outcome.retry_after))
        assert lab.world.clock() - lost_at <= timedelta(hours=1, minutes=1)
        lab.pass_time(5 * MINUTE)
    assert await lab.accepts(service)
    kept = set(await lab.key_ids(service))
    assert before in kept
    assert len(kept) == 3


async def test_a_fourth_credential_waits_until_a_person_ends_the_older_ones(lab, service):
    lab.pass_time(timedelta(days=1))
    for _ in range(2):
        await lab.delete("secret", service)
        await lab.settle(service)
        lab.pass_time(timedelta(hours=3))
    assert len(set(await lab.key_ids(service))) == 3
    await lab.delete("secret", service)
    outcome = await lab.reconcile(service)
    assert outcome.reason == "CredentialRateLimited"
    assert outcome.retry_after > 3600
    assert REVOKE in await lab.message(service)
    asked = lab.world.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    await lab.patch("fhirapp", service, {"metadata": {"annotations": {REVOKE: asked}}})
    await lab.settle(service)
    assert await lab.accepts(service)
    assert (await lab.status(service))["lastHandledRevokePreviousAt"] == asked


# --- what nobody can have -------------------------------------------------------------------
async def test_a_credential_that_never_worked_is_removed_at_once(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=TOKEN, times=60, status=401, code="7000215"))
    assert (await lab.reconcile(name)).reason == "NotYetReplicated"
    assert set(await lab.key_ids(name)) == set()


async def test_if_it_cannot_be_removed_it_is_swept(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=TOKEN, times=60, status=401, code="7000215"))
    lab.emulator.weather.add(Fault(path=REMOVE_PASSWORD, times=3, status=503))
    assert (await lab.reconcile(name)).reason == "NotYetReplicated"
    (left,) = set(await lab.key_ids(name))
    lab.emulator.weather.clear()
    await lab.settle(name)
    lab.pass_time(timedelta(hours=25))
    await lab.settle(name)
    assert left not in set(await lab.key_ids(name))
    assert await lab.accepts(name)


async def test_answers_that_are_lost_again_and_again_leave_three_at_most(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=ADD_PASSWORD, times=9, when="after", drop=True))
    most = 0
    for _ in range(40):
        await lab.reconcile(name)
        most = max(most, len(set(await lab.key_ids(name))))
        lab.pass_time(5 * MINUTE)
    assert most == 3
    lab.emulator.weather.clear()
    lab.pass_time(15 * MINUTE)
    await lab.settle(name)
    assert await lab.accepts(name)


async def test_a_renewal_goes_on_when_the_secret_changed_under_it(lab, service):
    await renewal_is_due(lab)
    secrets = lab.world.secrets

    class Racing:
        """Edits the Secret just before the write that publishes the renewal."""

        raced = False

        def __getattr__(self, name):
            return getattr(secrets, name)

        async def write(self, live, content):
            if not self.raced:
                self.raced = True
                await lab.patch("secret", service, {"metadata": {"labels": {"theirs": "x"}}})
            return await secrets.write(live, content)

    object.__setattr__(lab.world, "secrets", Racing())
    assert (await lab.reconcile(service)).result == "waiting"
    assert set(await lab.key_ids(service)) == {await lab.live_key_id(service)}
    await lab.settle(service)
    assert await lab.accepts(service)
    assert len(lab.added()) == 2


async def test_a_credential_that_may_be_in_the_secret_is_not_removed(lab, service):
    await renewal_is_due(lab)
    secrets = lab.world.secrets

    class Deaf:
        """Takes what is written to the API server and never hears an answer."""

        def __getattr__(self, name):
            return getattr(secrets, name)

        async def write(self, live, content):
            await secrets.write(live, content)
            raise Waiting("ApiServerUnavailable", "the answer was lost")

        async def read(self, registration, name):
            if lab.added():
                raise Waiting("ApiServerUnavailable", "the answer was lost")
            return await secrets.read(registration, name)

    object.__setattr__(lab.world, "secrets", Deaf())
    assert (await lab.reconcile(service)).reason == "ApiServerUnavailable"
    assert await lab.accepts(service)
    assert len(set(await lab.key_ids(service))) == 2
    object.__setattr__(lab.world, "secrets", secrets)
    await lab.settle(service)
    assert len(lab.added()) == 1
