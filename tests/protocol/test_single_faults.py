"""Every call of every story gets every fault once, and the world comes out right."""

import pytest

from tests.protocol import plans
from tests.protocol.calls import Fault
from tests.protocol.playing import run, unstruck
from tests.protocol.scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_goes_wrong_where_nothing_is_struck(name):
    found = unstruck(SCENARIOS[name])
    assert found.violations == [], found.story()
    assert found.calls >= 10


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("name", SCENARIOS)
def test_one_fault_at_any_call_does_no_harm(name, fault):
    scenario = SCENARIOS[name]
    clean, played = unstruck(scenario), 0
    calls = [entry.call for entry in clean.history[: clean.calls]]
    for plan in plans.singles(clean, fault):
        found = run(scenario, plan)
        assert found.violations == [], f"{name} {plan}\n{found.story()}"
        assert any(entry.fault for entry in found.history), plan
        played += 1
    # After a call without effect a crash is the one before it.
    assert played == sum(call.writes or fault is not Fault.CRASH_AFTER for call in calls)
