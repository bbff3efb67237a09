"""Docs that name settings and reasons are compared with the code."""

import re
from pathlib import Path

from fhir_app_operator.settings import Settings
from fhir_app_operator.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[1]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
METRICS = OPERATIONS.partition("| series | meaning |")[2].partition("\n\n")[0]
SOURCES = [path.read_text() for path in (ROOT / "operator" / "fhir_app_operator").rglob("*.py")]


def test_every_setting_has_its_row_with_its_description():
    for name, field in Settings.model_fields.items():
        if field.validation_alias is None:
            row = next(
                line for line in OPERATIONS.splitlines()
                if line.startswith(f"| `FHIR_APP_OPERATOR_{name.upper()}`")
            )  # fmt: skip
            assert field.description in row, name


def test_every_metric_has_its_row_and_every_row_its_metric():
    families = [f for f in Metrics().registry.collect() if not f.name.startswith("process_")]
    served = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    rows = set(re.findall(r"^\| `(\w+)(?:\{[\w,]+\})?` \|", METRICS, re.MULTILINE))
    assert rows == served


def test_every_reason_in_the_code_is_explained():
    pattern = re.compile(
        r'(?:Waiting|Stalled|Refused)\(\s*"([A-Z][A-Za-z]+)"|reason: str = "(InvalidSpec)"'
    )
    reasons = {one or other for text in SOURCES for one, other in pattern.findall(text)}
    assert {"SecretConflict", "GraphThrottled", "PolicyBlocked", "InvalidSpec"} <= reasons
    missing = {reason for reason in reasons if f"`{reason}`" not in OPERATIONS}
    assert missing == set()


def test_links_between_documents_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
