"""The rendered CRDs: structural, bounded, described, and the checked-in files are current."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from fhir_app_operator.api.v1alpha1.crd import custom_resource_definitions
from fhir_app_operator.api.v1alpha1.schema import format_duration, parse_duration
from fhir_app_operator.cli import main

CRDS = Path(__file__).parents[2] / "crds"
FORBIDDEN = {
    "$ref", "$defs", "definitions", "anyOf", "oneOf", "const", "uniqueItems", "title",
    "patternProperties", "propertyNames", "discriminator", "examples",
}  # fmt: skip


def nodes(schema, path=""):
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def schemas():
    for crd in custom_resource_definitions():
        root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for path, node in nodes(root, crd["spec"]["names"]["kind"]):
            if not path.endswith((".apiVersion", ".kind", ".metadata")):
                yield path, node


def test_every_node_is_typed_bounded_and_free_of_forbidden_keywords():
    for path, node in schemas():
        assert not FORBIDDEN & node.keys(), path
        assert "type" in node, path
        match node["type"]:
            case "string":
                assert "maxLength" in node or "enum" in node, path
            case "array":
                assert "maxItems" in node, path
                assert "x-kubernetes-list-type" in node, path
            case "object":
                assert "properties" in node or "maxProperties" in node, path


def test_every_field_is_described_for_kubectl_explain():
    missing = [path for path, node in schemas() if "description" not in node
               and not path.endswith(("[]", "{}"))]  # fmt: skip
    assert missing == []


def test_the_checked_in_files_are_what_the_models_say(tmp_path):
    result = CliRunner().invoke(main, ["crds", "--dir", str(tmp_path)])
    assert result.exit_code == 0
    fresh = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert fresh == {path.name: path.read_text() for path in CRDS.iterdir()}


def test_printed_crds_are_one_stream_of_documents():
    printed = CliRunner().invoke(main, ["crds"]).output
    kinds = [crd["spec"]["names"]["kind"] for crd in yaml.safe_load_all(printed)]
    assert kinds == ["FhirAppRegistration", "EntraTenant"]
    assert "&id" not in printed


@pytest.mark.parametrize("text", ["4320h", "1h30m", "90s", "1h1m1s"])
def test_durations_round_trip(text):
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize("text", ["", "1d", "h", "30m1h", "-1h", "1.5h"])
def test_other_notations_are_no_durations(text):
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)
