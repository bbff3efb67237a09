"""`appRoleAssignments` of a service principal: the app roles of APIs that it holds.

Sources: Microsoft Graph, "List appRoleAssignments granted to a service principal", "Grant an
appRoleAssignment to a service principal", "Delete an appRoleAssignment". What should be there is
decided in planning.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fhir_app_operator.errors import OperatorError, Waiting
from fhir_app_operator.graph.applications import quoted
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.errors import Refused
from fhir_app_operator.graph.wire import Document, parse
from fhir_app_operator.planning.model import AppRoleAssignment

READ: Final = "Application.Read.All"
WRITE: Final = "AppRoleAssignment.ReadWrite.All"


class _Assignment(Document):
    """An `appRoleAssignment`, from either end."""

    id: str
    app_role_id: str
    principal_id: str
    resource_id: str

    def to_model(self) -> AppRoleAssignment:
        """Return it in the words of planning."""
        return AppRoleAssignment(
            id=self.id, principal_id=self.principal_id, resource_id=self.resource_id,
            app_role_id=self.app_role_id,
        )  # fmt: skip


class AppRoleAssignments:
    """The assignments in one directory.

    Every method raises Stalled or Waiting by consequence (see `graph.errors`).
    """

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def of_principal(self, principal_id: str) -> tuple[AppRoleAssignment, ...]:
        """Return what a service principal holds.

        Raises:
            Stalled: `PermissionDenied`, the operator may not read it.
        """
        return await self._list(f"/servicePrincipals/{quoted(principal_id)}/appRoleAssignments")

    async def _list(self, path: str) -> tuple[AppRoleAssignment, ...]:
        try:
            return tuple(
                [
                    parse(_Assignment, body, f"GET {path}").to_model()
                    async for body in self._graph.pages(path)
                ]
            )
        except Refused as refused:
            raise denied(refused, "app role assignments cannot be read", READ) from None

    async def of_resource(self, resource_id: str) -> tuple[AppRoleAssignment, ...]:
        """Return who holds the app roles of an API.

        Raises:
            Stalled: `PermissionDenied`, the operator may not read it.
        """
        return await self._list(f"/servicePrincipals/{quoted(resource_id)}/appRoleAssignedTo")

    async def assign(
        self, principal_id: str, resource_id: str, app_role_id: str, *, others: bool = False
    ) -> None:
        """Let `principal_id` hold a role; if it does already, all is well.

        Args:
            principal_id: a service principal; with `others`, a user or a group, too.
            resource_id: the API.
            app_role_id: the role.
            others: whether it is somebody else than the registration itself.

        Never sent twice: whoever does not know how it ended looks first.

        Raises:
            Waiting: `NotYetReplicated`, one of the three is not visible everywhere yet.
            Stalled: `PermissionDenied`.
        """
        payload = {
            "principalId": principal_id, "resourceId": resource_id, "appRoleId": app_role_id,
        }  # fmt: skip
        path = (
            f"/servicePrincipals/{quoted(resource_id)}/appRoleAssignedTo"
            if others
            else f"/servicePrincipals/{quoted(principal_id)}/appRoleAssignments"
        )
        call = Call(method="POST", path=path, payload=payload, repeatable=False)
        try:
            answer = await self._graph.send(call)
        except Refused as refused:
            if refused.problem.granted:
                return
            raise denied(
                refused, "app roles cannot be assigned", f"{WRITE} beside {READ}"
            ) from None
        if answer is None:
            raise unseen()

    async def remove(self, assignment: AppRoleAssignment) -> None:
        """Take the role back; one that is not held any more is a success.

        Raises:
            Stalled: `PermissionDenied`.
        """
        path = (
            f"/servicePrincipals/{quoted(assignment.resource_id)}/appRoleAssignedTo/"
            f"{quoted(assignment.id)}"
        )
        try:
            await self._graph.send(Call(method="DELETE", path=path))
        except Refused as refused:
            raise denied(refused, "app roles cannot be withdrawn", WRITE) from None


def denied(refused: Refused, what: str, permission: str) -> OperatorError:
    """Return `refused` in the words of grants: which permission is missing, or what is unseen."""
    problem = refused.problem
    if problem.unseen_reference:
        return unseen()
    if problem.status != HTTPStatus.FORBIDDEN:
        return refused
    return Refused(
        "PermissionDenied",
        f"{what}: the operator's application needs the Microsoft Graph application permission "
        f"{permission}, with admin consent: {problem.cited()}",
        problem,
    )


def unseen() -> Waiting:
    """Return what it means that a principal, an API or a permission is not there."""
    return Waiting(
        "NotYetReplicated", "what is to be granted, or to whom, is not visible in Entra yet"
    )
