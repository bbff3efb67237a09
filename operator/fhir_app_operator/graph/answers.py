"""Reading an answer of Graph: how much of it, for how long, and whether it is one at all.

Answers are untrusted input, and what cannot be read is never taken for an empty answer: a body that
is no JSON object, or a list without members, proves nothing about the directory. What an error
answer means is in `graph.errors`, what documents must hold is in `graph.wire`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.transport import MAX_BODY


class TooLarge(Exception):
    """The body is larger than `MAX_BODY`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; the body is empty for 204 only."""

    status: int
    body: dict[str, Any]


async def read_capped(response: httpx.Response) -> bytes:
    """Return the body.

    Raises:
        TooLarge: it has more than `MAX_BODY` bytes; what comes after them is not read.
    """
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge
    return bytes(body)


def decode(body: bytes) -> Any:
    """Return the JSON value in `body`; None for anything else."""
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


def success(status: int, body: Any) -> Answer | None:
    """Return the answer, or None if it is not one: only 204 comes without a JSON object."""
    if status == HTTPStatus.NO_CONTENT:
        return Answer(status, {})
    return Answer(status, body) if isinstance(body, dict) else None


def members(body: Mapping[str, Any], operation: str) -> list[dict[str, Any]]:
    """Return the members of one page of a collection.

    Raises:
        Waiting: `GraphUnavailable`, it is no page: that is not the same as an empty one.
    """
    found = body.get("value")
    if not isinstance(found, list) or not all(isinstance(member, dict) for member in found):
        raise unreadable(operation, "value")
    return found


def unreadable(operation: str, where: str) -> Waiting:
    """Return the error of an answer that cannot be read; `where` names members, never values."""
    return Waiting(
        "GraphUnavailable",
        f"Microsoft Graph's answer to {operation} cannot be read ({where}); nothing was "
        "concluded from it",
    )
