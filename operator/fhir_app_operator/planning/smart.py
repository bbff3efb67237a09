"""SMART scopes: read, checked, and spelled as Entra takes them and back.

A value that is no SMART scope is a plain name and stays as it is. Sources: HL7 SMART App Launch
2.2, "Scopes and Launch Context"; for the encodings the open-source FHIR server, which takes `.`,
`$` or `/` between the parts, `all` for `*`, and reads `%2f` in a query as a slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fhir_app_operator.api.v1alpha1 import ScopeEncoding
from fhir_app_operator.api.v1alpha1 import smart_grammar as grammar

_CLINICAL: Final = re.compile(r"(patient|user|system)/([^.]+)\.([^?]+)(?:\?(.*))?")
_DOT: Final = re.compile(r"(patient|user|system)\.([A-Za-z]+)\.([a-z]+)(?:\?(.*))?")
_DOLLAR: Final = re.compile(r"(patient|user|system)\$([A-Za-z]+|\*)\.([a-z]+|\*)(?:\?(.*))?")
_WILDCARD: Final = "*"
_VERSION_1: Final = ("read", "write", _WILDCARD)
_VERBS: Final = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}
_ACCESS: Final = {
    "read": "read and search", "write": "create, update and delete", _WILDCARD: "read and write",
}  # fmt: skip
_WHOSE: Final = {
    "patient": "of the patient in context",
    "user": "that the signed-in user may access",
    "system": "without a signed-in user",
}


class InvalidScopeError(ValueError):
    """A value that looks like a SMART scope and is none; says what it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinical:
    """A scope on data, such as `user/Observation.rs?category=laboratory`."""

    context: str
    type: str
    """A FHIR resource type, or `*`."""
    access: str
    """`read`, `write`, `*`, or letters of `cruds`."""
    query: str = ""
    """Without its question mark."""

    @property
    def version(self) -> int:
        """The version of SMART's scope syntax, 1 or 2."""
        return 1 if self.access in _VERSION_1 else 2

    @property
    def value(self) -> str:
        """The scope in SMART's own form."""
        return f"{self.context}/{self.type}.{self.access}" + (
            f"?{self.query}" if self.query else ""
        )

    @property
    def meaning(self) -> str:
        """A sentence for whoever is to consent."""
        data = "all FHIR data" if self.type == _WILDCARD else f"{self.type} resources"
        limit = f" with {self.query}" if self.query else ""
        text = f"{_verbs(self.access)} {data}{limit} {_WHOSE[self.context]}"
        return text[0].upper() + text[1:]


def parse(value: str) -> Clinical | None:
    """Return what `value` asks for; None if it is no scope on data.

    Raises:
        InvalidScopeError: it is spelled like a SMART scope and breaks its rules.
    """
    if re.fullmatch(grammar.ENCODED, value):
        raise InvalidScopeError(grammar.NOT_ENCODED)
    if re.fullmatch(f"{grammar.PLAIN}|{grammar.LAUNCH}", value):
        return None
    for check in grammar.CHECKS:
        if not re.fullmatch(check.pattern, value):
            raise InvalidScopeError(check.message)
    context, kind, access, query = re.fullmatch(_CLINICAL, value).groups()  # type: ignore[union-attr]
    return Clinical(context=context, type=kind, access=access, query=query or "")


def is_smart(value: str) -> bool:
    """Whether `value`, which `parse` takes, belongs to SMART rather than to one server."""
    return parse(value) is not None or re.fullmatch(grammar.LAUNCH, value) is not None


def encode(value: str, encoding: ScopeEncoding) -> str:
    """Return `value` as Entra takes it; `decode` is the inverse.

    Raises:
        InvalidScopeError: as `parse`, or it becomes longer than Entra's 120 characters.
    """
    scope = parse(value)
    separator = "." if encoding is ScopeEncoding.DOT else "$"
    if scope is None:
        encoded = value.replace("/", separator)
    else:
        kind, access = scope.type, scope.access
        if encoding is ScopeEncoding.DOT:
            kind, access = (part.replace(_WILDCARD, "all") for part in (kind, access))
        encoded = f"{scope.context}{separator}{kind}.{access}"
        encoded += f"?{scope.query.replace('/', '%2f')}" if scope.query else ""
    if len(encoded) > grammar.MAX_VALUE:
        raise InvalidScopeError(
            f"it becomes {len(encoded)} characters long in Entra ('{encoded}'), which takes "
            f"{grammar.MAX_VALUE}: shorten its query"
        )
    return encoded


def decode(value: str, encoding: ScopeEncoding) -> str:
    """Return the SMART scope that Entra knows as `value`; any other value as it is."""
    separator = "." if encoding is ScopeEncoding.DOT else "$"
    found = re.fullmatch(_DOT if encoding is ScopeEncoding.DOT else _DOLLAR, value)
    if found is None:
        is_launch = value.startswith(f"launch{separator}")
        return value.replace(separator, "/", 1) if is_launch else value
    context, kind, access, query = found.groups()
    if encoding is ScopeEncoding.DOT:
        kind, access = (_WILDCARD if part == "all" else part for part in (kind, access))
    query = query and re.sub("%2f", "/", query, flags=re.IGNORECASE)
    return Clinical(context=context, type=kind, access=access, query=query or "").value


def mixture(values: Iterable[str]) -> str | None:
    """Return why one client must not ask for all of `values`; None if it may.

    Source: the open-source FHIR server answers 400 to a token with two contexts or two versions;
    whatever was granted comes into the token (`.default`).
    """
    found = [scope for value in values if (scope := parse(value)) is not None]
    if len({scope.context for scope in found}) > 1:
        return grammar.ONE_CONTEXT
    if len({scope.version for scope in found}) > 1:
        return grammar.ONE_VERSION
    return None


def _verbs(access: str) -> str:
    if access in _ACCESS:
        return _ACCESS[access]
    *others, last = (_VERBS[letter] for letter in access)
    return f"{', '.join(others)} and {last}" if others else last
