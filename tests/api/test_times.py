"""Times that others wrote: into a status, into a directory."""

from datetime import UTC, datetime, timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import PendingCredential
from fhir_app_operator.api.v1alpha1.schema import reckonable
from fhir_app_operator.graph.wire import Password, parse

EDGES = (
    "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00",
)  # fmt: skip
LONG = timedelta(hours=17520)


@pytest.mark.parametrize("text", EDGES)
def test_a_time_at_the_edge_of_the_calendar_ends_no_pass(text):
    pending = PendingCredential.model_validate(
        {"type": "ClientSecret", "nonce": "n", "requestedAt": text}
    )
    body = {"keyId": "k", "displayName": None, "startDateTime": text, "endDateTime": text}
    shown = parse(Password, body, "GET").to_model()
    for moment in (pending.requested_at, shown.start, shown.end):
        assert moment - LONG < moment < moment + LONG


def test_other_times_stay_as_they_are_and_without_a_zone_are_utc():
    moment = datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC)
    assert reckonable(moment) == reckonable(moment.replace(tzinfo=None)) == moment
