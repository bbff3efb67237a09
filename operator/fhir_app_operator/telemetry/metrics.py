"""All series of the process, on a registry of their own, by what they are about.

Reconcile, work queue and REST calls carry the names of controller-runtime and client-go, so that
stock dashboards work, although this is neither. No label can take unboundedly many values:
registrations come and go with theirs, and no label is a UID or a client id.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from fhir_app_operator.telemetry.calls import GraphMetrics, RestMetrics
from fhir_app_operator.telemetry.fleet import FleetMetrics
from fhir_app_operator.telemetry.leader import LeaderMetrics
from fhir_app_operator.telemetry.work import PassMetrics, QueueMetrics


class Metrics:
    """The groups of series; each is told what happens by the part that it is about."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.leader = LeaderMetrics(self.registry)
        self.passes = PassMetrics(self.registry)
        self.queue = QueueMetrics(self.registry)
        self.kube = RestMetrics(self.registry)
        self.graph = GraphMetrics(self.registry)
        self.fleet = FleetMetrics(self.registry)

    def render(self) -> bytes:
        """Return all series in Prometheus' text format; may be called from any thread."""
        return generate_latest(self.registry)
