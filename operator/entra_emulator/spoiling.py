"""Answers that arrive, but not as they should: cut, huge, slow, of wrong types.

Pure: the messages of a sound answer become those of a spoilt one, with the pauses between them.
Everything is deterministic. `exchange` sends them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from starlette.types import Message

HUGE: Final = 16 * 1024 * 1024
"""Bytes that a huge answer has more than the sound one."""
CHUNK: Final = 64 * 1024
DRIPS: Final = 60
"""Pieces in which a slow answer comes."""
ELSEWHERE: Final = "https://graph.elsewhere.example/v1.0/applications?$skiptoken=x"
_PAGE: Final = b"<!doctype html><html><body>Sign in to the network</body></html>"

_PAGE_HEADERS: Final = [(b"content-type", b"text/html")]

Step = tuple[float, Message | None]
"""Seconds to wait, then what to send; None ends the connection."""


class Spoilt(StrEnum):
    """How an answer is spoilt."""

    TRUNCATED = "truncated"
    """Half of the body, in a well-formed message."""
    INTERRUPTED = "interrupted"
    """Half of the body, then the connection ends."""
    HUGE = "huge"
    """Valid, with a member of `HUGE` bytes in front."""
    SLOW = "slow"
    """As it should be, drop by drop."""
    HTML = "html"
    """Status 200 with a page, as captive portals send it."""
    NO_CONTENT = "noContent"
    """204 without a body."""
    EMPTY = "empty"
    """An object without members."""
    NEXT_LINK = "nextLink"
    """With a next link to another host."""
    WRONG_TYPES = "wrongTypes"
    """Members hold values of another JSON type."""
    NULLS = "nulls"
    """Members hold null."""
    WITHOUT = "without"
    """Members are missing."""
    EMPTIED = "emptied"
    """Members that are lists are empty."""


def silence() -> Iterator[Step]:
    """No answer, and the connection stays."""
    yield math.inf, None


def cut() -> Iterator[Step]:
    """No answer, and the connection ends."""
    yield 0, None


def sent(answer: Iterable[Message]) -> Iterator[Step]:
    """The answer as it is."""
    return ((0, message) for message in answer)


def spoilt(
    how: Spoilt, answer: list[Message], members: frozenset[str], seconds: float
) -> Iterator[Step]:
    """The steps of an answer that is spoilt in that way; see `weather.Fault` for the arguments."""
    start = answer[0]
    body = b"".join(message.get("body", b"") for message in answer[1:])
    match how:
        case Spoilt.INTERRUPTED:
            return _interrupted(start, body)
        case Spoilt.HUGE:
            return _huge(start, body)
        case Spoilt.SLOW:
            return _slow(start, body, seconds)
        case Spoilt.HTML:
            return _whole({**start, "status": 200, "headers": _PAGE_HEADERS}, _PAGE)
        case Spoilt.NO_CONTENT:
            bare = _without_headers({**start, "status": 204}, b"content-")
            return sent([bare, _part(b"", more=False)])
        case _:
            return _whole(start, _rewritten(how, body, members))


def _rewritten(how: Spoilt, body: bytes, members: frozenset[str]) -> bytes:
    match how:
        case Spoilt.TRUNCATED:
            return body[: len(body) // 2]
        case Spoilt.EMPTY:
            return b"{}"
        case Spoilt.NEXT_LINK:
            return _edited(body, lambda value: value | {_NEXT: ELSEWHERE})
        case _:
            change = _CHANGES[how]
            return _edited(body, lambda value: _changed(value, members, change))


_NEXT: Final = "@odata.nextLink"
_ABSENT: Final = object()


def _whole(start: Message, body: bytes) -> Iterator[Step]:
    length = (b"content-length", str(len(body)).encode())
    bare = _without_headers(start, b"content-length")
    return sent([{**bare, "headers": [*bare["headers"], length]}, _part(body, more=False)])


def _interrupted(start: Message, body: bytes) -> Iterator[Step]:
    yield 0, start
    yield 0, _part(body[: len(body) // 2], more=True)
    yield 0, None


def _huge(start: Message, body: bytes) -> Iterator[Step]:
    """Padding first, so that who reads on gets a sound document."""
    yield 0, _without_headers(start, b"content-length")
    yield 0, _part(b'{"padding":"', more=True)
    for _ in range(HUGE // CHUNK):
        yield 0, _part(b"x" * CHUNK, more=True)
    rest = body[1:] if body.startswith(b"{") else b"}"
    yield 0, _part((b'"' if rest == b"}" else b'",') + rest, more=False)


def _slow(start: Message, body: bytes, seconds: float) -> Iterator[Step]:
    yield 0, start
    size = max(1, math.ceil(len(body) / DRIPS))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    for piece in pieces:
        yield seconds / len(pieces), _part(piece, more=True)
    yield 0 if pieces else seconds, _part(b"", more=False)


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _without_headers(start: Message, prefix: bytes) -> Message:
    kept = [pair for pair in start["headers"] if not pair[0].lower().startswith(prefix)]
    return {**start, "headers": kept}


def _edited(body: bytes, edit: Callable[[dict[str, Any]], Any]) -> bytes:
    """The body with its JSON object changed; another body stays as it is."""
    try:
        value = json.loads(body)
    except ValueError:
        return body
    if not isinstance(value, dict):
        return body
    return json.dumps(edit(value), ensure_ascii=False, separators=(",", ":")).encode()


def _changed(value: Any, names: frozenset[str], change: Callable[[Any], Any]) -> Any:
    """`value` with the named members changed, at whatever depth; all members if none is named."""
    if isinstance(value, list):
        return [_changed(item, names, change) for item in value]
    if not isinstance(value, Mapping):
        return value
    changed = {}
    for name, item in value.items():
        if "@odata." in name and name not in names:
            changed[name] = item
        elif names and name not in names:
            changed[name] = _changed(item, names, change)
        elif (new := change(item)) is not _ABSENT:
            changed[name] = new
    return changed


def _other_type(value: Any) -> Any:
    """A value of another JSON type."""
    if isinstance(value, str):
        return 7
    return [] if isinstance(value, Mapping) else "of another type"


_CHANGES: Final[Mapping[Spoilt, Callable[[Any], Any]]] = {
    Spoilt.WRONG_TYPES: _other_type,
    Spoilt.NULLS: lambda _value: None,
    Spoilt.WITHOUT: lambda _value: _ABSENT,
    Spoilt.EMPTIED: lambda value: [] if isinstance(value, list) else value,
}
