"""The operator's Lease: read, create, replace. Who may lead, and for how long, is not decided here.

Source: Kubernetes API reference, Lease (coordination.k8s.io/v1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from fhir_app_operator.kube.api_server import ApiServer, Request
from fhir_app_operator.kube.times import micro_time

_API: Final = "coordination.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a Lease says.

    Args:
        holder: who leads; None: nobody.
        duration: seconds after which others may take it if it has not changed; 0: it does not say.
        acquired, renewed: in the holder's wall-clock time, for people only.
        transitions: how often it has changed hands.
    """

    holder: str | None
    duration: int
    acquired: str
    renewed: str
    transitions: int

    def renewed_at(self, moment: datetime) -> Record:
        """Return the record of a holder who is still there at `moment`."""
        return Record(
            holder=self.holder, duration=self.duration, acquired=self.acquired,
            renewed=micro_time(moment), transitions=self.transitions,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease as it was read or written, and what it says."""

    record: Record
    body: Mapping[str, Any] = field(repr=False)


class Leases:
    """The one Lease called `name` in `namespace`.

    Every write is guarded: a create by the name, a replacement by the resourceVersion that was
    read, so that a write that lands late changes nothing.
    """

    def __init__(self, api: ApiServer, namespace: str, name: str) -> None:
        self._api = api
        self._path = f"/apis/{_API}/namespaces/{namespace}/leases"
        self._name = name
        self._what = f"Lease '{namespace}/{name}'"

    async def read(self) -> Lease | None:
        """Return the Lease, None if there is none.

        Raises:
            Stalled: `PermissionDenied`.
            Waiting: the API server is out of reach.
        """
        body = await self._api.get(f"{self._path}/{self._name}", self._what)
        return None if body is None else _lease(body)

    async def create(self, record: Record) -> Lease:
        """Create the Lease with `record`.

        Raises:
            Conflict: somebody was first.
            Stalled, Waiting: as `read`.
        """
        body = {
            "apiVersion": _API,
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": _spec(record),
        }
        request = Request(method="POST", path=self._path, what=self._what, body=body)
        return _lease(await self._api.send(request))

    async def replace(self, lease: Lease, record: Record) -> Lease:
        """Make `lease` say `record`.

        Raises:
            Conflict: it has changed or gone since `lease` was read.
            Stalled, Waiting: as `read`.
        """
        body = {**lease.body, "spec": {**(lease.body.get("spec") or {}), **_spec(record)}}
        path = f"{self._path}/{self._name}"
        return _lease(
            await self._api.send(Request(method="PUT", path=path, what=self._what, body=body))
        )


def _spec(record: Record) -> dict[str, Any]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration,
        "acquireTime": record.acquired,
        "renewTime": record.renewed,
        "leaseTransitions": record.transitions,
    }


def _lease(body: dict[str, Any]) -> Lease:
    spec = body.get("spec") or {}
    record = Record(
        holder=spec.get("holderIdentity") or None,
        duration=spec.get("leaseDurationSeconds") or 0,
        acquired=spec.get("acquireTime") or "",
        renewed=spec.get("renewTime") or "",
        transitions=spec.get("leaseTransitions") or 0,
    )
    return Lease(record, body)
