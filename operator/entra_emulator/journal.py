"""The log of requests to sign-in and Graph: what tests and the demo count."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from entra_emulator.clock import timestamp

CAPACITY: Final = 200_000
"""Older entries are dropped."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `status` is None if the answer was dropped, `caller` an appId if known.

    `query` is the query string as it was sent; sign-in parameters in bodies are never kept.
    """

    time: datetime
    method: str
    path: str
    query: str
    status: int | None
    caller: str | None

    def as_json(self) -> dict[str, Any]:
        """The entry as `GET /_emulator/requests` shows it."""
        return {
            "time": timestamp(self.time),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "status": self.status,
            "caller": self.caller,
        }


class Journal:
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=CAPACITY)

    def write(self, entry: Entry) -> None:
        """Add an entry."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
