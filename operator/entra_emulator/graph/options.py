"""Query options of a request: `$select`, `$filter`, `$top`, `$count` and the continuation.

Source: "Use query parameters to customize responses" and "Advanced query capabilities on directory
objects".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote

from entra_emulator.directory.errors import GraphError, bad_request, unsupported_query
from entra_emulator.directory.store import Document
from entra_emulator.graph import filters

PAGE: Final = 100
MAX_PAGE: Final = 999
_KNOWN: Final = frozenset(
    {
        "$select",
        "$filter",
        "$top",
        "$count",
        "$skiptoken",
        "$orderby",
        "$search",
        "$expand",
        "$skip",
    }
)
_UNSERVED: Final = ("$orderby", "$search", "$expand", "$skip")


@dataclass(frozen=True, slots=True)
class Options:
    """What the query string asks for. `select` is None when everything is wanted."""

    select: tuple[str, ...] | None = None
    filter: str | None = None
    top: int | None = None
    count: bool = False
    after: int = 0
    """Sequence number of the last object of the page before."""
    is_eventual: bool = False
    raw: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a collection's objects offer to queries."""

    kind: str
    members: Collection[str]
    filterable: Collection[str]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a collection. `rest` is the query string of the next, if there is one."""

    documents: Sequence[Document]
    count: int | None
    rest: str | None


def read(query: bytes, *, is_eventual: bool) -> Options:
    """The options in a query string. `is_eventual`: the ConsistencyLevel header says so."""
    given = _pairs(query)
    for name in _UNSERVED:
        if name in given:
            raise unsupported_query(f"The query option '{name}' is not supported.")
    return Options(
        select=_select(given.get("$select")),
        filter=given.get("$filter"),
        top=_top(given.get("$top")),
        count=_count(given.get("$count")),
        after=_after(given.get("$skiptoken")),
        is_eventual=is_eventual,
        raw=given,
    )


def chosen(options: Options, document: Document, shape: Shape) -> Document:
    """The members of `document` that `$select` names."""
    if options.select is None:
        return document
    names = {name.lower(): name for name in shape.members}
    wanted = set()
    for name in options.select:
        if name.lower() not in names:
            raise bad_request(
                "Parsing OData Select and Expand failed: Could not find a property named "
                f"'{name}' on type 'microsoft.graph.{shape.kind}'.",
                code="BadRequest",
            )
        wanted.add(names[name.lower()])
    return {name: value for name, value in document.items() if name in wanted}


def page(options: Options, found: Iterable[tuple[int, Document]], shape: Shape) -> Page:
    """The page of `found` (sequence number and document, ascending) that is asked for."""
    matching = _matching(options, found, shape)
    count = None
    if options.count:
        if not options.is_eventual:
            raise bad_request("$count is not currently supported.")
        matching = list(matching)
        count = len(matching)
    size = options.top or PAGE
    taken: list[tuple[int, Document]] = []
    for sequence, document in matching:
        if sequence <= options.after:
            continue
        if len(taken) == size:
            return Page(_documents(options, taken, shape), count, _rest(options, taken[-1][0]))
        taken.append((sequence, document))
    return Page(_documents(options, taken, shape), count, None)


def _documents(
    options: Options, taken: Iterable[tuple[int, Document]], shape: Shape
) -> list[Document]:
    return [chosen(options, document, shape) for _, document in taken]


def _matching(
    options: Options, found: Iterable[tuple[int, Document]], shape: Shape
) -> Iterable[tuple[int, Document]]:
    if options.filter is None:
        return found
    wanted = filters.read(options.filter, shape.filterable, shape.kind)
    if wanted.is_advanced and not (options.is_eventual and options.count):
        raise unsupported_query(
            "Unsupported Query: this filter needs ConsistencyLevel 'eventual' and $count=true."
        )
    return ((sequence, document) for sequence, document in found if wanted.matches(document))


def _rest(options: Options, last: int) -> str:
    token = base64.urlsafe_b64encode(str(last).encode()).decode()
    kept = {name: value for name, value in (options.raw or {}).items() if name != "$skiptoken"}
    pairs = {**kept, "$skiptoken": token}
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())


def _pairs(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise bad_request("The query cannot be decoded.", code="BadRequest") from error
    given: dict[str, str] = {}
    for name, value in pairs:
        option = name.lower() if name.startswith("$") else name
        if option.startswith("$") and option not in _KNOWN:
            raise bad_request(f"The query parameter '{name}' is not supported.", code="BadRequest")
        if option in given:
            message = f"Query option '{name}' was specified more than once."
            raise bad_request(message, code="BadRequest")
        given[option] = value
    return given


def _select(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return None if not names or "*" in names else names


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_PAGE:
        raise unsupported_query(
            f"Invalid page size specified: '{text}'. Must be between 1 and {MAX_PAGE} inclusive."
        )
    return int(text)


def _count(text: str | None) -> bool:
    if text is None or text.lower() == "false":
        return False
    if text.lower() == "true":
        return True
    raise bad_request(f"Invalid value '{text}' for $count query option found.", code="BadRequest")


def _after(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode("ascii")))
    except (ValueError, binascii.Error) as error:
        raise GraphError(
            400, "Directory_ExpiredPageToken", "The specified page token value is not valid."
        ) from error
