"""`docs/api.md` says all that the CRDs say, and refuses to guess where they say too little."""

import types
from pathlib import Path

import pytest

from dev.generated import outdated
from dev.reference.constants import names_in
from dev.reference.fields import Rule, UnreadableSchemaError, fields
from dev.reference.matrix import Use, matrix
from dev.reference.page import _table, api_reference
from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1.crd import custom_resource_definitions

PAGE = api_reference()


def schemas():
    for definition in custom_resource_definitions():
        yield definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def messages(schema):
    """Every rule's sentence, found by walking the schema blindly."""
    if isinstance(schema, list):
        for entry in schema:
            yield from messages(entry)
    elif isinstance(schema, dict):
        for entry in schema.get("x-kubernetes-validations", ()):
            yield entry["message"]
        for value in schema.values():
            yield from messages(value)


def rows(page, start):
    return [line for line in page.splitlines() if line.startswith(f"| `{start}` |")]


def section(title):
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def node(**schema):
    return {"properties": {"spec": {"description": "x", "type": "object", "properties": schema}}}


def test_every_rule_of_the_crds_is_there_word_by_word():
    expected = {message for schema in schemas() for message in messages(schema)}
    assert len(expected) > 30
    assert {message for message in expected if message not in PAGE} == set()


def test_every_field_has_its_row():
    for schema in schemas():
        for each in fields(schema):
            head, _, path = each.path.partition(".")
            if path:
                assert rows(PAGE, path), f"{head}.{path}"


def test_the_deepest_fields_are_found():
    assert rows(section("FhirAppRegistration"), "resource.appRoles.custom[].allowedMemberTypes")
    assert rows(section("EntraTenant"), "allowedNamespaces.selector.matchExpressions[].key")


def test_a_field_says_what_it_may_hold_and_what_it_is_if_absent():
    (row,) = rows(section("FhirAppRegistration"), "resource.tokenVersion")
    assert row.split(" | ")[1:4] == ["`1` or `2`", "no", "`1`"]


def test_a_default_told_in_words_moves_to_its_column():
    (row,) = rows(section("FhirAppRegistration"), "resource.identifierUri")
    assert row.split(" | ")[3] == "`url`"
    assert "Default" not in row


def test_required_names_the_types_where_it_depends_on_them():
    page = section("FhirAppRegistration")
    assert rows(page, "type")[0].split(" | ")[2] == "yes"
    assert rows(page, "redirectUris")[0].split(" | ")[2] == "for Confidential, Public"
    assert rows(page, "appRoles")[0].split(" | ")[2] == "see rules"
    assert rows(page, "displayName")[0].split(" | ")[2] == "no"


def test_fields_by_type_are_those_of_the_rules():
    page = section("FhirAppRegistration")
    assert "| `redirectUris.web` | refused | required | refused | refused |" in page
    assert "| `credential` | see rules | optional | refused | optional |" in page
    assert "Fields by type" not in section("EntraTenant")


def test_every_row_has_as_many_cells_as_its_head():
    tables = [block for block in PAGE.split("\n\n") if block.startswith("| ")]
    assert len(tables) == 8
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1


def test_a_pipe_does_not_end_its_cell():
    assert _table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"


def test_every_name_that_ends_up_on_an_object_is_explained():
    expected = {
        getattr(names, constant)
        for constant in dir(names)
        if constant.endswith(("_LABEL", "_ANNOTATION", "FINALIZER"))
    }
    assert {name for name in expected if not rows(PAGE, name)} == set()
    assert names.REGISTRATION_LABEL in expected


def test_columns_of_the_wide_table_are_marked():
    assert "| Object-ID | `.status.objectId` | with `-o wide` |" in PAGE
    assert "| Secret | `.status.secretName` | always |" in PAGE


def test_a_field_without_a_description_is_refused():
    with pytest.raises(UnreadableSchemaError, match=r"spec\.silent has no description"):
        fields(node(silent={"type": "string"}))


def test_a_rule_about_a_field_that_is_not_there_is_refused():
    schema = node(name={"type": "string", "description": "x"})
    rule = {"rule": "true", "message": "must be", "fieldPath": ".nmae"}
    schema["properties"]["spec"]["x-kubernetes-validations"] = [rule]
    with pytest.raises(UnreadableSchemaError, match=r"spec\.nmae"):
        fields(schema)


def test_a_type_that_has_no_words_is_refused():
    with pytest.raises(UnreadableSchemaError, match="number"):
        fields(node(ratio={"type": "number", "description": "x"}))


def test_a_rule_about_types_in_other_words_is_refused():
    odd = Rule(message="`x` is for services", expression="self.type in ['Service'] || !has(self.x)")
    with pytest.raises(UnreadableSchemaError, match="is for services"):
        matrix([odd], ["Service"])


def rule(message, expression):
    return Rule(message=message, expression=f"self.type in {expression}")


def test_what_depends_on_another_field_is_neither_required_nor_refused():
    said = [
        rule("`a` must be set for type One: or `b`", "['One']) || (has(self.a) || has(self.b))"),
        rule("`c` must only be set for type One: why", "['One', 'Two'] || !has(self.c)"),
    ]
    found = matrix(said, ["One", "Two", "Three"])
    assert found["a"] == {"One": Use.CONDITIONAL, "Two": Use.OPTIONAL, "Three": Use.OPTIONAL}
    assert found["c"] == {"One": Use.OPTIONAL, "Two": Use.CONDITIONAL, "Three": Use.REFUSED}


def test_an_object_is_needed_where_its_field_is_and_takes_its_fields_along_where_refused():
    said = [
        rule("`a` must only be set for type One or Two: why", "['One', 'Two'] || !has(self.a)"),
        rule("`a.b` must be set for type Two: why", "['Two']) || has(self.a.b)"),
    ]
    found = matrix(said, ["One", "Two", "Three"])
    assert found["a"] == {"One": Use.OPTIONAL, "Two": Use.REQUIRED, "Three": Use.REFUSED}
    assert found["a.b"] == {"One": Use.OPTIONAL, "Two": Use.REQUIRED, "Three": Use.REFUSED}


def test_a_name_without_a_text_is_refused(tmp_path):
    module = types.ModuleType("odd")
    module.__file__ = str(tmp_path / "odd.py")
    Path(module.__file__).write_text("from typing import Final\nODD_LABEL: Final = 'x/odd'\n")
    with pytest.raises(UnreadableSchemaError, match=r"odd\.ODD_LABEL"):
        names_in(module)


def test_a_changed_page_or_definition_is_out_of_date(tmp_path):
    fresh, kept = tmp_path / "fresh", tmp_path / "kept"
    for root, page in ((fresh, "new"), (kept, "old")):
        (root / "crds").mkdir(parents=True)
        (root / "docs").mkdir()
        (root / "docs" / "api.md").write_text(page)
        (root / "crds" / "same.yaml").write_text("same")
    (kept / "crds" / "gone.yaml").write_text("x")
    assert outdated(fresh, kept) == ["crds/gone.yaml", "docs/api.md"]
    (fresh / "docs" / "api.md").unlink()
    assert "docs/api.md" in outdated(fresh, kept)
