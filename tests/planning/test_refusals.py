"""Refused sign-ins name the line of the manifest; the page for people has the same codes."""

from pathlib import Path

import pytest

from fhir_app_operator.planning.refusals import REMEDIES, refusal

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text()


def test_a_known_code_says_what_to_do():
    found = refusal({7000222}, "AADSTS7000222 (request-id x)")
    assert found.what == "AADSTS7000222 (request-id x)"
    assert "Synced" in found.remedy


def test_an_unknown_code_says_where_to_read():
    assert "page" in refusal({1}, "AADSTS1").remedy


@pytest.mark.parametrize("code", REMEDIES)
def test_each_code_is_in_the_troubleshooting_table(code):
    assert f"AADSTS{code}" in PAGE
