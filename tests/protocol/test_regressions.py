"""What the enumeration found once, by name: the calls that were struck, not their numbers."""

import pytest

from tests.protocol.calls import Fault, Zombie
from tests.protocol.playing import run
from tests.protocol.scenarios import SCENARIOS

EFFECTS = (Fault.CRASH_AFTER, Fault.LOST, Fault.ERROR_AFTER, Zombie(1), Zombie(12))


def struck(name, call, fault):
    """Play a story with `fault` at the first call that begins with `call`."""
    scenario = SCENARIOS[name]
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
