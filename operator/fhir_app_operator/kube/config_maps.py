"""The ConfigMap of a registration that asks for one: what its Secret says, without the credential.

First by POST, later by JSON merge patch with the live resourceVersion. What it should hold is
decided in planning. No other ConfigMap is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir_app_operator.api import names
from fhir_app_operator.errors import Stalled
from fhir_app_operator.kube import ownership
from fhir_app_operator.kube.api_server import MERGE_PATCH, ApiServer, Gone, Request
from fhir_app_operator.planning.model import ConfigMapState, Registration

_RIGHTS: Final = "`secret.configMap` needs the rights of deploy/config-maps"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfigMap:
    """A ConfigMap as it was read: what planning may know, and the rest for the next write."""

    name: str
    state: ConfigMapState
    metadata: Mapping[str, Any]


class ConfigMaps:
    """The ConfigMaps of the cluster; errors as in `ApiServer`, and what they mean here."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    async def read(self, registration: Registration, name: str) -> LiveConfigMap | None:
        """Return the ConfigMap called `name` beside the registration, None if there is none."""
        path = _path(registration.namespace, name)
        try:
            body = await self._send(Request(method="GET", path=path, what=_what(name)))
        except Gone:
            return None
        return _live(registration, body)

    async def write(
        self, live: LiveConfigMap | None, registration: Registration, name: str,
        data: Mapping[str, str], *, owned: bool,
    ) -> LiveConfigMap:  # fmt: skip
        """Create the ConfigMap, or patch the one that was read; return it as written.

        Args:
            live: what was read, None if there was none.
            registration: whose it is.
            name: its name.
            data: all that it should hold; other keys go.
            owned: whether it goes with the registration.

        Raises:
            Conflict: it appeared, changed or went since `live` was read.
            Stalled: `ConfigMapConflict`, the API server does not let it change (immutable).
        """
        metadata: dict[str, Any] = {
            "labels": ownership.labels_of(registration),
            "ownerReferences": ownership.owner_references(
                live.metadata if live else {}, registration, owned=owned
            ),
        }
        request = (
            _creation(registration.namespace, name, metadata, data)
            if live is None
            else _patch(registration.namespace, live, metadata, data)
        )
        try:
            return _live(registration, await self._send(request))
        except Stalled as error:
            if error.reason != "RequestRefused":
                raise
            raise Stalled(
                "ConfigMapConflict",
                f"{error.message}; is it `immutable`? Delete it to have it back",
            ) from None

    async def set_owned(
        self, live: LiveConfigMap, registration: Registration, *, owned: bool
    ) -> None:
        """Put our owner reference on, or take it off so that it outlives the registration.

        Raises:
            Conflict: it changed since `live` was read.
        """
        owners = ownership.owner_references(live.metadata, registration, owned=owned)
        version = live.metadata["resourceVersion"]
        body = {"metadata": {"resourceVersion": version, "ownerReferences": owners}}
        await self._send(
            Request(method="PATCH", path=_path(registration.namespace, live.name),
                    what=_what(live.name), body=body, content_type=MERGE_PATCH)
        )  # fmt: skip

    async def delete(self, live: LiveConfigMap, registration: Registration) -> None:
        """Delete the ConfigMap that was read, if it still is as it was.

        Raises:
            Conflict: it changed since `live` was read.
        """
        marks = {mark: live.metadata[mark] for mark in ("uid", "resourceVersion")}
        try:
            await self._send(
                Request(method="DELETE", path=_path(registration.namespace, live.name),
                        what=_what(live.name), body={"preconditions": marks})
            )  # fmt: skip
        except Gone:
            return

    async def _send(self, request: Request) -> dict[str, Any]:
        try:
            return await self._api.send(request)
        except Stalled as error:
            if error.reason != "PermissionDenied":
                raise
            raise Stalled("PermissionDenied", f"{error.message}; {_RIGHTS}") from None


def _creation(
    namespace: str, name: str, metadata: Mapping[str, Any], data: Mapping[str, str]
) -> Request:
    body = {
        "apiVersion": "v1", "kind": "ConfigMap", "data": dict(data),
        "metadata": {**metadata, "name": name},
    }  # fmt: skip
    return Request(method="POST", path=_path(namespace), what=_what(name), body=body)


def _patch(
    namespace: str, live: LiveConfigMap, metadata: Mapping[str, Any], data: Mapping[str, str]
) -> Request:
    gone = dict.fromkeys(live.state.data.keys() - data.keys())
    version = live.metadata["resourceVersion"]
    body = {
        "metadata": {**metadata, "resourceVersion": version},
        "data": {**gone, **data},
        "binaryData": None,
    }
    return Request(method="PATCH", path=_path(namespace, live.name), what=_what(live.name),
                   body=body, content_type=MERGE_PATCH)  # fmt: skip


def _live(registration: Registration, body: Mapping[str, Any]) -> LiveConfigMap:
    metadata = body.get("metadata") or {}
    managed = (metadata.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
    return LiveConfigMap(
        name=str(metadata.get("name", "")),
        state=ConfigMapState(
            ours=ownership.is_ours(metadata, registration),
            leftover=ownership.has_predecessor(metadata, registration),
            current=managed and not body.get("binaryData"),
            owner_reference=ownership.is_owned(metadata, registration),
            data=dict(body.get("data") or {}),
        ),
        metadata=metadata,
    )


def _what(name: str) -> str:
    return f"ConfigMap '{name}'"


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")
