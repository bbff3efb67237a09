"""What the operator reads of namespaces: labels, whether they are going, the cluster's identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_app_operator.errors import Waiting
from fhir_app_operator.kube.api_server import ApiServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A namespace; one that does not exist reads as terminating, without labels."""

    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    terminating: bool = True


def parse_namespace(body: Mapping[str, Any]) -> Namespace:
    """Return the namespace in `body`, as the API server sends it."""
    metadata = body.get("metadata") or {}
    return Namespace(
        uid=metadata.get("uid", ""),
        labels=dict(metadata.get("labels") or {}),
        terminating=bool(metadata.get("deletionTimestamp")),
    )


class Namespaces:
    """The namespaces of the cluster; errors as in `ApiServer`."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    async def get(self, name: str) -> Namespace:
        """Return the namespace as it is now."""
        body = await self._api.get(f"/api/v1/namespaces/{name}", f"Namespace '{name}'")
        return Namespace() if body is None else parse_namespace(body)

    async def cluster_id(self) -> str:
        """Return the UID of `kube-system`, which is as good as a cluster's name can be.

        Raises:
            Waiting: there is no such namespace, so this is no cluster.
        """
        found = await self.get("kube-system")
        if not found.uid:
            raise Waiting("ApiServerUnavailable", "the namespace 'kube-system' cannot be read")
        return found.uid
