"""Two faults in one run: a sample; `make soak` plays all of them."""

import pytest

from tests.protocol import plans
from tests.protocol.playing import run, unstruck
from tests.protocol.scenarios import CREATE, RENEW

EVERY = 29
"""One fault of so many, first and second: a prime, so that calls and faults mix."""


@pytest.mark.parametrize("scenario", [*CREATE, RENEW], ids=lambda each: each.name)
def test_two_faults_do_no_harm(scenario):
    played = 0
    for plan in plans.pairs(unstruck(scenario), lambda plan: run(scenario, plan), EVERY):
        found = run(scenario, plan)
        assert found.violations == [], f"{scenario.name} {plan}\n{found.story()}"
        played += 1
    assert played > 10
