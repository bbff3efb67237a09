"""The password protocol and the Secret's repair, against the real API server and the emulator."""

import base64
import re
from datetime import timedelta

import pytest

from entra_emulator import Fault
from fhir_app_operator.errors import Waiting

pytestmark = pytest.mark.control_plane

ADD_PASSWORD = re.compile(r"/addPassword$")
TOKEN = re.compile(r"/oauth2/v2.0/token$")


async def test_a_deleted_secret_comes_back_with_a_new_credential_and_the_old_one_stays(
    lab, service
):
    old = await lab.live_key_id(service)
    await lab.delete("secret", service)
    await lab.settle(service)
    assert await lab.accepts(service)
    assert await lab.live_key_id(service) != old
    assert set(await lab.key_ids(service)) == {old, await lab.live_key_id(service)}
    states = {c["keyId"]: c["state"] for c in (await lab.status(service))["credentials"]}
    assert states[old] == "Retiring"


async def test_an_edited_credential_is_replaced(lab, service):
    value = base64.b64encode(b"edited").decode()
    await lab.patch("secret", service, {"data": {"AZURE_CLIENT_SECRET": value}})
    await lab.settle(service)
    assert await lab.accepts(service)
    assert len(lab.added()) == 1


async def test_another_edited_key_is_repaired_without_a_new_credential(lab, service):
    before = await lab.secret(service)
    value = base64.b64encode(b"edited").decode()
    await lab.patch("secret", service, {"data": {"FHIR_SCOPE": value, "EXTRA": value}})
    await lab.settle(service)
    assert await lab.secret(service) == before
    assert lab.writes() == []


async def test_labels_and_owner_taken_off_come_back_and_those_of_others_stay(lab, service):
    metadata = {
        "ownerReferences": None,
        "labels": {"theirs": "x", "app.kubernetes.io/managed-by": None},
        "annotations": {"theirs": "y"},
    }
    await lab.patch("secret", service, {"metadata": metadata})
    await lab.settle(service)
    after = (await lab.read("secret", service))["metadata"]
    assert after["labels"]["app.kubernetes.io/managed-by"] == "fhir-app-operator"
    assert after["labels"]["theirs"] == after["annotations"]["theirs"].replace("y", "x")
    assert len(after["ownerReferences"]) == 1
    assert lab.writes() == []


async def test_a_foreign_secret_is_untouched_and_nothing_reaches_graph(lab):
    await lab.ready("Resource")
    await lab.create("secret", {"metadata": {"name": "service"}, "stringData": {"theirs": "x"}})
    before = await lab.read("secret", "service")
    name = await lab.register("Service")
    lab.forget_calls()
    assert (await lab.reconcile(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "SecretConflict")
    assert (await lab.conditions(name))["Ready"] == ("False", "SecretConflict")
    assert lab.calls() == []
    assert await lab.read("secret", "service") == before
    assert "finalizers" not in (await lab.read("fhirapp", name))["metadata"]


async def test_two_registrations_with_one_secret_do_not_share_it(lab, service):
    before = await lab.read("secret", service)
    other = await lab.register("Service", "other", secret={"name": service})
    await lab.reconcile(other)
    assert (await lab.conditions(other))["Stalled"] == ("True", "SecretConflict")
    assert await lab.read("secret", service) == before


async def test_an_immutable_secret_is_named_as_the_problem(lab, service):
    await lab.patch("secret", service, {"immutable": True})
    await lab.patch("fhirapp", service, {"spec": {"credential": {"clientSecret": {}}}})
    server = await lab.read("fhirapp", "fhir-server")
    url = server["spec"]["resource"]["url"] + "/r4"
    await lab.patch("fhirapp", "fhir-server", {"spec": {"resource": {"url": url}}})
    await lab.settle("fhir-server")
    assert (await lab.settle(service)).result == "stalled"
    assert "immutable" in await lab.message(service)


async def test_a_renewal_overlaps_and_then_retires_the_old_credential(lab, service):
    old, before = await lab.live_key_id(service), await lab.secret(service)
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + timedelta(minutes=1))
    assert (await lab.settle(service)).rotation == "success"
    new = await lab.live_key_id(service)
    after = await lab.secret(service)
    assert new != old
    assert {k: v for k, v in after.items() if k != "AZURE_CLIENT_SECRET"} == {
        k: v for k, v in before.items() if k != "AZURE_CLIENT_SECRET"
    }
    directory = lab.emulator.directory
    for data in (before, after):
        assert directory.accepts(data["AZURE_CLIENT_ID"], data["AZURE_CLIENT_SECRET"])
    lab.pass_time(timedelta(hours=23))
    await lab.settle(service)
    assert set(await lab.key_ids(service)) == {old, new}
    lab.pass_time(timedelta(hours=2))
    await lab.settle(service)
    assert await lab.key_ids(service) == [new]


