"""`/servicePrincipals`: the presence of an application in the tenant, and an API's permissions.

Source: Microsoft Graph, "Upsert servicePrincipal".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.applications import UPSERT, quoted
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.errors import Refused
from fhir_app_operator.graph.wire import (
    OwnedPrincipalDocument,
    OwnPrincipalDocument,
    PermissionsDocument,
    ServicePrincipalDocument,
    parse,
    selection,
)
from fhir_app_operator.planning.model import PermissionIds

_SAME_KEY: Final = "Request_MultipleObjectsWithSameKeyValue"
"""Another service principal has that `appId`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposedApi:
    """An API in the tenant: its service principal, and its enabled permissions."""

    app_id: str
    service_principal_id: str
    permissions: PermissionIds


class ServicePrincipals:
    """The service principals of one directory; errors as in `Applications`."""

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def id_of(self, app_id: str) -> str | None:
        """Return the object id of the service principal of `app_id`, if there is one."""
        path = _path(app_id)
        body = await self._graph.get(path, {"$select": "id"})
        return None if body is None else parse(ServicePrincipalDocument, body, f"GET {path}").id

    async def of(self, app_id: str) -> OwnPrincipalDocument | None:
        """Return the service principal of an application of ours, if the directory shows it."""
        path = _path(app_id)
        body = await self._graph.get(path, {"$select": selection(OwnPrincipalDocument)})
        return None if body is None else parse(OwnPrincipalDocument, body, f"GET {path}")

    async def require_assignment(self, app_id: str, *, required: bool, young: bool) -> None:
        """PATCH whether only who was given an app role gets tokens for the application.

        Raises:
            Waiting: `NotYetReplicated` if the directory does not show the service principal.
            Stalled, Waiting: by consequence.
        """
        payload = {"appRoleAssignmentRequired": required}
        call = Call(method="PATCH", path=_path(app_id), payload=payload, young=young)
        if await self._graph.send(call) is None:
            raise Waiting("NotYetReplicated", "the service principal is not visible in Entra yet")

    async def upsert(self, app_id: str, *, young: bool, known: str | None = None) -> str:
        """Create the service principal unless it exists; return its object id.

        Args:
            app_id: the application's client id.
            young: whether the application is too young to be sure it is visible.
            known: the object id that its registration's status tells: a hint, for anybody who may
                write that could name somebody else's.

        Raises:
            Waiting: `NotYetReplicated` while its application is not visible everywhere, or the
                service principal itself is not: one whose creation had no answer.
            Stalled, Waiting: by consequence.
        """
        call = Call(method="PATCH", path=_path(app_id), payload={}, headers=UPSERT, young=young)
        try:
            answer = await self._graph.send(call)
        except Refused as refused:
            if refused.problem.code != _SAME_KEY:
                raise
            # It is there, whatever the replica that was asked could see.
            found = await self.id_of(app_id)
            if found is None and known is not None and await self._is_of(known, app_id):
                found = known
            if found is not None:
                return found
            raise Waiting(
                "NotYetReplicated",
                f"a service principal of {app_id} exists and is not visible in Entra yet; if it "
                "lies in Entra's bin, an administrator must restore it or delete it for good: "
                f"{refused.problem.cited()}",
            ) from None
        if answer is not None and answer.body:
            return parse(ServicePrincipalDocument, answer.body, call.operation).id
        found = await self.id_of(app_id)
        if found is None:
            raise Waiting("NotYetReplicated", "the service principal is not visible in Entra yet")
        return found

    async def _is_of(self, object_id: str, app_id: str) -> bool:
        """Whether the directory shows that service principal, and it is that application's."""
        path = f"/servicePrincipals/{quoted(object_id)}"
        query = {"$select": selection(OwnedPrincipalDocument)}
        body = await self._graph.get(path, query)
        return (
            body is not None and parse(OwnedPrincipalDocument, body, f"GET {path}").app_id == app_id
        )

    async def api(self, app_id: str) -> ExposedApi | None:
        """Return the API `app_id` as the tenant has it; None if it is not in the tenant."""
        return await self._api(_path(app_id))

    async def api_of(self, object_id: str) -> ExposedApi | None:
        """Return the API whose service principal has that object id; None if it is not there."""
        return await self._api(f"/servicePrincipals/{quoted(object_id)}")

    async def _api(self, path: str) -> ExposedApi | None:
        body = await self._graph.get(path, {"$select": selection(PermissionsDocument)})
        if body is None:
            return None
        found = parse(PermissionsDocument, body, f"GET {path}")
        return ExposedApi(
            app_id=found.app_id, service_principal_id=found.id, permissions=found.permission_ids()
        )


def _path(app_id: str) -> str:
    return f"/servicePrincipals(appId='{quoted(app_id)}')"
