"""The ConfigMap beside the Secret: made, brought in order, replaced, refused."""

from dataclasses import replace

import pytest

from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.planning import config_map, secret_data
from fhir_app_operator.planning.forecast import forecast
from fhir_app_operator.planning.model import (
    ConfigMapState,
    DeleteConfigMap,
    Observed,
    Policy,
    WriteConfigMap,
)
from fhir_app_operator.planning.plan import plan
from tests.planning.test_properties import settle
from tests.planning.worlds import NOW, Directories, desired

FACTS = {"configMap": {"name": "facts"}}


def settled(wanted, **observed):
    """A world that is as `wanted` but for what is said of ConfigMaps."""
    seen = settle(Directories(replace(wanted, config_map=None))).observed
    return replace(seen, **observed)


def world(want=None, **observed):
    """A client in use whose manifest has `secret: want`, and what was observed of ConfigMaps."""
    wanted = desired("Service", secret=want or {})
    return wanted, settled(wanted, **observed)


def state(wanted, seen, **fields):
    data = secret_data.data(wanted, seen)
    return ConfigMapState(**{"ours": True, "data": data} | fields)


def actions(wanted, seen):
    return plan(wanted, seen, NOW, Policy())


def test_nothing_is_done_about_config_maps_where_none_is_asked_for():
    assert actions(*world()) == ()


def test_one_that_is_asked_for_is_made():
    assert actions(*world(FACTS)) == (WriteConfigMap(name="facts", reason="ConfigMapMissing"),)


def test_one_that_is_as_it_should_be_is_left_alone():
    wanted, seen = world(FACTS)
    seen = settled(wanted, config_map=state(wanted, seen), recorded_config_map="facts")
    assert actions(wanted, seen) == ()


@pytest.mark.parametrize(
    "fields",
    [{"data": {}}, {"data": {"more": "1"}}, {"current": False}, {"owner_reference": False}],
)
def test_one_that_differs_is_brought_in_order(fields):
    wanted, seen = world(FACTS)
    seen = settled(wanted, config_map=state(wanted, seen, **fields), recorded_config_map="facts")
    assert actions(wanted, seen) == (WriteConfigMap(name="facts", reason="ConfigMapDiffers"),)


def test_it_has_the_names_of_the_secret_and_no_credential():
    keys = [{"from": "FHIR_SCOPE", "to": "SCOPE"}, {"from": "AZURE_CLIENT_SECRET", "to": "PASS"}]
    wanted, seen = world(FACTS | {"keys": keys})
    data = secret_data.data(wanted, seen)
    assert "SCOPE" in data
    assert not {"FHIR_SCOPE", "PASS", "AZURE_CLIENT_SECRET"} & data.keys()


def test_one_that_is_no_longer_asked_for_goes():
    assert actions(*world(recorded_config_map="facts")) == (DeleteConfigMap(name="facts"),)


def test_the_old_one_goes_before_the_new_one_comes():
    wanted, seen = world(FACTS, recorded_config_map="old")
    assert config_map.to_record(wanted, seen) is None
    assert forecast(wanted, seen, NOW, Policy()) == (
        DeleteConfigMap(name="old"),
        WriteConfigMap(name="facts", reason="ConfigMapMissing"),
    )


@pytest.mark.parametrize("recorded", [None, "facts"])
def test_status_names_it_before_it_is_made(recorded):
    assert config_map.to_record(*world(FACTS, recorded_config_map=recorded)) == "facts"


@pytest.mark.parametrize(("leftover", "error"), [(False, Stalled), (True, Waiting)])
def test_one_of_somebody_else_is_refused_before_anything_is_made(leftover, error):
    wanted, _ = world(FACTS)
    foreign = ConfigMapState(ours=False, leftover=leftover)
    with pytest.raises(error, match="ConfigMap 'facts'") as caught:
        plan(wanted, Observed(config_map=foreign), NOW, Policy())
    assert caught.value.reason == "ConfigMapConflict"


def test_one_that_must_outlive_the_registration_is_not_owned():
    wanted = desired("Service", secret=FACTS, deletionPolicy="Orphan")
    seen = settled(wanted)
    seen = settled(wanted, config_map=state(wanted, seen), recorded_config_map="facts")
    assert actions(wanted, seen) == (WriteConfigMap(name="facts", reason="ConfigMapDiffers"),)
