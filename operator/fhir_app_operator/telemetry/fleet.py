"""The registrations: conditions and expiry of each, and what was done to them.

Kept as small records and turned into series when they are read: a fleet of thousands would
otherwise cost tens of megabytes. Not here: what a condition means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from fhir_app_operator.api.v1alpha1 import CredentialState, FhirAppRegistration

ROTATION_RESULTS: Final = ("success", "failure")


@dataclass(frozen=True, slots=True)
class _View:
    """What is shown of one registration."""

    type: str
    tenant: str
    conditions: tuple[tuple[str, str], ...]
    expiry: float | None


class FleetMetrics(Collector):
    """What is shown of each registration, until it is gone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._views: dict[tuple[str, str], _View] = {}
        self._drift = Counter(
            "fhirapp_drift_corrected", "Repairs that nobody asked for, by what had drifted.",
            ("what",), registry=registry,
        )  # fmt: skip
        self._rotations = Counter(
            "fhirapp_rotation", "Renewals of credentials that were due, by result.",
            ("result",), registry=registry,
        )  # fmt: skip
        for result in ROTATION_RESULTS:
            self._rotations.labels(result)
        registry.register(self)

    def seen(self, registration: FhirAppRegistration) -> None:
        """Show `registration` as it is now."""
        meta, status = registration.metadata, registration.status
        active = (c.end_time for c in status.credentials if c.state is CredentialState.ACTIVE)
        expiry = next(active, None)
        self._views[meta.namespace, meta.name] = _View(
            type=str(registration.spec.type),
            tenant=registration.spec.tenant_ref.name,
            conditions=tuple((c.type, c.status) for c in status.conditions),
            expiry=expiry.timestamp() if expiry else None,
        )

    def forget(self, namespace: str, name: str) -> None:
        """Show nothing of a registration that is gone."""
        self._views.pop((namespace, name), None)

    def repaired(self, what: Iterable[str]) -> None:
        """Count what was put right without a new spec, by property or object."""
        for name in what:
            self._drift.labels(name).inc()

    def rotated(self, result: str) -> None:
        """Count a renewal that was due and ended in `result`, one of `ROTATION_RESULTS`."""
        self._rotations.labels(result).inc()

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the series of all registrations."""
        who = ["namespace", "name"]
        info = GaugeMetricFamily(
            "fhirapp_info", "1 for each registration.", labels=[*who, "type", "tenant"]
        )
        condition = GaugeMetricFamily(
            "fhirapp_condition", "1 for the current status of each condition.",
            labels=[*who, "type", "status"],
        )  # fmt: skip
        expiry = GaugeMetricFamily(
            "fhirapp_credential_expiry_timestamp_seconds",
            "When the credential in the registration's Secret ends, in seconds since the epoch.",
            labels=who,
        )
        for key, view in list(self._views.items()):
            info.add_metric([*key, view.type, view.tenant], 1)
            for kind, status in view.conditions:
                condition.add_metric([*key, kind, status], 1)
            if view.expiry is not None:
                expiry.add_metric(key, view.expiry)
        yield from (info, condition, expiry)
