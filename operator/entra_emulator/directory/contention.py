"""Concurrent edits: Entra refuses a credential write that follows another one too closely.

Seen as `Directory_ConcurrencyViolation`, with status 409 or 503, when a second credential of an
application is written within seconds. Off unless it is set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from entra_emulator.directory.errors import concurrency_violation


@dataclass(slots=True)
class Contention:
    """Credential writes to one object must be `spacing` apart; else `status` is answered."""

    spacing: timedelta = timedelta(0)
    status: int = 409
    _last: dict[str, datetime] = field(default_factory=dict)

    def write(self, object_id: str, now: datetime) -> None:
        """Enter a credential write; GraphError if it comes too early."""
        if self.spacing <= timedelta(0):
            return
        last = self._last.get(object_id)
        if last is not None and now - last < self.spacing:
            raise concurrency_violation(self.status)
        self._last[object_id] = now
