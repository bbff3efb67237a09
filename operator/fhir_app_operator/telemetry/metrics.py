"""Prometheus metrics on a registry of their own.

Reconcile, work queue and REST calls carry the names of controller-runtime and client-go, so that
stock dashboards work, although this is neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """All series of the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "controller_runtime_reconcile", "Passes by controller and result.",
            ("controller", "result"), registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds", "Length of a pass.", ("controller",),
            registry=self.registry, buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
        )  # fmt: skip
        self._depth = Gauge(
            "workqueue_depth", "Keys that wait for a worker.", ("name",), registry=self.registry
        )
        self._graph = Counter(
            "graph_requests", "Answers of Microsoft Graph; code `none` for no answer.",
            ("method", "code"), registry=self.registry,
        )  # fmt: skip
        self._kube = Counter(
            "rest_client_requests", "Answers of the Kubernetes API server.", ("method", "code"),
            registry=self.registry,
        )  # fmt: skip
        self._expiry = Gauge(
            "fhirapp_credential_expiry_timestamp_seconds",
            "When the credential in the registration's Secret ends, in seconds since the epoch.",
            ("namespace", "name"), registry=self.registry,
        )  # fmt: skip

        self._drift = Counter(
            "fhirapp_drift_corrected", "Repairs that nobody asked for, by what had drifted.",
            ("what",), registry=self.registry,
        )  # fmt: skip

    def repaired(self, what: Iterable[str]) -> None:
        """Count what was put right without a new spec."""
        for name in what:
            self._drift.labels(name).inc()

    def passed(self, controller: str, result: str, seconds: float) -> None:
        """Count a pass of `controller` that ended in `result` after `seconds`."""
        self._reconciles.labels(controller, result).inc()
        self._seconds.labels(controller).observe(seconds)

    def depth(self, keys: int) -> None:
        """Note how many keys wait."""
        self._depth.labels("registrations").set(keys)

    def graph(self, method: str, status: int | None) -> None:
        """Count an answer of Graph, `status` None for none."""
        self._graph.labels(method, str(status or "none")).inc()

    def kube(self, method: str, status: int | None) -> None:
        """Count an answer of the API server, `status` None for none."""
        self._kube.labels(method, str(status or "none")).inc()

    def expiry(self, namespace: str, name: str, end: datetime | None) -> None:
        """Note when a registration's credential ends; None removes its series."""
        if end is not None:
            self._expiry.labels(namespace, name).set(end.timestamp())
        elif (namespace, name) in self._expiry._metrics:  # noqa: SLF001 - remove() raises if absent
            self._expiry.remove(namespace, name)

    def render(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(self.registry)
