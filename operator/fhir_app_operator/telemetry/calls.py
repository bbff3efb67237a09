"""Calls to other servers: the Kubernetes API server under client-go's names, Graph under ours."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

_REST_SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_GRAPH_SECONDS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
NO_ANSWER: Final = "<error>"
"""The code of a call without an answer, as client-go has it."""


class RestMetrics:
    """Calls to the Kubernetes API server, the watches' included.

    Source: Kubernetes `component-base/metrics/prometheus/restclient`.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "rest_client_requests",
            "Calls to the Kubernetes API server; code `<error>` for no answer.",
            ("code", "method", "host"), registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "rest_client_request_duration_seconds",
            "How long the API server took to answer.", ("verb", "host"),
            registry=registry, buckets=_REST_SECONDS,
        )  # fmt: skip

    def answered(self, host: str, method: str, status: int | None, seconds: float) -> None:
        """Count a call to `host` that took `seconds`; `status` None for no answer."""
        self._requests.labels(str(status or NO_ANSWER), method, host).inc()
        self._seconds.labels(method, host).observe(seconds)


class GraphMetrics:
    """Calls to Microsoft Graph by operation, such as `PATCH /applications/{id}`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "graph_requests", "Calls to Microsoft Graph; code `<error>` for no answer.",
            ("operation", "code"), registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "graph_request_duration_seconds",
            "How long Microsoft Graph took to answer, without our own waiting for the quota.",
            ("operation",), registry=registry, buckets=_GRAPH_SECONDS,
        )  # fmt: skip
        self._throttled = Counter(
            "graph_throttled", "Calls that Microsoft Graph refused with 429.", registry=registry
        )

    def answered(self, operation: str, status: int | None, seconds: float) -> None:
        """Count a call of `operation` that took `seconds`; `status` None for no answer."""
        self._requests.labels(operation, str(status or NO_ANSWER)).inc()
        self._seconds.labels(operation).observe(seconds)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self._throttled.inc()
