"""Paths of Graph requests, as OData writes them, split into names and keys.

What real clients send and Graph takes: `//`, `/beta`, `/myorganization`, names in any case, keys as
`applications/{id}`, `applications('id')` or `applications(appId='…')`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from entra_emulator.directory.directory import Key
from entra_emulator.directory.errors import GraphError, bad_request, no_user, segment_not_found

VERSIONS: Final = frozenset({"v1.0", "beta"})
KEY: Final = "{}"
"""Stands for a key in a template."""

Token = str | Key
_KEYED = re.compile(r"(?P<name>[^()]+)\((?:(?P<prop>\w+)=)?'(?P<value>(?:[^']|'')*)'\)")


def tokens(raw_path: bytes) -> list[Token]:
    """The path behind the version: names, and keys given in parentheses.

    Raises GraphError for what is no Graph path.
    """
    parts = [_decode(part) for part in _split(raw_path) if part]
    if not parts or parts[0].lower() not in VERSIONS:
        raise bad_request("Invalid version.", code="BadRequest")
    del parts[0]
    if parts and parts[0].lower() == "myorganization":
        del parts[0]
    found: list[Token] = []
    for part in parts:
        keyed = _KEYED.fullmatch(part)
        if keyed is None:
            found.append(part)
            continue
        value = keyed["value"].replace("''", "'")
        found += [keyed["name"], Key(value, keyed["prop"])]
    return found


def match(template: Sequence[str], path: Sequence[Token]) -> tuple[Key, ...] | None:
    """The keys of `path` if it has the form of `template`."""
    if len(template) != len(path):
        return None
    keys = []
    for wanted, token in zip(template, path, strict=True):
        if wanted == KEY:
            keys.append(token if isinstance(token, Key) else Key(token))
        elif not isinstance(token, str) or token.lower() != wanted.lower():
            return None
    return tuple(keys)


def wrong_method(method: str) -> GraphError:
    """The refusal of a method that the path does not take."""
    message = f"Specified HTTP method is not allowed for the request target: {method}."
    return GraphError(405, "Request_BadRequest", message)


def refuse(path: Sequence[Token]) -> GraphError:
    """The refusal of a path that nothing serves: Graph names the segment it stumbles over."""
    names = [token for token in path if isinstance(token, str)]
    if names and names[0].lower() == "me":
        return no_user()
    return segment_not_found(names[-1] if names else "")


def _split(raw_path: bytes) -> list[bytes]:
    """The segments; a slash in a quoted key does not end one."""
    segments, current, quoted = [], bytearray(), False
    for byte in raw_path:
        character = bytes([byte])
        if character == b"'":
            quoted = not quoted
        if character == b"/" and not (quoted and b"(" in current):
            segments.append(bytes(current))
            current.clear()
        else:
            current += character
    return [*segments, bytes(current)]


def _decode(segment: bytes) -> str:
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_request("The path cannot be decoded.", code="BadRequest") from error
