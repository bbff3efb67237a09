"""What can go wrong on the way: injected faults, latency, a clock that tells the wrong time.

Faults are matched here and applied by `exchange`; what a spoilt answer looks like is in `spoiling`.
Replication lag is the directory's own (`directory.replicas`), so are its policies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, Literal

import httpx

from entra_emulator.spoiling import Spoilt

SLOW_SECONDS: Final = 600


class ConnectionDropped(httpx.ReadError):
    """The connection ended without an answer, or in the middle of one.

    Raised through `httpx.ASGITransport` in process, where it is a transport error like those of a
    real connection. Over sockets the connection is cut instead.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to go wrong with the next `times` calls whose method and path match.

    `skip` of the matching calls pass first. What happens is exactly one of:

    - `status` is answered with the error `code` (a Graph code, or the AADSTS number at the token
      endpoint) and `retry_after`: seconds, or any text, such as an HTTP date;
    - `drop`: the connection ends without an answer;
    - `hang`: there is no answer, and the connection stays;
    - `answer`: the call's own answer arrives spoilt. `members` are the names of the JSON members
      that are meant, all if it is empty; `seconds` is how long a slow answer takes.

    `when`: the first three take place before the call has its effect, or after. A call whose answer
    is spoilt always has its effect.
    """

    path: re.Pattern[str]
    method: str = "*"
    times: int = 1
    when: Literal["before", "after"] = "before"
    status: int | None = None
    code: str | None = None
    retry_after: int | str | None = None
    drop: bool = False
    hang: bool = False
    answer: Spoilt | None = None
    members: frozenset[str] = frozenset()
    seconds: float = SLOW_SECONDS
    skip: int = 0

    def __post_init__(self) -> None:
        if (self.status is not None) + self.drop + self.hang + (self.answer is not None) != 1:
            raise ValueError("give exactly one of status, drop, hang and answer")

    @property
    def lets_effect(self) -> bool:
        """Whether the call has its effect all the same."""
        return self.when == "after" or self.answer is not None

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault is meant for that call."""
        return self.method in {"*", method} and self.path.search(path) is not None

    def as_json(self) -> dict[str, Any]:
        """The fault in the form in which it was posted."""
        return {
            "method": self.method,
            "path": self.path.pattern,
            "times": self.times,
            "skip": self.skip,
            "when": "after" if self.lets_effect else "before",
            "status": self.status,
            "code": self.code,
            "retryAfter": self.retry_after,
            "drop": self.drop,
            "hang": self.hang,
            "answer": self.answer,
            "members": sorted(self.members),
            "seconds": self.seconds,
        }


@dataclass(slots=True)
class Weather:
    """The faults still to come, oldest first, and what holds for every call.

    `latency` in seconds; `skew` is what the `Date` of answers is ahead of the emulator's time.
    """

    faults: list[Fault] = field(default_factory=list)
    latency: float = 0
    skew: timedelta = timedelta(0)

    def add(self, fault: Fault) -> None:
        """Let `fault` happen."""
        self.faults.append(fault)

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that hits this call, which counts as one of its times."""
        for position, fault in enumerate(self.faults):
            if not fault.matches(method, path):
                continue
            if fault.skip > 0:
                self.faults[position] = replace(fault, skip=fault.skip - 1)
                continue
            left = replace(fault, times=fault.times - 1)
            self.faults[position : position + 1] = [left] if left.times > 0 else []
            return fault
        return None

    def clear(self) -> None:
        """No faults, no latency, the right time."""
        self.faults.clear()
        self.latency, self.skew = 0, timedelta(0)
