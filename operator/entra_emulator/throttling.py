"""Graph's quotas: what an application may spend in a tenant, as token buckets.

Source: "Microsoft Graph throttling limits", identity and access. Only the limits per application
and tenant are kept: resource units by the size of the tenant, and writes. Which request costs what
is told by the routes in `graph`; headers are written by `graph.endpoint`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

Size = Literal["S", "M", "L"]
UNITS: Final[dict[Size, int]] = {"S": 3500, "M": 5000, "L": 8000}
"""Resource units per `UNIT_SECONDS`: tenants below 50 users, up to 500, above."""
UNIT_SECONDS: Final = 10
WRITES: Final = 3000
WRITE_SECONDS: Final = 150
TELLING: Final = 0.8
"""The use from which answers tell it."""
MAX_USE: Final = 1.8
"""The use that refused requests add up to at most: they count like others."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One quota: `capacity` per `seconds`. `scope` and `reason` are what headers call it."""

    capacity: int
    seconds: int
    scope: str
    reason: str

    @property
    def rate(self) -> float:
        """What comes back per second."""
        return self.capacity / self.seconds


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is throttled, and in how many seconds the same one would fit."""

    retry_after: int
    scope: str
    reason: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request came to: the highest use of a quota (1.0 is all of it), and a refusal."""

    use: float = 0
    refusal: Refusal | None = None


@dataclass(slots=True)
class Bucket:
    """What is left of a limit at the moment `at`; below zero when refused requests piled up."""

    limit: Limit
    at: datetime
    left: float

    @classmethod
    def full(cls, limit: Limit, at: datetime) -> Bucket:
        """A bucket from which nothing was taken."""
        return cls(limit, at, limit.capacity)

    @property
    def use(self) -> float:
        """The part of the limit that is spent."""
        return 1 - self.left / self.limit.capacity

    def take(self, cost: int, now: datetime) -> int | None:
        """Take `cost`; the seconds to wait, at least 1, if so much was not there.

        It is taken in both cases: a request that is refused counts, and so does its repetition.
        """
        gained = max(0, (now - self.at).total_seconds()) * self.limit.rate
        before = min(self.limit.capacity, self.left + gained)
        self.at, self.left = now, max(before - cost, self.limit.capacity * (1 - MAX_USE))
        if before >= cost:
            return None
        return max(1, math.ceil((cost - self.left) / self.limit.rate))


@dataclass(slots=True)
class Quotas:
    """The quotas of all callers. Off until they are set."""

    enabled: bool = False
    size: Size = "S"
    _buckets: dict[tuple[str, str], tuple[Bucket, Bucket]] = field(default_factory=dict)

    def set(self, *, enabled: bool, size: Size = "S") -> None:
        """Switch the quotas on or off, with all buckets full."""
        self.enabled, self.size = enabled, size
        self._buckets.clear()

    def as_json(self) -> dict[str, object]:
        """The state as `/_emulator/throttling` shows and takes it."""
        return {"enabled": self.enabled, "size": self.size}

    def charge(
        self, app_id: str, tenant_id: str, units: int, *, is_write: bool, now: datetime
    ) -> Charge:
        """Take a request of that many resource units from the caller's quotas.

        A request over both limits is told the one that takes longer.
        """
        if not self.enabled:
            return Charge()
        caller = (app_id, tenant_id)
        pair = self._buckets.setdefault(caller, self._fresh(now))
        costs = ((pair[0], units), (pair[1], 1)) if is_write else ((pair[0], units),)
        refusals = []
        for bucket, cost in costs:
            wait = bucket.take(cost, now)
            if wait is not None:
                scope = f"Tenant_Application/{bucket.limit.scope}/{app_id}/{tenant_id}"
                refusals.append(Refusal(wait, scope, bucket.limit.reason))
        use = max(bucket.use for bucket, _ in costs)
        return Charge(use, max(refusals, key=lambda each: each.retry_after, default=None))

    def _fresh(self, now: datetime) -> tuple[Bucket, Bucket]:
        units = Limit(UNITS[self.size], UNIT_SECONDS, "ReadWrite", "ResourceUnitLimitExceeded")
        writes = Limit(WRITES, WRITE_SECONDS, "Write", "WriteLimitExceeded")
        return Bucket.full(units, now), Bucket.full(writes, now)
