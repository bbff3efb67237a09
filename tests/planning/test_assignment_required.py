"""Whether only who was given an app role gets tokens for a server: as the manifest says, or not."""

from dataclasses import replace

import pytest

from fhir_app_operator.planning.forecast import forecast
from fhir_app_operator.planning.model import UpdateServicePrincipal
from fhir_app_operator.planning.notices import repairs
from fhir_app_operator.planning.plan import plan
from tests.planning.test_plan import converged
from tests.planning.worlds import NOW, POLICY, desired

URL = "https://fhir.clinic.example"


def wanted(*, required):
    return desired("Resource", resource={"url": URL, "assignmentRequired": required})


def actions(required, found):
    observed = replace(converged("Resource").observed, assignment_required=found)
    return plan(wanted(required=required), observed, NOW, POLICY)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("found", [True, False, None])
def test_what_is_asked_for_is_written_unless_it_is_there(required, found):
    update = (UpdateServicePrincipal(assignment_required=required),)
    assert actions(required, found) == (() if required is found else update)


@pytest.mark.parametrize("found", [True, False, None])
def test_what_is_not_asked_for_is_left_alone(found):
    assert actions(None, found) == ()


def test_a_forecast_ends_with_it():
    observed = converged("Resource").observed
    found = forecast(wanted(required=True), observed, NOW, POLICY)
    assert [type(action) for action in found] == [UpdateServicePrincipal]
    assert repairs(found) == ("app_role_assignment_required",)
