"""Which copy of the directory serves a request, and how far behind it is.

Entra is eventually consistent: one replica is up to date, another one `lag` behind, and calls of an
application are served by either (Microsoft Entra devblog, "Designing for Eventual Consistency").
The sign-in service reads copies of its own, so a fresh credential is refused there for a while.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import cycle
from typing import Final

MAX_LAG: Final = timedelta(hours=1)
"""History older than this is forgotten."""


class Replica(StrEnum):
    """The two copies that serve requests."""

    FRESH = "fresh"
    LAGGING = "lagging"


ALTERNATING: Final = (Replica.FRESH, Replica.LAGGING)


@dataclass(slots=True)
class Replicas:
    """The lag, and whose turn it is.

    Args:
        lag: how far the lagging replica is behind.
        sign_in_lag: how far the sign-in service is behind; None: it reads as Graph does.
    """

    lag: timedelta = timedelta(0)
    sign_in_lag: timedelta | None = None
    behind_now: timedelta | None = None
    _turns: Iterator[Replica] = field(default_factory=lambda: cycle((Replica.LAGGING,)))

    @property
    def behind(self) -> timedelta:
        """How far behind the copy is that serves the current request."""
        return self.lag if self.behind_now is None else self.behind_now

    def serve_in_order(self, order: Sequence[Replica]) -> None:
        """Let the replicas serve requests in this order, over and over; at first none is fresh."""
        self._turns = cycle(order or (Replica.LAGGING,))
        self.behind_now = None

    def serve_at_random(self, seed: int) -> None:
        """Let either replica serve each request; the same ones again for the same seed."""
        draws = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._turns = (draws.choice(ALTERNATING) for _ in iter(int, 1))
        self.behind_now = None

    def turn(self) -> None:
        """Choose the copy for the next request to Graph."""
        is_fresh = next(self._turns) is Replica.FRESH
        self.behind_now = timedelta(0) if is_fresh else None

    def turn_to_sign_in(self) -> None:
        """Choose the copy for the next request to the sign-in service."""
        if self.sign_in_lag is None:
            self.turn()
        else:
            self.behind_now = self.sign_in_lag
