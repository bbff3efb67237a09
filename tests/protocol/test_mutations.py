"""The suite can fail: each piece of the protocol that is taken out is missed within a few plans."""

import pytest

from tests.protocol import plans
from tests.protocol.mutants import MUTANTS
from tests.protocol.playing import run
from tests.protocol.scenarios import SCENARIOS


@pytest.mark.parametrize("name", MUTANTS)
def test_a_protocol_without_it_is_caught(name):
    mutant = MUTANTS[name]
    # Played here and now: calls that other tests saved it would give the plans other numbers.
    clean = run(SCENARIOS[mutant.scenario])
    assert clean.violations == []
    for plan in plans.telling(clean):
        found = run(SCENARIOS[mutant.scenario], plan, mutant.parts)
        if mutant.rules & {violation.rule for violation in found.violations}:
            return
    pytest.fail(f"nothing noticed that the {name} is gone")
