"""Reads a structural schema as a flat list of fields, each with its bounds and its rules in words.

Not here: how they are laid out (`page.py`).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fhir_app_operator.api.v1alpha1.schema import (
    DNS_LABEL_PATTERN,
    DNS_NAME_PATTERN,
    DURATION_RULE,
    UUID_PATTERN,
)

RULES: Final = "x-kubernetes-validations"

_DEFAULT_IN_WORDS: Final = re.compile(r"\s*Default: (?P<value>.+?)\.(?=\s|$)")
_KNOWN_PATTERNS: Final = {
    DNS_LABEL_PATTERN: "DNS label",
    DNS_NAME_PATTERN: "DNS name",
    UUID_PATTERN: "UUID",
}
_DURATION: Final = "duration"
_PLURALS: Final = {
    _DURATION: "durations",
    "string": "strings",
    "integer": "integers",
    "object": "objects",
}
_ENVELOPE: Final = ("apiVersion", "kind", "metadata")


class UnreadableSchemaError(Exception):
    """The schema has something that the reference cannot put into words; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One sentence about a field, and the CEL expression behind it."""

    message: str
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field.

    `path` starts at the object's root (`spec.redirectUris.web`), with `[]` for the entries of a
    list that are objects and `.*` for the values of a map; `kind` says what it may hold, `default`
    is code or words, empty if there is none.
    """

    path: str
    kind: str
    required: bool
    default: str
    description: str
    rules: tuple[Rule, ...]


def fields(schema: dict[str, Any]) -> tuple[Field, ...]:
    """Every field below `schema`, the root of a kind, in the order of declaration.

    Rules are given to the field that they name (`fieldPath`), not to the one that they are
    declared at. Raises UnreadableSchemaError if something cannot be put into words.
    """
    by_path = rules_by_path(schema)
    found = tuple(_below(schema, "", by_path))
    if lost := sorted(set(by_path) - {each.path for each in found} - {""}):
        raise UnreadableSchemaError(f"rules name fields that are not there: {', '.join(lost)}")
    return found


def rules_by_path(schema: dict[str, Any]) -> dict[str, tuple[Rule, ...]]:
    """All rules below `schema` by the path of the field that they are about; "" is the object."""
    found: dict[str, tuple[Rule, ...]] = {}
    for path, each in _rules(schema, ""):
        found[path] = (*found.get(path, ()), each)
    return found


def _below(
    schema: dict[str, Any], path: str, by_path: dict[str, tuple[Rule, ...]]
) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        place = f"{path}.{name}".removeprefix(".")
        if place in _ENVELOPE:
            continue
        yield _field(child, place, by_path.get(place, ()), required=name in required)
        yield from _below(child, place, by_path)
        yield from _below(child.get("items", {}), f"{place}[]", by_path)
        yield from _below(child.get("additionalProperties", {}), f"{place}.*", by_path)


def _field(schema: dict[str, Any], path: str, rules: tuple[Rule, ...], *, required: bool) -> Field:
    description = schema.get("description")
    if not description:
        raise UnreadableSchemaError(f"{path} has no description")
    words = _DEFAULT_IN_WORDS.search(description)
    default = ""
    if "default" in schema:
        default = f"`{_value(schema['default'])}`"
    elif words:
        default = words["value"]
    return Field(
        path=path,
        kind=_kind(schema, path),
        required=required,
        default=default,
        description=_DEFAULT_IN_WORDS.sub("", description).strip(),
        rules=rules,
    )


def _value(value: Any) -> str:
    """A default as one would write it in YAML, on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_value(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(_value(each) for each in value) + "]"
        case str():
            return value
        case _:
            return json.dumps(value)


def _kind(schema: dict[str, Any], path: str) -> str:
    if "enum" in schema:
        return _alternatives([f"`{_value(value)}`" for value in schema["enum"]])
    match schema.get("type"):
        case "string":
            return _text(schema)
        case "integer":
            return _bounded("integer", _range(schema))
        case "array" | "object":
            return _container(schema, path)
        case "boolean":
            return "boolean"
        case other:
            raise UnreadableSchemaError(f"{path} is of type {other!r}")


def _text(schema: dict[str, Any]) -> str:
    if DURATION_RULE in schema.get(RULES, ()):
        return _DURATION
    pattern = schema.get("pattern", "")
    return _KNOWN_PATTERNS.get(pattern) or _bounded("string", _string_bounds(schema))


def _container(schema: dict[str, Any], path: str) -> str:
    if "items" in schema:
        what = "set" if schema.get("x-kubernetes-list-type") == "set" else "list"
        entries = _plural(_kind(schema["items"], f"{path}[]"))
        return _bounded(f"{what} of {entries}", _count(schema, "Items", "entries"))
    if "additionalProperties" in schema:
        values = _plural(_kind(schema["additionalProperties"], f"{path}.*"))
        return _bounded(f"map of {values}", _count(schema, "Properties", "entries"))
    return "object"


def _plural(kind: str) -> str:
    """`strings (1 to 9 characters)` for `string; 1 to 9 characters`, and so on."""
    what, _, bounds = kind.partition("; ")
    if what in _KNOWN_PATTERNS.values():
        return f"{what}s"
    return _PLURALS.get(what, what) + (f" ({bounds})" if bounds else "")


def _alternatives(values: list[str]) -> str:
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last


def _bounded(what: str, bounds: list[str]) -> str:
    return f"{what}; {', '.join(bounds)}" if bounds else what


def _string_bounds(schema: dict[str, Any]) -> list[str]:
    if schema.get("format") == "date-time":
        return ["RFC 3339"]
    bounds = _count(schema, "Length", "characters")
    if "pattern" in schema:
        bounds.append(f"pattern `{schema['pattern']}`")
    return bounds


def _count(schema: dict[str, Any], what: str, unit: str) -> list[str]:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    if most is None:
        return [f"at least {least} {unit}"] if least else []
    if least == most:
        return [f"{most} {unit}"]
    return [f"{least} to {most} {unit}"] if least else [f"at most {most} {unit}"]


def _range(schema: dict[str, Any]) -> list[str]:
    least, most = schema.get("minimum"), schema.get("maximum")
    bounds = [f"at least {least}"] if least is not None else []
    return bounds + ([f"at most {most}"] if most is not None else [])


def _rules(schema: dict[str, Any], path: str) -> Iterator[tuple[str, Rule]]:
    """Each rule below `schema` with the path of the field that it is about.

    The rules of a list's entries that are not objects are given to the list.
    """
    for each in schema.get(RULES, ()):
        about = path.removesuffix("[]") if "properties" not in schema else path
        said = Rule(message=each["message"], expression=each["rule"])
        yield (about + each.get("fieldPath", "")).removeprefix("."), said
    for name, child in schema.get("properties", {}).items():
        yield from _rules(child, f"{path}.{name}".removeprefix("."))
    if "items" in schema:
        yield from _rules(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _rules(schema["additionalProperties"], f"{path}.*")
