"""What is remembered of APIs in a directory: their service principals and permissions, by app id.

A memory of a day is enough to compare with; before something is granted, the API is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from fhir_app_operator.api.v1alpha1.well_known import WELL_KNOWN_APP_IDS
from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.applications import Applications
from fhir_app_operator.graph.flight import Flight
from fhir_app_operator.graph.inventory import Inventory
from fhir_app_operator.graph.service_principals import ExposedApi, ServicePrincipals

_MEMORY: Final = timedelta(days=1)
"""An API may drop a permission and make it anew, under another id."""
_MEMORY_OF_NONE: Final = timedelta(minutes=15)
"""An application that is not shown may be a young one."""


class Apis:
    """The APIs of one directory.

    Args:
        service_principals: to look them up.
        applications: to look up whose they are.
        inventory: knows the service principals of what we own.
        clock: tells how old a memory is.
    """

    def __init__(
        self,
        service_principals: ServicePrincipals,
        applications: Applications,
        inventory: Inventory,
        clock: Callable[[], datetime],
    ) -> None:
        self._service_principals = service_principals
        self._applications = applications
        self._inventory = inventory
        self._clock = clock
        self._read_at: dict[str, datetime] = {}
        self._known: dict[str, ExposedApi] = {}
        self._lookups: Flight[ExposedApi | None] = Flight()
        self._by_object_id: Flight[ExposedApi | None] = Flight()
        self._tags: dict[str, tuple[datetime, frozenset[str]]] = {}
        """With the end of each memory."""
        self._tag_lookups: Flight[frozenset[str]] = Flight()

    async def exposing(self, app_id: str, values: frozenset[str]) -> ExposedApi | None:
        """Return the API, read again if not all `values` were known; None if it is not there.

        Raises:
            Stalled, Waiting: by consequence.
        """
        known = self._known.get(app_id)
        if (
            known is not None
            and values <= known.permissions.values
            and self._clock() - self._read_at[app_id] < _MEMORY
        ):
            return known
        return await self._lookups.join(app_id, partial(self.read, app_id))

    async def read(self, app_id: str) -> ExposedApi | None:
        """Return what the directory shows of the API right now.

        Raises:
            Stalled, Waiting: by consequence.
        """
        return self._remembered(await self._service_principals.api(app_id))

    def _remembered(self, found: ExposedApi | None) -> ExposedApi | None:
        if found is not None:
            self._known[found.app_id] = found
            self._read_at[found.app_id] = self._clock()
        return found

    async def having(self, object_id: str, role_ids: frozenset[str]) -> ExposedApi | None:
        """Return the API by the object id of its service principal; None if it is not there.

        Read again if not all roles of these ids were known.

        Raises:
            Stalled, Waiting: by consequence.
        """

        async def read() -> ExposedApi | None:
            return self._remembered(await self._service_principals.api_of(object_id))

        for app_id, known in self._known.items():
            if (
                known.service_principal_id == object_id
                and role_ids <= set(known.permissions.app_roles.values())
                and self._clock() - self._read_at[app_id] < _MEMORY
            ):
                return known
        return await self._by_object_id.join(object_id, read)

    async def tags(self, app_id: str) -> frozenset[str]:
        """Return the tags of the API's application; none if it is another tenant's, or not there.

        Ours never change, so that a memory will do: what it tells of a registration that is gone
        has to be forgotten.

        Raises:
            Stalled, Waiting: by consequence.
        """
        if app_id in WELL_KNOWN_APP_IDS.values():
            return frozenset()
        until, known = self._tags.get(app_id, (None, frozenset()))
        if until is not None and self._clock() < until:
            return known
        return await self._tag_lookups.join(app_id, partial(self._read_tags, app_id))

    async def _read_tags(self, app_id: str) -> frozenset[str]:
        found = await self._applications.by_app_id(app_id)
        tags = found.tags if found is not None else frozenset()
        memory = _MEMORY if found is not None else _MEMORY_OF_NONE
        self._tags[app_id] = (self._clock() + memory, tags)
        return tags

    def forget(self, app_id: str) -> None:
        """Drop what is known of an API that a manifest may not name, or that is not there.

        The next look takes the same calls for both.
        """
        for memory in (self._known, self._read_at, self._tags):
            memory.pop(app_id, None)

    async def service_principal(self, app_id: str) -> str | None:
        """Return the object id of the API's service principal, as far as anybody knows it.

        Raises:
            Stalled, Waiting: by consequence.
        """
        known = self._known.get(app_id)
        if known is not None:
            return known.service_principal_id
        listed = self._inventory.service_principal(app_id)
        if listed is not None:
            return listed
        found = await self._lookups.join(app_id, partial(self.read, app_id))
        return found.service_principal_id if found else None

    async def writable(self, app_id: str, resource_id: str) -> ExposedApi:
        """Return the API as it is right now, to grant something on it.

        Raises:
            Waiting: `NotYetReplicated`, its service principal is another one, or not visible.
        """
        found = await self.read(app_id)
        if found is None or found.service_principal_id != resource_id:
            raise Waiting(
                "NotYetReplicated",
                f"the service principal of {app_id} is not visible in Entra as it was before",
            )
        return found
