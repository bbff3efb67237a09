"""How many registrations refer to a tenant or a FHIR server.

For status the index answers, as soon as it is complete; what may go is decided by a live list.
"""

from __future__ import annotations

from typing import Any

from fhir_app_operator.api.v1alpha1 import FhirAppRegistration
from fhir_app_operator.controller.allowed_clients import is_allowed
from fhir_app_operator.controller.keys import Index, RegistrationKey
from fhir_app_operator.controller.world import World
from fhir_app_operator.graph.flight import Flight
from fhir_app_operator.kube.registrations import Registrations


class Census:
    """The counts for status.

    Lists registrations until a listing has nothing that the index lacks; from then on the watches
    keep the index complete, and its answer saves megabytes in a large cluster.
    """

    def __init__(self, index: Index, registrations: Registrations) -> None:
        self._index = index
        self._registrations = registrations
        self._is_complete = False
        self._looks: Flight[bool] = Flight()

    async def of_tenant(self, tenant: str) -> int:
        """Return the number of registrations of `tenant`.

        Raises:
            Waiting: the API server is out of reach.
        """
        if self._is_complete:
            return self._index.count_of_tenant(tenant)
        users, is_complete = 0, True
        async for body in self._registrations.all():
            users += uses_tenant(body, tenant)
            is_complete = is_complete and _key(body) in self._index
        self._is_complete = is_complete
        return users

    async def of_server(self, server: FhirAppRegistration) -> int | None:
        """Return the number of registrations that refer to `server` and may; None: not known yet.

        Raises:
            Waiting: the API server is out of reach.
        """
        if not self._is_complete:
            self._is_complete = await self._looks.join(None, self._knows_all)
        if not self._is_complete:
            return None
        allowed: dict[str, bool | None] = {}
        for client in self._index.clients_of(_name(server)):
            if client.namespace not in allowed:
                allowed[client.namespace] = self._allows(server, client.namespace)
        if None in allowed.values():
            return None
        return sum(bool(allowed[c.namespace]) for c in self._index.clients_of(_name(server)))

    async def _knows_all(self) -> bool:
        """Whether the index has all there is; one listing serves all who ask meanwhile."""
        async for body in self._registrations.all():
            if _key(body) not in self._index:
                return False
        return True

    def _allows(self, server: FhirAppRegistration, namespace: str) -> bool | None:
        """Whether clients in `namespace` may refer to `server`; None: that takes unknown labels."""
        resource = server.spec.resource
        allowed = resource.allowed_clients if resource else None
        by_labels = allowed is not None and allowed.selector is not None
        if not by_labels or is_allowed(server, namespace, {}):
            return is_allowed(server, namespace, {})
        labels = self._index.labels_of(namespace)
        return None if labels is None else is_allowed(server, namespace, labels)


async def clients_left(world: World, server: FhirAppRegistration) -> list[str]:
    """Return the registrations that refer to `server`, may do so and are to stay, by a live list.

    Raises:
        Waiting: the API server is out of reach.
    """
    found: list[str] = []
    allowed: dict[str, bool] = {}
    async for body in world.registrations.all():
        meta = body["metadata"]
        if meta.get("deletionTimestamp") or not _refers(body, _name(server)):
            continue
        namespace = meta["namespace"]
        if namespace not in allowed:
            labels = dict((await world.namespaces.get(namespace)).labels)
            allowed[namespace] = is_allowed(server, namespace, labels)
        if allowed[namespace]:
            found.append(f"{namespace}/{meta['name']}")
    return found


def uses_tenant(body: dict[str, Any], tenant: str) -> bool:
    """Whether the registration in `body` refers to `tenant`."""
    reference = (body.get("spec") or {}).get("tenantRef") or {}
    return bool(reference.get("name", "default") == tenant)


def _refers(body: dict[str, Any], server: RegistrationKey) -> bool:
    reference = (body.get("spec") or {}).get("fhirServerRef") or {}
    namespace = reference.get("namespace") or body["metadata"]["namespace"]
    return bool((namespace, reference.get("name")) == (server.namespace, server.name))


def _key(body: dict[str, Any]) -> RegistrationKey:
    return RegistrationKey(body["metadata"]["namespace"], body["metadata"]["name"])


def _name(server: FhirAppRegistration) -> RegistrationKey:
    return RegistrationKey(server.metadata.namespace, server.metadata.name)
