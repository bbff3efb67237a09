"""While the clocks differ, nothing is issued and nothing retired; what needs no clock goes on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning.model import WriteSecret
from fhir_app_operator.planning.plan import credential_plan, plan
from tests.planning.worlds import FEDERATED, NOW, POLICY, Directories, desired

MINUTE = timedelta(minutes=1)


def settled(kind="Service"):
    world = Directories(desired(kind))
    while actions := plan(world.wanted, world.observed, NOW, POLICY):
        for action in actions:
            world.apply(action)
    return world


@pytest.mark.parametrize(("minutes", "which"), [(-6, "behind"), (6, "ahead of")])
def test_a_wrong_clock_is_named_and_freezes_credentials(minutes, which):
    world = settled()
    observed = replace(world.observed, clock_skew=minutes * MINUTE)
    for decide in (plan, credential_plan):
        with pytest.raises(Waiting, match=f"ClockSkew.*{which}"):
            decide(world.wanted, observed, NOW, POLICY)
        with pytest.raises(Waiting, match="ClockSkew"):
            decide(world.wanted, replace(observed, secret=None), NOW, POLICY)


def test_five_minutes_are_no_skew():
    world = settled()
    observed = replace(world.observed, clock_skew=-5 * MINUTE)
    assert plan(world.wanted, observed, NOW, POLICY) == ()


def test_other_keys_of_the_secret_are_repaired_all_the_same():
    world = settled()
    edited = replace(world.observed.secret, data={"FHIR_SCOPE": "edited"})
    observed = replace(world.observed, secret=edited, clock_skew=6 * MINUTE)
    assert plan(world.wanted, observed, NOW, POLICY) == (WriteSecret(reason="SecretDiffers"),)


def test_a_type_without_credentials_does_not_care():
    world = settled("Public")
    observed = replace(world.observed, clock_skew=60 * MINUTE)
    assert plan(world.wanted, observed, NOW, POLICY) == ()


def test_a_wrong_clock_takes_no_credential_out_of_the_secret_before_anybody_is_trusted():
    world = settled()
    switched = desired("Service", credential=FEDERATED)
    observed = replace(world.observed, clock_skew=6 * MINUTE)
    with pytest.raises(Waiting, match="ClockSkew"):
        plan(switched, observed, NOW, POLICY)
