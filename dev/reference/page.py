"""Lays out `docs/api.md`: per kind its fields, rules, status and columns; then the names.

Not here: what is in it (`fields.py`, `matrix.py`, `constants.py`, and in the end the models).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from dev.reference.constants import Name, names_in
from dev.reference.fields import Field, Rule, fields, rules_by_path
from dev.reference.matrix import Matrix, Use, matrix
from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1.crd import custom_resource_definitions

_INTRODUCTION: Final = f"""\
# API reference

<!-- Made from the models by `make generate`: edit those. `make check` finds differences. -->

Group `{names.GROUP}`, version `{names.VERSION}`. `kubectl explain` shows the same texts. A manifest
that breaks a bound or a rule on this page is refused by the API server, with the sentence that
stands here; what depends on the tenant becomes a condition instead, whose reasons
[Operating it](operations.md#troubleshooting-by-reason) explains.

In the tables, `[]` after a field stands for each entry of that list, and `.*` for each value of
that map; a *set* is a list without repeated entries; a duration is hours, minutes and seconds in
Go's notation, such as `4320h` or `1h30m`; a DNS name is lower case, as names of Kubernetes objects
are, and a DNS label is one without dots, as names of namespaces are."""
_NAMES_TITLE: Final = "Labels, annotations and finalizers"


def api_reference() -> str:
    """The whole page as Markdown.

    Raises UnreadableSchemaError if the models have something that it cannot say, such as a field
    without a description.
    """
    definitions = sorted(
        custom_resource_definitions(), key=lambda each: str(each["spec"]["scope"]), reverse=True
    )
    titles = [*(str(each["spec"]["names"]["kind"]) for each in definitions), _NAMES_TITLE]
    contents = " · ".join(
        f"{number}. [{title}](#{_anchor(title)})" for number, title in enumerate(titles, 1)
    )
    sections = [_kind(definition) for definition in definitions]
    return "\n\n".join([_INTRODUCTION, contents, *sections, _names()]) + "\n"


def _anchor(title: str) -> str:
    return title.lower().replace(",", "").replace(" ", "-")


def _kind(definition: dict[str, Any]) -> str:
    version = definition["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    every = fields(schema)
    spec = [each for each in every if each.path.startswith("spec.")]
    status = [each for each in every if each.path.startswith("status.")]
    rules = rules_by_path(schema)
    use = matrix((each for found in rules.values() for each in found), _types(schema))
    parts = [
        f"## {definition['spec']['names']['kind']}",
        f"{schema['description']} {_identity(definition['spec'])}",
        "### Spec",
        _spec_table(spec, use),
        *_use_by_type(spec, use, _types(schema)),
        "### Rules",
        _rules(rules.get("", ()), spec),
        "### Status",
        _status_table(status),
        "### Columns of `kubectl get`",
        _columns(version["additionalPrinterColumns"]),
    ]
    return "\n\n".join(parts)


def _identity(spec: dict[str, Any]) -> str:
    scope = "It lives in a namespace" if spec["scope"] == "Namespaced" else "It is cluster-scoped"
    called = _listed([spec["names"]["plural"], *spec["names"]["shortNames"]])
    categories = _listed(spec["names"]["categories"])
    selectable = [each["jsonPath"][1:] for each in spec["versions"][0].get("selectableFields", ())]
    selectors = f" Field selectors: {_listed(selectable)}." if selectable else ""
    return f"{scope}; `kubectl` knows it as {called}, in the category {categories}.{selectors}"


def _types(schema: dict[str, Any]) -> tuple[str, ...]:
    declared = schema["properties"]["spec"]["properties"].get("type", {})
    return tuple(declared.get("enum", ()))


def _spec_table(spec: Iterable[Field], use: Matrix) -> str:
    head = ("field", "type", "required", "default", "meaning")
    rows = []
    for each in spec:
        path = each.path.removeprefix("spec.")
        rows.append((f"`{path}`", each.kind, _required(each, use.get(path, {})),
                     each.default, each.description))  # fmt: skip
    return _table(head, rows)


def _required(each: Field, by_type: dict[str, Use]) -> str:
    if each.required:
        return "yes"
    types = [name for name, found in by_type.items() if found is Use.REQUIRED]
    if not types:
        return "see rules" if Use.CONDITIONAL in by_type.values() else "no"
    return f"for {', '.join(types)}"


def _use_by_type(spec: Iterable[Field], use: Matrix, types: Sequence[str]) -> list[str]:
    if not use:
        return []
    paths = [each.path.removeprefix("spec.") for each in spec]
    rows = [
        (f"`{path}`", *(str(use[path][kind]) for kind in types)) for path in paths if path in use
    ]
    return [
        "### Fields by type",
        "Fields that are not in this table are optional for every type.",
        _table(("field", *types), rows),
    ]


def _rules(general: Iterable[Rule], spec: Iterable[Field]) -> str:
    lines = [f"- {each.message}" for each in general]
    for each in spec:
        if each.rules:
            lines.append(f"- `{each.path.removeprefix('spec.')}`")
            lines += [f"  - {said.message}" for said in each.rules]
    return "\n".join(lines)


def _status_table(status: Iterable[Field]) -> str:
    rows = [
        (f"`{each.path.removeprefix('status.')}`", each.kind, each.description) for each in status
    ]
    return _table(("field", "type", "meaning"), rows)


def _columns(columns: Iterable[dict[str, Any]]) -> str:
    rows = [
        (
            each["name"],
            f"`{each['jsonPath']}`",
            "with `-o wide`" if each.get("priority") else "always",
        )
        for each in columns
    ]
    return _table(("column", "shows", "when"), rows)


def _names() -> str:
    rows = [
        (f"`{each.value}`", each.kind, each.meaning)
        for each in sorted(names_in(names), key=_by_kind)
    ]
    return f"## {_NAMES_TITLE}\n\n{_table(('name', 'what it is', 'meaning'), rows)}"


def _by_kind(each: Name) -> int:
    return ("finalizer", "label", "annotation").index(each.kind)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """The text on one line, with the pipes that would end the cell escaped."""
    return " ".join(text.split()).replace("|", "\\|")