async def test_credentials_of_others_survive_everything(lab, service):
    object_id = (await lab.status(service))["objectId"]
    connection = await lab.connection()
    app = await connection.applications.by_object_id(object_id)
    end = lab.world.clock() + timedelta(days=700)
    theirs = await connection.applications.add_password(app, "by hand", end, young=False)
    lab.pass_time(timedelta(days=125))
    await lab.settle(service)
    lab.pass_time(timedelta(days=2))
    await lab.settle(service)
    assert theirs.credential.key_id in await lab.key_ids(service)


async def test_a_lost_answer_of_addpassword_leaves_nothing_behind_for_good(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=ADD_PASSWORD, when="after", drop=True))
    outcome = await lab.reconcile(name)
    assert outcome.result == "waiting"
    leaked = await lab.key_ids(name)
    assert len(leaked) == 1
    assert "pendingCredential" in await lab.status(name)
    await lab.settle(name)
    assert await lab.accepts(name)
    assert len(lab.added()) == 2
    lab.pass_time(timedelta(hours=25))
    await lab.settle(name)
    assert await lab.key_ids(name) == [await lab.live_key_id(name)]


async def test_the_intent_is_durable_before_the_directory_is_asked(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=ADD_PASSWORD, when="before", drop=True))
    await lab.reconcile(name)
    pending = (await lab.status(name))["pendingCredential"]
    await lab.settle(name)
    app = await lab.application(name)
    nonces = {p["displayName"].rpartition(":")[2] for p in app["passwordCredentials"]}
    assert pending["nonce"] not in nonces
    assert "pendingCredential" not in await lab.status(name)


async def test_nobody_gets_a_secret_that_does_not_work_yet(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=TOKEN, times=3, status=401, code="7000215"))
    lab.emulator.directory.store.lag = timedelta(0)
    await lab.settle(name)
    assert await lab.accepts(name)
    refusals = [r for r in lab.emulator.requests if TOKEN.search(r.path) and r.status == 401]
    assert len(refusals) == 3
    assert len(lab.added()) == 1


async def test_a_refusal_for_another_reason_means_that_the_secret_was_taken(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=TOKEN, times=1, status=400, code="53003"))
    await lab.settle(name)
    assert await lab.accepts(name)
    assert len(lab.added()) == 1


async def test_a_secret_that_never_works_is_given_up(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(Fault(path=TOKEN, times=60, status=401, code="7000215"))
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "NotYetReplicated")
    assert await lab.secret(name) is None
    lab.emulator.weather.clear()
    await lab.settle(name)
    assert await lab.accepts(name)


async def test_a_tenant_policy_against_secrets_is_a_persons_matter(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    code = "CredentialTypeNotAllowedAsPerAppPolicy"
    lab.emulator.weather.add(Fault(path=ADD_PASSWORD, times=9, status=400, code=code))
    assert (await lab.reconcile(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "PolicyBlocked")
    assert len([r for r in lab.emulator.requests if ADD_PASSWORD.search(r.path)]) == 1


async def test_a_secret_deleted_while_its_credential_is_renewed_loses_nothing(lab, service):
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + timedelta(minutes=1))
    secrets = lab.world.secrets

    class Racing:
        """Deletes the Secret just before the write that publishes the renewal."""

        def __init__(self):
            self.raced = False

        def __getattr__(self, name):
            return getattr(secrets, name)

        async def write(self, live, content):
            if not self.raced:
                self.raced = True
                await lab.delete("secret", service)
            return await secrets.write(live, content)

    object.__setattr__(lab.world, "secrets", Racing())
    assert (await lab.reconcile(service)).result == "waiting"
    await lab.settle(service)
    assert await lab.accepts(service)


async def test_a_lost_answer_of_the_secret_write_keeps_the_value(lab):
    await lab.ready("Resource")
    name = await lab.register("Service")
    secrets = lab.world.secrets

    class Deaf:
        """Loses the answer of the first write."""

        def __init__(self):
            self.lost = False

        def __getattr__(self, attribute):
            return getattr(secrets, attribute)

        async def write(self, live, content):
            written = await secrets.write(live, content)
            if not self.lost:
                self.lost = True
                raise Waiting("ApiServerUnavailable", "the answer was lost")
            return written

    object.__setattr__(lab.world, "secrets", Deaf())
    await lab.settle(name)
    assert await lab.accepts(name)
    assert len(lab.added()) == 1
