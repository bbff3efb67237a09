"""Reading the members of a request's JSON body; what is wrong is told by the member's name."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

Body = Mapping[str, Any]


class Refused(Exception):
    """The request is wrong; the text names the field."""


def only(body: Body, members: Collection[str]) -> None:
    """Refuse members that are not among `members`."""
    for name in body:
        if name not in members:
            raise Refused(f"{name} is not known; known are {', '.join(sorted(members))}")


def flag(body: Body, name: str) -> bool:
    """True or false; false if it is absent."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise Refused(f"{name} must be true or false")
    return value


def whole(body: Body, name: str, least: int, most: int) -> int | None:
    """A whole number, None if it is absent."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused(f"{name} must be a whole number from {least} to {most}")
    return value


def number(body: Body, name: str, most: float, *, least: float = 0) -> float:
    """A number that must be there."""
    value = body.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not least <= value <= most
    ):
        raise Refused(f"{name} must be a number from {least:g} to {most:g}")
    return value


def optional(body: Body, name: str, most: float) -> float | None:
    """A number, None if it is absent or null."""
    return None if body.get(name) is None else number(body, name, most)


def text(body: Body, name: str, most: int) -> str | None:
    """A text of at most `most` printable ASCII characters, None if it is absent."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise Refused(f"{name} must be a text of 1 to {most} characters")
    if not (value.isascii() and value.isprintable()):
        raise Refused(f"{name} must be a text of printable ASCII characters")
    return value


def words(body: Body, name: str, most: int) -> list[str]:
    """A list of texts, empty if it is absent."""
    value = body.get(name, [])
    if (
        not isinstance(value, list)
        or len(value) > most
        or not all(isinstance(item, str) for item in value)
    ):
        raise Refused(f"{name} must be a list of at most {most} texts")
    return value
