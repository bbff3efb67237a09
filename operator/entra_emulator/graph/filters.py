"""`$filter`: an expression of OData, read into a predicate over documents.

Served are eq, ne, in, startswith, endswith, any, and, or, not, and parentheses, for the properties
that a resource lists as filterable. As in the directory, text is compared without regard to case.
What the directory answers in its advanced mode only is told by `Filter.is_advanced`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from entra_emulator.directory.errors import GraphError, bad_request, unsupported_query

Predicate = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<word>[\w$@.+/-]+)|(?P<sign>[(),:]))")
_MAX_DEPTH: Final = 30


@dataclass(frozen=True, slots=True)
class Filter:
    """A predicate, and whether it needs `ConsistencyLevel: eventual` with `$count=true`."""

    matches: Predicate
    is_advanced: bool


def read(text: str, properties: Collection[str], kind: str) -> Filter:
    """The filter in `text` over the filterable `properties` of the resource type `kind`."""
    parser = _Parser(text, {name.lower(): name for name in properties}, kind)
    predicate = parser.whole()
    return Filter(predicate, parser.is_advanced)


class _Parser:
    def __init__(self, text: str, properties: Mapping[str, str], kind: str) -> None:
        self._tokens = _tokenize(text)
        self._properties = properties
        self._kind = kind
        self._variables: set[str] = set()
        self._depth = 0
        self.is_advanced = False

    def whole(self) -> Predicate:
        predicate = self._either()
        if self._tokens:
            _invalid()
        return predicate

    def _either(self) -> Predicate:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            _invalid()
        options = [self._both()]
        while self._take_word("or"):
            options.append(self._both())
        self._depth -= 1
        return lambda document: any(option(document) for option in options)

    def _both(self) -> Predicate:
        parts = [self._term()]
        while self._take_word("and"):
            parts.append(self._term())
        return lambda document: all(part(document) for part in parts)

    def _term(self) -> Predicate:
        negations = 0
        while self._take_word("not"):
            negations += 1
        term = self._positive()
        if not negations:
            return term
        self.is_advanced = True
        return term if negations % 2 == 0 else lambda document: not term(document)

    def _positive(self) -> Predicate:
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        name = self._word()
        if name.lower() in {"startswith", "endswith"}:
            return self._function(name.lower())
        if "/" in name:
            return self._any(name)
        return self._comparison(self._getter(name))

    def _function(self, name: str) -> Predicate:
        self._expect("(")
        get = self._getter(self._word())
        self._expect(",")
        affix = self._literal()
        self._expect(")")
        if not isinstance(affix, str):
            _invalid()
        if name == "endswith":
            self.is_advanced = True
            return lambda document: _text(get(document)).endswith(affix.casefold())
        return lambda document: _text(get(document)).startswith(affix.casefold())

    def _any(self, path: str) -> Predicate:
        prop, _, operator = path.rpartition("/")
        if operator.lower() != "any":
            raise self._refused(path)
        get = self._getter(prop)
        self._expect("(")
        variable = self._word()
        self._expect(":")
        self._variables.add(variable)
        condition = self._either()
        self._variables.discard(variable)
        self._expect(")")

        def matches(document: Mapping[str, Any]) -> bool:
            return any(condition({**document, variable: item}) for item in get(document) or [])

        return matches

    def _comparison(self, get: Callable[[Mapping[str, Any]], Any]) -> Predicate:
        operator = self._word().lower()
        if operator == "in":
            self._expect("(")
            wanted = [self._literal()]
            while self._take(","):
                wanted.append(self._literal())
            self._expect(")")
            return lambda document: any(_equal(get(document), value) for value in wanted)
        value = self._literal()
        if operator == "eq":
            return lambda document: _equal(get(document), value)
        if operator == "ne":
            self.is_advanced = True
            return lambda document: not _equal(get(document), value)
        raise unsupported_query(f"The operator '{operator}' is not supported.")

    def _getter(self, name: str) -> Callable[[Mapping[str, Any]], Any]:
        if name in self._variables:
            return lambda document: document[name]
        known = self._properties.get(name.lower())
        if known is None:
            raise self._refused(name)
        return lambda document: document.get(known)

    def _literal(self) -> str | bool | None:
        if not self._tokens:
            _invalid()
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        return {"true": True, "false": False, "null": None}.get(token.lower(), token)

    def _word(self) -> str:
        if not self._tokens or self._tokens[0] in "(),:" or self._tokens[0].startswith("'"):
            _invalid()
        return self._tokens.pop(0)

    def _take_word(self, word: str) -> bool:
        return self._take(word)

    def _take(self, token: str) -> bool:
        if self._tokens and self._tokens[0].lower() == token:
            del self._tokens[0]
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._take(token):
            _invalid()

    def _refused(self, name: str) -> GraphError:
        return unsupported_query(
            "Unsupported or invalid query filter clause specified for property "
            f"'{name}' of resource '{self._kind}'."
        )


def _tokenize(text: str) -> list[str]:
    found, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            _invalid()
        found.append(match[0].strip())
        position = match.end()
    return found


def _equal(value: Any, wanted: object) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return value.casefold() == wanted.casefold()
    return bool(value == wanted)


def _text(value: Any) -> str:
    return value.casefold() if isinstance(value, str) else ""


def _invalid() -> NoReturn:
    raise bad_request("Invalid filter clause", code="BadRequest")
