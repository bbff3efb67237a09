"""Faults as `/_emulator/faults` takes them; what each means is told by `weather.Fault`."""

from __future__ import annotations

import re
from typing import Final, Literal

from entra_emulator.admin.fields import Body, Refused, flag, number, only, text, whole, words
from entra_emulator.spoiling import Spoilt
from entra_emulator.weather import SLOW_SECONDS, Fault

MAX_SECONDS: Final = 3600
MAX_TIMES: Final = 1_000_000
_METHODS: Final = frozenset({"*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_MEMBERS: Final = frozenset(
    {"method", "path", "times", "skip", "when", "status", "code", "retryAfter", "drop", "hang"}
    | {"answer", "members", "seconds"}
)
_OF_ANSWERS: Final = frozenset({"members", "seconds"})
_OF_STATUS: Final = frozenset({"code", "retryAfter"})


def fault(body: Body) -> Fault:
    """The fault; Refused if it is none."""
    only(body, _MEMBERS)
    status, answer = whole(body, "status", 400, 599), _answer(body)
    drop, hang = flag(body, "drop"), flag(body, "hang")
    if (status is not None) + drop + hang + (answer is not None) != 1:
        raise Refused("status or drop, hang, answer: give exactly one of them")
    _refuse_idle(body, answer)
    return Fault(
        path=_pattern(body),
        method=_method(body),
        times=whole(body, "times", 1, MAX_TIMES) or 1,
        skip=whole(body, "skip", 0, MAX_TIMES) or 0,
        when=_when(body),
        status=status,
        code=text(body, "code", 100),
        retry_after=_retry_after(body),
        drop=drop,
        hang=hang,
        answer=answer,
        members=frozenset(words(body, "members", 100)),
        seconds=number(body, "seconds", MAX_SECONDS) if "seconds" in body else SLOW_SECONDS,
    )


def _refuse_idle(body: Body, answer: Spoilt | None) -> None:
    """Nothing is taken that would have no meaning."""
    for name in _OF_ANSWERS if answer is None else _OF_STATUS:
        if name in body:
            raise Refused(f"{name} has no meaning for this fault")
    if answer is not None and body.get("when") == "before":
        raise Refused("when: a call whose answer is spoilt has its effect")
    if body.get("status") is None and _OF_STATUS & body.keys():
        raise Refused("code and retryAfter need a status")


def _answer(body: Body) -> Spoilt | None:
    value = body.get("answer")
    if value is None:
        return None
    for known in Spoilt:
        if value == known.value:
            return known
    raise Refused(f"answer must be one of {', '.join(Spoilt)}")


def _pattern(body: Body) -> re.Pattern[str]:
    path = body.get("path")
    if not isinstance(path, str):
        raise Refused("path must be a regular expression")
    try:
        return re.compile(path)
    except (re.error, RecursionError, OverflowError) as error:
        raise Refused(f"path is no regular expression: {error}") from error


def _method(body: Body) -> str:
    method = body.get("method", "*")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise Refused(f"method must be one of {', '.join(sorted(_METHODS))}")
    return method.upper()


def _when(body: Body) -> Literal["before", "after"]:
    when = body.get("when", "before")
    if when == "before":
        return "before"
    if when == "after":
        return "after"
    raise Refused("when must be before or after")


def _retry_after(body: Body) -> int | str | None:
    """Seconds, or a text that is sent as it is: a date, or nonsense."""
    if isinstance(body.get("retryAfter"), str):
        return text(body, "retryAfter", 100)
    return whole(body, "retryAfter", 0, 86_400)
