"""The operator's process killed with SIGKILL in the middle of its work, in bad weather.

`KILLS` says how often in each wave (`make kills`: 50); `SEED` gives other moments.
"""

import os
import sys
from datetime import UTC, datetime, timedelta

import pytest

from dev.sandbox.environment import Options, running_environment
from tests.kills.wave import LATENCY, Wave, namespace, server, service

pytestmark = pytest.mark.control_plane

KILLS = int(os.environ.get("KILLS", "4"))
SEED = int(os.environ.get("SEED", "1"))
# One process at a time: a dead one's Lease would only be waited for.
SETTINGS = {"LEADER_ELECTION": "false"}
DAYS = 4
"""Enough for the pauses after a failed renewal, the overlap and the sweep, each a day apart."""


@pytest.fixture
def wave():
    options = Options(faulty_api_server=True, resync_interval="30s", settings=SETTINGS)
    with running_environment(options) as environment:
        made = Wave(environment, SEED)
        made.apply(namespace(), server())
        made.wait(lambda: not made.not_ready(), "the server is Ready")
        made.directory("PUT", "/latency", json={"seconds": LATENCY})
        made.operator.stop()
        yield made
        made.http.close()


def nothing_is_doubled_or_lost(wave):
    wave.calm()
    wave.wait(lambda: not wave.not_ready(but="CredentialRateLimited"), "all that may be are Ready")
    wave.operator.stop()
    sys.stdout.write(f"{wave.kills} kills so far; held by no Secret: {len(wave.unpublished())}\n")
    wave.days_pass(DAYS)
    assert wave.not_ready() == []
    assert wave.unpublished() == []
    registrations = wave.registrations()
    assert len(wave.applications()) == len(registrations)
    assert len(wave.secrets()) == len(registrations) - 1
    wave.try_secrets()


def test_a_wave_of_new_registrations_survives_kills(wave):
    for number in range(KILLS):
        wave.apply(service(number))
        wave.life()
    nothing_is_doubled_or_lost(wave)


def test_a_wave_of_renewals_survives_kills(wave):
    wave.apply(*(service(number) for number in range(KILLS)))
    wave.calm()
    wave.wait(lambda: not wave.not_ready(), "all are Ready")
    wave.operator.stop()
    assert len(wave.secrets()) == KILLS
    before = {name: body["data"] for name, body in wave.secrets().items()}
    for name in before:
        # Moments count in whole seconds: in that of its publication, a credential is the answer.
        moment = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        wave.annotate(name, **{"fhirapps.dev/rotate-requested-at": moment})
        wave.life()
    nothing_is_doubled_or_lost(wave)
    after = {name: body["data"] for name, body in wave.secrets().items()}
    assert all(after[name] != data for name, data in before.items())
