"""The write of a dead process lands before any later call, or long after, and does no harm."""

import pytest

from tests.protocol import plans
from tests.protocol.playing import run
from tests.protocol.scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_write_may_land_at_any_later_moment(name):
    scenario = SCENARIOS[name]
    landed = 0
    for plan in plans.landings(run(scenario), lambda plan: run(scenario, plan)):
        found = run(scenario, plan)
        assert found.violations == [], f"{name} {plan}\n{found.story()}"
        landed += any(entry.landed_at is not None for entry in found.history)
    assert landed > 10
