"""Redaction: the second net, for what should never have been logged."""

import pytest
from pydantic import SecretStr

from fhir_app_operator.telemetry.logs import REDACTED, redact

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "entry",
    [
        {"value": SecretStr("canary")},
        {"client_secret": "canary"},
        {"clientSecret": "canary"},
        {"headers": {"Authorization": "Bearer canary"}},
        {"event": "sent Bearer canary to Graph"},
        {"event": f"got {TOKEN}"},
        {"list": [{"secretText": "canary"}]},
        {"client_assertion": "canary"},
    ],
)
def test_secrets_are_redacted_by_name_and_by_form(entry):
    cleaned = str(redact(None, "info", entry))
    assert "canary" not in cleaned
    assert TOKEN not in cleaned
    assert REDACTED in cleaned


def test_what_is_no_secret_stays():
    entry = {"event": "reconciled", "secret": "portal", "count": 3, "ok": True, "x": None}
    assert redact(None, "info", dict(entry)) == entry
