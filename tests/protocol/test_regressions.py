"""What the enumeration found once, by name: the calls that were struck, not their numbers."""

import functools
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.protocol.calls import Fault, Zombie
from tests.protocol.playing import DAY, HOUR, prepared, run
from tests.protocol.scenarios import SCENARIOS, Scenario, is_replaced
from tests.protocol.starts import SPECS, shortly_before_renewal, with_server

EFFECTS = (Fault.CRASH_AFTER, Fault.LOST, Fault.ERROR_AFTER, Zombie(1), Zombie(12))


def struck(name, call, fault):
    """Play a story with `fault` at the first call that begins with `call`."""
    scenario = replace(SCENARIOS[name], lag=timedelta(seconds=10))
    number = next(e.number for e in run(scenario).history if str(e.call).startswith(call))
    return run(scenario, {number: fault})


@pytest.mark.parametrize("fault", EFFECTS, ids=repr)
@pytest.mark.parametrize("name", ["create service", "create resource"])
def test_an_application_that_nobody_sees_yet_is_not_taken_for_one_in_the_bin(name, fault):
    """The repeated upsert is refused: its key, or its identifier URI, belongs to itself."""
    found = struck(name, "graph PATCH /applications(uniqueName", fault)
    assert found.violations == [], found.story()


@pytest.mark.parametrize("fault", EFFECTS, ids=repr)
def test_a_service_principal_that_nobody_sees_yet_is_waited_for(fault):
    found = struck("create service", "graph PATCH /servicePrincipals", fault)
    assert found.violations == [], found.story()


@pytest.mark.parametrize("after", [5, 21, 33, 45])
def test_a_secret_that_is_written_late_leaves_its_predecessor_the_overlap_it_tells(after):
    found = struck("renew", "kube PATCH /api/v1/namespaces/clinic/secrets/service", Zombie(after))
    assert found.violations == [], found.story()


def short_life():
    """A client whose secret lives for two overlaps and is renewed in three minutes."""
    credential = {"clientSecret": {"duration": "48h", "overlap": "24h"}}
    spec = SPECS["service"] | {"credential": credential}

    @functools.cache
    def start():
        return prepared(
            with_server, lambda world: world.register("service", **spec),
            lambda world: world.is_ready("service"), rest=HOUR,
        )  # fmt: skip

    @functools.cache
    def before():
        return shortly_before_renewal(start)

    return Scenario(name="renew a short life", start=before, goal=is_replaced(before), crowded=DAY)


@pytest.mark.parametrize(
    ("scenario", "rules"), [(SCENARIOS["renew"], "SL"), (short_life(), ("S2",))],
    ids=lambda each: getattr(each, "name", ""),
)  # fmt: skip
def test_two_renewals_that_die_do_not_let_the_live_secret_expire(scenario, rules):
    """Three of ours exist then, and none may be retired for an overlap: longer than it lives.

    Of a short life the other rules cannot be told: it goes on being renewed.
    """
    plan = {}
    for _ in range(2):
        later = run(scenario, plan).history[max(plan, default=-1) + 1 :]
        writes = [e for e in later if e.call.writes]
        issued = next(n for n, e in enumerate(writes) if str(e.call).endswith("/addPassword"))
        plan[writes[issued + 1].number] = Fault.CRASH_BEFORE  # its publication
    found = run(scenario, plan)
    assert not [v for v in found.violations if v.rule.startswith(tuple(rules))], found.story()
