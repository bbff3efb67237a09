"""What is shown of registrations, and that it goes with them."""

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from fhir_app_operator.kube.registrations import parse_registration
from fhir_app_operator.telemetry.fleet import FleetMetrics
from tests.telemetry.series import series, value

END = datetime(2026, 9, 1, tzinfo=UTC)
WHO = {"namespace": "clinic", "name": "portal"}


def condition(kind, status):
    return {
        "type": kind, "status": status, "reason": "Any", "message": "",
        "lastTransitionTime": "2026-03-01T00:00:00Z", "observedGeneration": 1,
    }  # fmt: skip


def registration(*conditions, credentials=()):
    return parse_registration({
        "metadata": {
            "name": "portal", "namespace": "clinic", "uid": "u", "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {
            "type": "Confidential", "fhirServerRef": {"name": "fhir-server"},
            "tenantRef": {"name": "hospital"},
            "redirectUris": {"web": ["https://portal.clinic.example/callback"]},
        },
        "status": {"conditions": list(conditions), "credentials": list(credentials)},
    })  # fmt: skip


def credential(state, end):
    return {
        "type": "ClientSecret", "keyId": state, "state": state,
        "startTime": "2026-03-01T00:00:00Z", "endTime": end,
    }  # fmt: skip


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def fleet(registry):
    return FleetMetrics(registry)


def test_only_the_current_status_of_a_condition_is_shown(registry, fleet):
    fleet.seen(registration(condition("Ready", "False"), condition("Synced", "True")))
    fleet.seen(registration(condition("Ready", "True"), condition("Synced", "True")))
    assert series(registry, "fhirapp_condition") == {
        ("portal", "clinic", "True", "Ready"): 1, ("portal", "clinic", "True", "Synced"): 1,
    }  # fmt: skip


def test_the_expiry_is_that_of_the_credential_in_use(registry, fleet):
    retiring = credential("Retiring", "2026-04-01T00:00:00Z")
    active = credential("Active", END.isoformat())
    fleet.seen(registration(credentials=[retiring, active]))
    shown = value(registry, "fhirapp_credential_expiry_timestamp_seconds", **WHO)
    assert shown == END.timestamp()


def test_without_a_credential_there_is_no_expiry(registry, fleet):
    fleet.seen(registration())
    assert series(registry, "fhirapp_credential_expiry_timestamp_seconds") == {}
    assert value(registry, "fhirapp_info", type="Confidential", tenant="hospital", **WHO) == 1


def test_the_series_of_a_registration_go_with_it(registry, fleet):
    fleet.seen(
        registration(
            condition("Ready", "True"), credentials=[credential("Active", END.isoformat())]
        )
    )
    fleet.forget("clinic", "portal")
    fleet.forget("clinic", "never-seen")
    for family in registry.collect():
        for sample in family.samples:
            assert "portal" not in sample.labels.values(), sample


def test_renewals_are_counted_by_result_from_zero(registry, fleet):
    fleet.rotated("failure")
    assert series(registry, "fhirapp_rotation_total") == {("success",): 0, ("failure",): 1}
