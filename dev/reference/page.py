"""Lays out `docs/api.md`: per kind its fields, rules, status and columns; then the names.

Not here: what is in it (`fields.py`, `matrix.py`, `constants.py`, and in the end the models).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from dev.reference.constants import Name, names_in
from dev.reference.fields import Field, fields, rules_at
from dev.reference.matrix import Matrix, Use, matrix
from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1.crd import custom_resource_definitions

_INTRODUCTION: Final = f"""\
# API reference

<!-- Made from the models by `make generate`; edit those. `make check` finds differences. -->

Group `{names.GROUP}`, version `{names.VERSION}`. `kubectl explain` shows the same texts. The API
server refuses a manifest that breaks a bound or a rule on this page, with the sentence that stands
here; what depends on the tenant becomes a condition instead
([reasons](operations.md#troubleshooting-by-reason)).

How to read the tables: `[]` after a field means each entry of that list; a *set* is a list without
repeated entries, in any order; "for" in the column *required* names the types that must have the
field. Durations are hours, minutes and seconds in Go's notation, such as `4320h` or `1h30m`.
"""
_MARKS: Final = {Use.REQUIRED: "required", Use.OPTIONAL: "optional", Use.REFUSED: "–"}


def api_reference() -> str:
    """The whole page as Markdown.

    Raises UnreadableSchemaError if the models have something that it cannot say, such as a field
    without a description.
    """
    definitions = sorted(
        custom_resource_definitions(), key=lambda each: str(each["spec"]["scope"]), reverse=True
    )
    kinds = [_kind(each) for each in definitions]
    contents = " · ".join(
        f"[{title}](#{title.lower().replace(' ', '-').replace(',', '')})"
        for title in (*(each["spec"]["names"]["kind"] for each in definitions), _NAMES_TITLE)
    )
    parts = [_INTRODUCTION, contents, *kinds, _names(names_in(names))]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _kind(definition: dict[str, Any]) -> str:
    spec = definition["spec"]
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    properties = schema["properties"]
    declared = _applicable(schema, fields(properties["spec"], "spec"))
    types = _types(schema)
    use = matrix(rules_at(properties["spec"], "spec", "spec") + _all_rules(declared), types)
    parts = [
        f"## {spec['names']['kind']}",
        schema["description"] + " " + _identity(definition),
        "### Spec",
        _spec_table(declared, use),
        *(_type_section(use, types)),
        "### Rules",
        _rules(declared, rules_at(schema, "", "")),
        "### Status",
        _status_table(fields(properties["status"], "status")),
        "### Columns",
        _columns(version["additionalPrinterColumns"]),
    ]
    return "\n\n".join(parts)


def _identity(definition: dict[str, Any]) -> str:
    spec = definition["spec"]
    scope = "In a namespace" if spec["scope"] == "Namespaced" else "Cluster-scoped"
    called = [spec["names"]["plural"], *spec["names"]["shortNames"]]
    selectable = spec["versions"][0].get("selectableFields", ())
    paths = ", ".join(f"`{each['jsonPath'][1:]}`" for each in selectable)
    return (
        f"{scope}; `kubectl` knows it as {', '.join(f'`{each}`' for each in called)} and in the "
        f"category {', '.join(f'`{each}`' for each in spec['names']['categories'])}."
        + (f" Field selectors: {paths}." if paths else "")
    )


def _types(schema: dict[str, Any]) -> tuple[str, ...]:
    declared = schema["properties"]["spec"]["properties"].get("type", {})
    return tuple(declared.get("enum", ()))


def _applicable(schema: dict[str, Any], declared: tuple[Field, ...]) -> tuple[Field, ...]:
    """The fields, with the rules of the object itself that are about one of them."""
    return tuple(
        Field(
            path=each.path,
            kind=each.kind,
            required=each.required,
            default=each.default,
            description=each.description,
            immutable=each.immutable or _is_frozen(own),
            rules=each.rules + own,
        )
        for each in declared
        for own in [_own_rules(schema, each.path)]
    )


def _own_rules(schema: dict[str, Any], path: str) -> Any:
    shallow = {key: value for key, value in schema.items() if key != "properties"}
    return rules_at({**shallow, "properties": {}}, "", f".{path}")
