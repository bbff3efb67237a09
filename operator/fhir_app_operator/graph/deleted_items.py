"""`/directory/deletedItems`: what lies in Entra's bin for 30 days, by object id.

Source: Microsoft Graph, "Get", "Restore" and "Permanently delete deleted item". Listing the bin
needs `Application.Read.All`, which the operator does not ask for.
"""

from __future__ import annotations

from fhir_app_operator.errors import Stalled
from fhir_app_operator.graph.applications import quoted
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.errors import Refused
from fhir_app_operator.graph.wire import DeletedDocument, parse
from fhir_app_operator.planning.model import Application


class DeletedItems:
    """The bin of one directory."""

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def application(self, object_id: str) -> Application | None:
        """Return the application with that object id if it is in the bin and may be read.

        Raises:
            Waiting: the directory is out of reach.
        """
        found = await self._read(object_id)
        return found.to_model() if found else None

    async def service_principal_app_id(self, object_id: str) -> str | None:
        """Return the client id of the service principal with that object id, if it is in the bin.

        Raises:
            Waiting: the directory is out of reach.
        """
        found = await self._read(object_id)
        return found.app_id if found else None

    async def _read(self, object_id: str) -> DeletedDocument | None:
        path = f"/directory/deletedItems/{quoted(object_id)}"
        try:
            body = await self._graph.get(path)
        except Refused:
            return None
        return None if body is None else parse(DeletedDocument, body, f"GET {path}")

    async def restore(self, object_id: str, what: str) -> None:
        """Take the object out of the bin.

        Raises:
            Stalled: `ApplicationDeleted` if the directory refuses; says how a person can do it.
            Waiting: the directory is out of reach.
        """
        call = Call(
            method="POST", path=f"/directory/deletedItems/{quoted(object_id)}/restore", payload={}
        )
        try:
            await self._graph.send(call)
        except Refused as refused:
            raise Stalled(
                "ApplicationDeleted",
                f"{what} {object_id} is in Entra's bin and cannot be restored from here; an "
                "administrator can restore it under App registrations > Deleted applications: "
                f"{refused.problem.cited()}",
            ) from None

    async def purge(self, object_id: str, *, young: bool) -> None:
        """Delete the object for good; one that is not in the bin (any more) is a success.

        Args:
            object_id: the object.
            young: whether it was deleted so lately that the bin may not show it yet.

        Raises:
            Waiting: `NotYetReplicated`, or out of reach.
            Stalled: `PermissionDenied` and the like.
        """
        path = f"/directory/deletedItems/{quoted(object_id)}"
        await self._graph.send(Call(method="DELETE", path=path, young=young))
