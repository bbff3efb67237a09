"""Events in `events.k8s.io/v1` form, repeats aggregated into a series as client-go does.

An event that cannot be written is dropped: events are for people, not for correctness.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import EntraTenant, FhirAppRegistration
from fhir_app_operator.errors import OperatorError
from fhir_app_operator.kube.api_server import MERGE_PATCH, ApiServer, Request
from fhir_app_operator.kube.times import micro_time
from fhir_app_operator.planning.notices import Notice

_REMEMBERED: Final = 4096
_SERIES_ENDS: Final = timedelta(minutes=6)
_NOTE_LIMIT: Final = 1024
_OF_CLUSTER: Final = "default"
"""Where events about cluster-scoped objects are, as client-go has it."""

Regarding = FhirAppRegistration | EntraTenant


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    last: datetime


class Events:
    """Writes events about registrations and tenants.

    Args:
        api: the API server.
        clock: the time, in UTC.
        instance: the name of the process, such as the Pod's.
    """

    def __init__(self, api: ApiServer, clock: Callable[[], datetime], instance: str) -> None:
        self._api = api
        self._clock = clock
        self._instance = instance
        self._series: OrderedDict[tuple[str, ...], _Series] = OrderedDict()
        self._log = structlog.get_logger("events")

    async def publish(self, regarding: Regarding, notice: Notice) -> None:
        """Write `notice` about the object, or count it up if it was written lately."""
        now = self._clock()
        key = (regarding.metadata.uid, notice.type, notice.reason, notice.note)
        known = self._series.get(key)
        try:
            if known is not None and now - known.last < _SERIES_ENDS:
                await self._repeat(regarding, known, now)
            else:
                await self._first(regarding, notice, key, now)
        except OperatorError as error:
            self._series.pop(key, None)
            self._log.debug("event dropped", reason=error.reason, about=notice.reason)

    async def _first(
        self, regarding: Regarding, notice: Notice, key: tuple[str, ...], now: datetime
    ) -> None:
        meta, namespace = regarding.metadata, _namespace(regarding)
        name = f"{meta.name}.{int(now.timestamp() * 1_000_000):x}"
        document = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": micro_time(now),
            "reportingController": f"{names.GROUP}/{names.FIELD_MANAGER}",
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "type": notice.type,
            "reason": notice.reason,
            "note": notice.note[:_NOTE_LIMIT],
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": _kind(regarding),
                "name": meta.name,
                "namespace": meta.namespace,
                "uid": meta.uid,
                "resourceVersion": meta.resource_version,
            },
        }
        await self._send("POST", namespace, "", document)
        self._series[key] = _Series(name, 1, now)
        while len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)

    async def _repeat(self, regarding: Regarding, known: _Series, now: datetime) -> None:
        known.count += 1
        known.last = now
        series = {"count": known.count, "lastObservedTime": micro_time(now)}
        await self._send("PATCH", _namespace(regarding), f"/{known.name}", {"series": series})

    async def _send(self, method: str, namespace: str, name: str, body: dict[str, Any]) -> None:
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events{name}"
        content_type = MERGE_PATCH if method == "PATCH" else "application/json"
        await self._api.send(
            Request(method=method, path=path, what="Event", body=body, content_type=content_type)
        )


def _namespace(regarding: Regarding) -> str:
    return regarding.metadata.namespace or _OF_CLUSTER


def _kind(regarding: Regarding) -> str:
    return names.TENANT_KIND if isinstance(regarding, EntraTenant) else names.REGISTRATION_KIND
