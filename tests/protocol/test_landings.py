"""The write of a dead process lands before any later call, or long after, and does no harm."""

import pytest

from tests.protocol import plans
from tests.protocol.playing import run, unstruck
from tests.protocol.scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_write_may_land_at_any_later_moment(name):
    scenario = SCENARIOS[name]
    clean, landed, known = unstruck(scenario), 0, {}

    def play(plan):
        known[repr(plan)] = run(scenario, plan)
        return known[repr(plan)]

    writes = sum(entry.call.writes for entry in clean.history[: clean.calls])
    for plan in plans.landings(clean, play):
        found = known.pop(repr(plan), None) or run(scenario, plan)
        if not is_a_late_list(found):
            assert found.violations == [], f"{name} {plan}\n{found.story()}"
        landed += any(entry.landed_at is not None for entry in found.history)
    assert landed >= 2 * writes  # each at both late moments, and before calls that could tell


def is_a_late_list(found):
    """Whether a late list of certificates took one away until the next look, and nothing else.

    Graph has no precondition on that list: the one known case (decision 6), and it heals.
    """
    late = [e for e in found.history if e.landed_at is not None]
    lists = all(e.call.side == "graph" and "keyCredentials" in (e.call.body or {}) for e in late)
    return {each.rule for each in found.violations} == {"S2"} and bool(late) and lists
