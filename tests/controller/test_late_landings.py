"""The writes of a dead process that land after its successor's, where no list shows it.

The landing is played by changing the directory: what was sent is not what matters.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.controller.test_certificates import CERTIFICATE, keys, signs_in
from tests.controller.test_federated import federated, trusted, trusted_cluster, workload

__all__ = ["trusted_cluster", "workload"]
pytestmark = pytest.mark.control_plane
WINDOW = timedelta(minutes=15)


async def change(lab, name, **properties):
    """Make the directory hold these properties of the application."""
    store = lab.emulator.directory.store
    entity = store.locate((await lab.status(name))["objectId"])
    store.replace(entity, {**entity.document, **properties})


async def look_again(lab, name, outcome):
    """The passes that each asks for the next; with lists that are fresh, but never of credentials.

    Some only look for consent: none of them may let the look at the end of the window be forgotten.
    """
    end = lab.emulator.clock.now() + WINDOW + timedelta(seconds=10)
    while lab.emulator.clock.now() < end - timedelta(seconds=10):
        assert outcome.due is not None
        assert lab.emulator.clock.now() + outcome.due <= end
        lab.pass_time(outcome.due + timedelta(seconds=1))
        outcome = await lab.settle(name)
    return outcome


@pytest.fixture
async def successor(lab):
    """A process that has just taken over, and looks at each application once a day."""
    made = lab.restarted()
    yield made
    await made.world.connections.close()


async def test_a_trust_that_a_late_write_takes_away_comes_back(lab, successor, workload):
    await lab.patch("fhirapp", workload, {"spec": {"credential": federated("ingest", "backup")}})
    await lab.settle(workload)
    await lab.patch("fhirapp", workload, {"spec": {"credential": federated("ingest")}})
    # The leader dies with its DELETE on the way, and the ServiceAccount is wanted again.
    await lab.patch("fhirapp", workload, {"spec": {"credential": federated("ingest", "backup")}})
    outcome = await successor.settle(workload)
    kept = (await trusted(lab, workload))["ingest"]
    await change(lab, workload, federatedIdentityCredentials=[kept])
    await look_again(successor, workload, outcome)
    assert set(await trusted(lab, workload)) == {"ingest", "backup"}


async def test_a_trust_that_a_late_write_brings_back_goes(lab, workload):
    await lab.patch("fhirapp", workload, {"spec": {"credential": federated("ingest", "backup")}})
    await lab.settle(workload)
    both = (await lab.application(workload))["federatedIdentityCredentials"]
    await lab.patch("fhirapp", workload, {"spec": {"credential": federated("ingest")}})
    outcome = await lab.settle(workload)
    assert set(await trusted(lab, workload)) == {"ingest"}
    await change(lab, workload, federatedIdentityCredentials=both)
    await look_again(lab, workload, outcome)
    assert set(await trusted(lab, workload)) == {"ingest"}


async def test_a_certificate_that_a_late_write_brings_back_goes(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service", credential=CERTIFICATE)
    old = (await lab.application(name))["keyCredentials"]
    lab.pass_time(timedelta(hours=481))
    await lab.settle(name)
    lab.pass_time(timedelta(hours=25))
    outcome = await lab.settle(name)
    new = (await lab.application(name))["keyCredentials"]
    await change(lab, name, keyCredentials=[*old, *new])
    # At first it looks like a read that is behind: it was removed a moment ago.
    outcome = await look_again(lab, name, outcome)
    await look_again(lab, name, outcome)
    assert list(await keys(lab, name)) == [await lab.live_key_id(name)]


@pytest.mark.parametrize("minutes", [-4, 4])
async def test_a_certificate_works_at_once_by_a_clock_that_is_a_little_wrong(lab, minutes):
    await lab.ready("Resource")
    clock, wrong = lab.world.clock, timedelta(minutes=minutes)
    lab.world = replace(lab.world, clock=lambda: clock() + wrong)
    name = await lab.ready("Service", credential=CERTIFICATE)
    assert await signs_in(lab, await lab.secret(name))
