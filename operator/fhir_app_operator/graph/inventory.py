"""What the operator owns in a directory, read by paged lists: the fleet's state in a few calls.

Source: Microsoft Graph, "List ownedObjects". A snapshot may confirm that nothing differs; whatever
seems to differ, or is not in it, is read live before anything is done about it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.client import GraphClient
from fhir_app_operator.graph.flight import Flight
from fhir_app_operator.graph.service_principals import ServicePrincipals
from fhir_app_operator.graph.wire import (
    SELECT,
    ApplicationDocument,
    M,
    OwnedPrincipalDocument,
    parse,
    selection,
)
from fhir_app_operator.planning.model import Application

_PAGE: Final = "999"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that we own, as it was at `taken_at`."""

    taken_at: datetime
    applications: dict[str, Application] = field(default_factory=dict)
    """By object id."""
    service_principals: dict[str, str] = field(default_factory=dict)
    """Object ids by client id."""
    assignment_required: frozenset[str] = frozenset()
    """The client ids whose service principals ask for an assignment."""


class Inventory:
    """The snapshot of one directory, taken anew when it is too old.

    Args:
        graph: the directory.
        service_principals: to find the operator's own.
        client_id: the operator's application.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        graph: GraphClient,
        service_principals: ServicePrincipals,
        client_id: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._graph = graph
        self._service_principals = service_principals
        self._client_id = client_id
        self._clock = clock
        self._lists: Flight[Snapshot] = Flight()
        self._lookups: Flight[str | None] = Flight()
        self._own_id: str | None = None
        self._snapshot: Snapshot | None = None

    async def snapshot(self, max_age: timedelta) -> Snapshot:
        """Return a snapshot no older than `max_age`.

        Raises:
            Stalled, Waiting: by consequence.
        """
        known = self._snapshot
        if known is not None and self._clock() - known.taken_at < max_age:
            return known
        # The old one goes first: two of a large fleet would be too much memory.
        known = self._snapshot = None
        self._snapshot = await self._lists.join(None, self._take)
        return self._snapshot

    def service_principal(self, app_id: str) -> str | None:
        """Return what the last snapshot, of whatever age, says of the service principal."""
        known = self._snapshot
        return known.service_principals.get(app_id) if known is not None else None

    async def own_id(self) -> str:
        """Return the object id of the operator's own service principal.

        Raises:
            Waiting: `TenantNotReady`, the directory does not show it.
        """
        if self._own_id is None:
            look_up = partial(self._service_principals.id_of, self._client_id)
            self._own_id = await self._lookups.join(None, look_up)
        if self._own_id is None:
            raise Waiting(
                "TenantNotReady",
                f"the directory does not show the service principal of {self._client_id}",
            )
        return self._own_id

    async def _take(self) -> Snapshot:
        owned = f"/servicePrincipals/{await self.own_id()}/ownedObjects/microsoft.graph"
        taken_at = self._clock()
        applications = {
            each.id: each.to_model()
            async for each in self._list(f"{owned}.application", ApplicationDocument, SELECT)
        }
        principals, required = {}, set()
        listed = self._list(
            f"{owned}.servicePrincipal", OwnedPrincipalDocument, selection(OwnedPrincipalDocument)
        )
        async for each in listed:
            principals[each.app_id] = each.id
            if each.app_role_assignment_required:
                required.add(each.app_id)
        return Snapshot(
            taken_at=taken_at, applications=applications, service_principals=principals,
            assignment_required=frozenset(required),
        )  # fmt: skip

    async def _list(self, path: str, kind: type[M], select: str) -> AsyncIterator[M]:
        """Yield the members that can be read; the others are read live when they are needed."""
        async for body in self._graph.pages(path, {"$select": select, "$top": _PAGE}):
            try:
                member = parse(kind, body, f"GET {path}")
            except Waiting:
                continue
            yield member
