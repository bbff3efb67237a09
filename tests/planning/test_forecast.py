"""The forecast lists what a pass would do, to its end."""

from dataclasses import replace

import pytest

from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning.forecast import fold, forecast
from fhir_app_operator.planning.model import (
    DeleteApplication,
    Observed,
    Purge,
    RestoreServicePrincipal,
    SecretState,
    SecretTemplate,
)
from tests.planning.worlds import FEDERATED, FOLLOWED, NOW, POLICY, desired
from tests.planning.worlds import following as certificate


def names(actions):
    return [type(action).__name__ for action in actions]


def test_a_new_service_is_forecast_to_its_secret():
    assert names(forecast(desired("Service"), Observed(), NOW, POLICY)) == [
        "CreateApplication", "CreateServicePrincipal", "RecordIntent", "IssueCredential",
    ]  # fmt: skip


def test_an_application_in_the_bin_is_restored_and_brought_in_line():
    observed = Observed(deleted_application_id="o", deleted_service_principal_id="s")
    found = names(forecast(desired("Public"), observed, NOW, POLICY))
    assert found[:2] == ["RestoreApplication", "RestoreServicePrincipal"]
    assert found[-1] == "WriteSecret"


def test_what_stops_a_pass_stops_its_forecast():
    with pytest.raises(Stalled):
        forecast(desired("Service"), Observed(secret=SecretState(ours=False)), NOW, POLICY)


def test_deletions_fold_too():
    wanted = desired("Public")
    observed = fold(wanted, Observed(), RestoreServicePrincipal(object_id="s"), NOW)
    observed = fold(wanted, observed, DeleteApplication(), NOW)
    observed = replace(observed, deleted_service_principal_id="s")
    assert observed.deleted_application_id is not None
    for what in ("application", "service principal"):
        observed = fold(wanted, observed, Purge(object_id="x", what=what), NOW)
    assert observed.deleted_application_id is None
    assert observed.deleted_service_principal_id is None


@pytest.mark.parametrize(
    "credential", [{"credential": FEDERATED}, {"credential": FOLLOWED, "follows": certificate()}]
)
def test_a_secret_with_a_template_is_forecast_to_be_written_once(credential):
    template = SecretTemplate(labels={"reconcile.fluxcd.io/watch": "Enabled"})
    wanted = replace(desired("Service", **credential), secret_template=template)
    found = names(forecast(wanted, Observed(), NOW, POLICY))
    assert found.count("WriteSecret") + found.count("FollowCertificate") == 1
