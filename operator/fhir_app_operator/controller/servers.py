"""What is remembered of FHIR servers' applications, for the passes of their clients.

Only what was seen to be a server's own; how that is found out is said in `references`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fhir_app_operator.graph.flight import Flight
from fhir_app_operator.planning.model import Application, PermissionIds


@dataclass(frozen=True, slots=True)
class KnownServer:
    """The application of a FHIR server, and the ids of what it exposes."""

    app_id: str
    permissions: PermissionIds
    pre_authorized: Mapping[str, frozenset[str]]
    """The scopes that it lets clients have without consent, by client id."""

    def exposes(self, values: set[str]) -> bool:
        """Whether all `values` are enabled roles or scopes of it."""
        return values <= self.permissions.app_roles.keys() | self.permissions.scopes.keys()


class Servers:
    """The servers of one directory, by the UID of their registration."""

    def __init__(self) -> None:
        self._known: dict[str, KnownServer] = {}
        self._lookups: Flight[KnownServer] = Flight()

    def get(self, uid: str) -> KnownServer | None:
        """Return what is known of the server."""
        return self._known.get(uid)

    def remember(self, uid: str, application: Application) -> KnownServer:
        """Keep what clients need of a server's application, seen to be its own, and return it."""
        known = self._known[uid] = known_server(application)
        return known

    def forget(self, uid: str) -> None:
        """Drop a server that is gone."""
        self._known.pop(uid, None)

    async def look_up(self, uid: str, call: Callable[[], Awaitable[Application]]) -> KnownServer:
        """Return what `call` finds, remembered; its clients come all at once, and share one call.

        Raises:
            what `call` raises.
        """

        async def remembered() -> KnownServer:
            return self.remember(uid, await call())

        return await self._lookups.join(uid, remembered)


def known_server(application: Application) -> KnownServer:
    """Return what clients need of `application`: its enabled permissions, by value."""
    values = {scope.id: scope.value for scope in application.scopes if scope.is_enabled}
    return KnownServer(
        app_id=application.app_id,
        permissions=PermissionIds(
            scopes={scope.value: scope.id for scope in application.scopes if scope.is_enabled},
            app_roles={role.value: role.id for role in application.app_roles if role.is_enabled},
        ),
        pre_authorized={
            each.app_id: frozenset(values[i] for i in each.scope_ids if i in values)
            for each in application.pre_authorized
        },
    )
