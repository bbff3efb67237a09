"""Hypothesis takes a registration through anything, in any order; the oracle watches every effect.

What it found is kept as journeys of their own, at the end.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.protocol.journeys import DELAYS, FAULTS, SIDES, Journey, journey

SEEDS = (*range(12), 15, 22, 43, 47, 230, 279, 1435, 2260, 3381, 4438)
"""A few, and those that once told of something."""


class AnyLife(RuleBasedStateMachine):
    """The steps of `Journey`, as rules."""

    travel = None

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed):
        self.travel = Journey(seed)

    @rule(seconds=st.sampled_from(DELAYS))
    def time_passes(self, seconds):
        self.travel.wait(seconds)

    @rule(calls=st.integers(0, 40), fault=st.sampled_from(FAULTS))
    def a_call_is_struck(self, calls, fault):
        self.travel.fault(calls, fault)

    @rule(side=st.sampled_from(SIDES), seconds=st.sampled_from(DELAYS))
    def a_service_is_out(self, side, seconds):
        self.travel.outage(side, seconds)

    @rule(seconds=st.sampled_from(DELAYS))
    def two_operators_work(self, seconds):
        self.travel.second_operator(seconds)

    @rule(number=st.integers(0, 11))
    def the_spec_changes(self, number):
        self.travel.edit_spec(number)

    @rule(hours=st.sampled_from((240, 480)))
    def lifetimes_change(self, hours):
        self.travel.edit_lifetime(hours)

    @precondition(lambda self: self.travel.is_there)
    @rule(
        step=st.sampled_from((
            "kill", "rotate", "delete_secret", "empty_secret", "add_key", "wipe_notes",
            "wipe_status", "remove_finalizer", "remove_credentials", "rename_application",
            "delete_application", "delete_principal", "delete_registration",
        ))
    )  # fmt: skip
    def somebody_interferes(self, step):
        getattr(self.travel, step)()

    @precondition(lambda self: not self.travel.is_there)
    @rule()
    def it_is_created_again(self):
        self.travel.register()

    @invariant()
    def no_rule_is_broken(self):
        if self.travel is not None:
            assert self.travel.violations == [], self.travel.result().story()

    def teardown(self):
        if self.travel is None:
            return
        try:
            if not self.travel.violations:
                self.travel.heal()
            assert self.travel.violations == [], self.travel.result().story()
        finally:
            self.travel.close()


AnyLife.TestCase.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, derandomize=True,
    suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate),
)  # fmt: skip
TestAnyLife = AnyLife.TestCase


@pytest.mark.parametrize("seed", SEEDS)
def test_the_journey_of_a_seed_ends_well(seed):
    found = journey(seed)
    assert found.violations == [], found.story()


def test_a_seed_leads_through_the_same_journey_again():
    once, again = journey(3), journey(3)
    assert once.steps == again.steps
    assert [str(e.call.side) for e in once.history] == [str(e.call.side) for e in again.history]
    assert [e.at for e in once.history] == [e.at for e in again.history]
