"""Counts calls: Graph's from the emulator's request log, Kubernetes' from the operator's metrics.

Those for the watches are among the latter. Not here: renewals of the operator's Lease, which go on
whatever it does; they are its only PUTs.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.errors import BenchmarkError

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PARTICULAR: Final = re.compile(rf"'[^']*'|{_UUID.pattern}")
_GRAPH: Final = "/v1.0/"
_LOG_CAPACITY: Final = 200_000
_SECONDS: Final = 60.0
_RENEWAL: Final = "PUT"

TenantSize = Literal["S", "M", "L"]
"""How Microsoft Graph's quotas for identity and access scale with a tenant's number of users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCalls:
    """The operator's calls of Microsoft Graph in some time.

    `by_type` has calls and writes by the type of the registration that they were about; what is
    about none of them, such as lists of the fleet, is under "". `by_operation` has calls by method
    and path, with `{}` for ids and names. Throttled calls are counted too.
    """

    calls: int
    writes: int
    throttled: int
    by_type: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    by_operation: Mapping[str, int] = field(default_factory=dict)


class Directory:
    """The emulator, through its admin API."""

    def __init__(self, http: httpx.Client, admin_url: str, operator_client_id: str) -> None:
        self._http = http
        self._url = admin_url
        self._operator = operator_client_id

    def set_latency(self, seconds: float) -> None:
        """Let every answer take `seconds` longer."""
        self._send("PUT", "/latency", {"seconds": seconds}).raise_for_status()

    def enforce_quotas(self, size: TenantSize) -> bool:
        """Enforce Graph's quotas for a tenant of `size`; False if the emulator has none."""
        answer = self._send("PUT", "/throttling", {"enabled": True, "size": size})
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return False
        answer.raise_for_status()
        return True

    def forget_calls(self) -> None:
        """Count from zero."""
        self._send("DELETE", "/requests").raise_for_status()

    def graph_calls(self, registrations: Iterable[Mapping[str, Any]] = ()) -> GraphCalls:
        """The operator's calls since `forget_calls`, by the types of `registrations`."""
        entries = self._send("GET", "/requests").raise_for_status().json()
        if len(entries) >= _LOG_CAPACITY:
            raise BenchmarkError("the emulator's request log is full: fewer registrations, please")
        owners = _owners(registrations)
        calls: Counter[str] = Counter()
        writes: Counter[str] = Counter()
        operations: Counter[str] = Counter()
        throttled = 0
        for entry in entries:
            if entry["caller"] != self._operator or not entry["path"].startswith(_GRAPH):
                continue
            about = _about(entry, owners)
            calls[about] += 1
            writes[about] += entry["method"] != "GET"
            operations[f"{entry['method']} {_PARTICULAR.sub('{}', entry['path'])}"] += 1
            throttled += entry["status"] == HTTPStatus.TOO_MANY_REQUESTS
        return GraphCalls(
            calls=calls.total(),
            writes=writes.total(),
            throttled=throttled,
            by_type={kind: (count, writes[kind]) for kind, count in sorted(calls.items())},
            by_operation=dict(operations.most_common()),
        )

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        return self._http.request(method, f"{self._url}{path}", json=body, timeout=_SECONDS)


def _owners(registrations: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The types of registrations by every id that a path may have for them."""
    owners = {}
    for body in registrations:
        status = body.get("status", {})
        ids = [status.get(name) for name in ("objectId", "appId", "servicePrincipalId")]
        for identifier in (body["metadata"]["uid"], *ids):
            owners[identifier] = body["spec"]["type"]
    return owners


def _about(entry: Mapping[str, str], owners: Mapping[str, str]) -> str:
    named = _UUID.findall(f"{entry['path']}?{entry['query']}")
    return next((owners[identifier] for identifier in reversed(named) if identifier in owners), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCounts:
    """What the operator's metrics say: Kubernetes calls by method, passes, keys that wait.

    Watches count as calls, renewals of the Lease do not.
    """

    kube_calls: Mapping[str, int]
    passes: Mapping[str, int]
    depth: int

    def since(self, earlier: "OperatorCounts") -> "OperatorCounts":
        """What came since `earlier`, of the same process."""
        return OperatorCounts(
            kube_calls=_less(self.kube_calls, earlier.kube_calls),
            passes=_less(self.passes, earlier.passes),
            depth=self.depth,
        )

    @property
    def total_kube_calls(self) -> int:
        """All Kubernetes calls."""
        return sum(self.kube_calls.values())

    @property
    def kube_writes(self) -> int:
        """Kubernetes calls that may change something."""
        return self.total_kube_calls - self.kube_calls.get("GET", 0)

    @property
    def settled_passes(self) -> int:
        """Passes over registrations that ended in success."""
        return self.passes.get("success", 0)


def operator_counts(text: str) -> OperatorCounts:
    """Read the operator's metrics page."""
    kube: Counter[str] = Counter()
    passes: Counter[str] = Counter()
    depth = 0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels, value = sample.labels, int(sample.value)
            if sample.name == "rest_client_requests_total":
                if labels["method"] != _RENEWAL:
                    kube[labels["method"]] += value
            elif sample.name == "controller_runtime_reconcile_total":
                if labels["controller"] == "fhirappregistration":
                    passes[labels["result"]] += value
            elif sample.name == "workqueue_depth":
                depth += value
    return OperatorCounts(kube_calls=dict(kube), passes=dict(passes), depth=depth)


def _less(now: Mapping[str, int], earlier: Mapping[str, int]) -> dict[str, int]:
    return {name: count - earlier.get(name, 0) for name, count in now.items()}
