"""Reading what clients send: bodies with a cap, JSON with nothing surprising in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from starlette.requests import Request


class BodyTooLarge(Exception):
    """The body has more bytes than allowed."""


class BadJson(Exception):
    """The body is no JSON object, or one that no client means to send."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body; BodyTooLarge beyond `limit` bytes."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`.

    Refused with BadJson: other values, duplicate members, NaN and Infinity, text that is no
    Unicode, nesting too deep to read.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise BadJson(str(error)) from error
    if not isinstance(value, dict):
        raise BadJson("not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
