"""A credential has leaked: what a person asks for along with something else, or in bad weather."""

import re
from datetime import timedelta

import pytest

from entra_emulator import Fault
from tests.controller.test_federated import federated
from tests.controller.test_requests import REVOKE, ask, stamp

pytestmark = pytest.mark.control_plane

ADD_PASSWORD = re.compile(r"/addPassword$")
APPLICATIONS = re.compile(r"^/v1.0/applications")
GRAPH = re.compile(r"^/v1.0/")
CERTIFICATE = {"clientSecret": None, "certificate": {"issue": {}}}
TYPES = {
    "certificate": CERTIFICATE,
    "federated": {"clientSecret": None, **federated("ingest")},
}


@pytest.fixture
async def leaked(lab, service):
    """A Service of a day whose client secret is known to somebody: (name, client id, value)."""
    lab.pass_time(timedelta(days=1))
    await lab.settle(service)
    data = await lab.secret(service)
    return service, data["AZURE_CLIENT_ID"], data["AZURE_CLIENT_SECRET"]


async def commit(lab, name, ago=timedelta(0), **spec):
    """One commit: a new spec, and the end of what it replaces; the time is the commit's."""
    asked = stamp(lab.world.clock() - ago)
    body = {"metadata": {"annotations": {REVOKE: asked}}, "spec": spec}
    await lab.patch("fhirapp", name, body)
    return asked


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(minutes=20)], ids=["now", "merged later"])
@pytest.mark.parametrize("wanted", TYPES.values(), ids=TYPES)
async def test_a_change_of_type_and_a_revocation_in_one_commit_end_the_old_one(
    lab, leaked, wanted, ago
):
    name, client, value = leaked
    asked = await commit(lab, name, ago, credential=wanted)
    await lab.settle(name)
    assert not lab.emulator.directory.accepts(client, value)
    assert (await lab.status(name))["lastHandledRevokePreviousAt"] == asked
    assert (await lab.application(name))["passwordCredentials"] == []


async def test_a_revocation_waits_for_a_change_of_type_that_fails_at_first(lab, leaked):
    name, client, value = leaked
    lab.emulator.weather.add(Fault(path=APPLICATIONS, method="PATCH", times=99, status=403,
                                   code="Authorization_RequestDenied"))  # fmt: skip
    asked = await commit(lab, name, credential=CERTIFICATE)
    for _ in range(2):
        await lab.reconcile(name)
        assert lab.emulator.directory.accepts(client, value)
        assert "lastHandledRevokePreviousAt" not in await lab.status(name)
    lab.emulator.weather.clear()
    await lab.settle(name)
    assert not lab.emulator.directory.accepts(client, value)
    assert (await lab.status(name))["lastHandledRevokePreviousAt"] == asked


async def test_a_revocation_in_an_outage_is_acted_on_after_it(lab, leaked):
    name, client, value = leaked
    await ask(lab, name, rotate=timedelta(0))
    await lab.settle(name)
    await ask(lab, name, rotate=None)
    await lab.settle(name)
    assert lab.emulator.directory.accepts(client, value)
    lab.pass_time(timedelta(minutes=1))
    lab.emulator.weather.add(Fault(path=GRAPH, times=99, status=503))
    asked = await commit(lab, name)
    started_anew = lab.restarted()
    assert (await started_anew.reconcile(name)).reason == "GraphUnavailable"
    await started_anew.world.connections.close()
    assert "lastHandledRevokePreviousAt" not in await lab.status(name)
    lab.emulator.weather.clear()
    await lab.settle(name)
    assert not lab.emulator.directory.accepts(client, value)
    assert (await lab.status(name))["lastHandledRevokePreviousAt"] == asked


async def test_a_revocation_that_fails_stays_asked_for(lab, leaked):
    name, client, value = leaked
    remove = Fault(path=re.compile(r"/removePassword$"), times=99, status=503)
    lab.emulator.weather.add(remove)
    await commit(lab, name, credential=TYPES["federated"])
    await lab.reconcile(name)
    assert "lastHandledRevokePreviousAt" not in await lab.status(name)
    lab.emulator.weather.clear()
    await lab.settle(name)
    assert not lab.emulator.directory.accepts(client, value)


async def test_a_secret_that_was_deleted_along_with_a_revocation_does_not_live_on(lab, leaked):
    name, client, value = leaked
    await lab.delete("secret", name)
    await commit(lab, name)
    await lab.settle(name)
    assert await lab.accepts(name)
    assert not lab.emulator.directory.accepts(client, value)
