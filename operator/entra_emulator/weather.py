"""What can go wrong on the way: injected faults, latency.

Replication lag is the directory's own (`directory.store`). Faults are matched here and applied by
`exchange`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx


class ConnectionDropped(httpx.ReadError):
    """The connection ended without an answer.

    Raised through `httpx.ASGITransport` in process, where it is a transport error like those of a
    real connection. Over sockets the connection is cut instead.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to go wrong with the next `times` calls whose method and path match.

    `when`: before the call has its effect, or after. Either the connection is dropped, or `status`
    is answered with the error `code` (a Graph code, or the AADSTS number at the token endpoint) and
    `retry_after` seconds.
    """

    path: re.Pattern[str]
    method: str = "*"
    times: int = 1
    when: Literal["before", "after"] = "before"
    status: int | None = None
    code: str | None = None
    retry_after: int | None = None
    drop: bool = False

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault is meant for that call."""
        return self.method in {"*", method} and self.path.search(path) is not None

    def as_json(self) -> dict[str, Any]:
        """The fault in the form in which it was posted."""
        return {
            "method": self.method,
            "path": self.path.pattern,
            "times": self.times,
            "when": self.when,
            "status": self.status,
            "code": self.code,
            "retryAfter": self.retry_after,
            "drop": self.drop,
        }


@dataclass(slots=True)
class Weather:
    """The faults still to come, oldest first, and the latency of every call in seconds."""

    faults: list[Fault] = field(default_factory=list)
    latency: float = 0

    def add(self, fault: Fault) -> None:
        """Let `fault` happen."""
        self.faults.append(fault)

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that hits this call, which counts as one of its times."""
        for position, fault in enumerate(self.faults):
            if fault.matches(method, path):
                left = replace(fault, times=fault.times - 1)
                self.faults[position : position + 1] = [left] if left.times > 0 else []
                return fault
        return None

    def clear(self) -> None:
        """No faults, no latency."""
        self.faults.clear()
        self.latency = 0
