"""Which replica works, under client-go's name.

Source: component-base `metrics/prometheus/clientgo/leaderelection`.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge


class LeaderMetrics:
    """Whether this process leads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._status = Gauge(
            "leader_election_master_status",
            "Whether this process may write: 1 for the leader, 0 for a standby.",
            ("name",), registry=registry,
        )  # fmt: skip

    def show(self, name: str, is_leading: Callable[[], bool]) -> None:
        """Show the Lease called `name`; `is_leading` is asked at each scrape."""
        self._status.labels(name).set_function(lambda: float(is_leading()))
