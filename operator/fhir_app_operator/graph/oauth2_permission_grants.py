"""`/oauth2PermissionGrants`: consent, for all users, to the scopes of APIs that a client uses.

Sources: Microsoft Graph, "Create oAuth2PermissionGrant", "Update oAuth2PermissionGrant". There is
one for each client and API; what single users consented to is theirs, and never touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fhir_app_operator.errors import OperatorError, Waiting
from fhir_app_operator.graph.app_role_assignments import denied, unseen
from fhir_app_operator.graph.applications import quoted
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.errors import Refused
from fhir_app_operator.graph.wire import Document, Text, parse
from fhir_app_operator.planning.model import PermissionGrant

READ: Final = "Directory.Read.All"
WRITE: Final = "DelegatedPermissionGrant.ReadWrite.All"
_PATH: Final = "/oauth2PermissionGrants"
_FOR_ALL: Final = "AllPrincipals"


class _Grant(Document):
    """An `oAuth2PermissionGrant`."""

    id: str
    consent_type: str
    resource_id: str
    scope: Text

    def to_model(self) -> PermissionGrant:
        """Return it in the words of planning."""
        scopes = frozenset(self.scope.split())
        return PermissionGrant(id=self.id, resource_id=self.resource_id, scopes=scopes)


class PermissionGrants:
    """The grants in one directory.

    Every method raises Stalled or Waiting by consequence (see `graph.errors`).
    """

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def of_client(self, client_id: str) -> tuple[PermissionGrant, ...]:
        """Return the grants for all users of the service principal `client_id`.

        Raises:
            Stalled: `PermissionDenied`, the operator may not read them.
        """
        path = f"/servicePrincipals/{quoted(client_id)}{_PATH}"
        try:
            found = [parse(_Grant, body, f"GET {path}") async for body in self._graph.pages(path)]
        except Refused as refused:
            raise _unreadable(refused) from None
        return tuple(grant.to_model() for grant in found if grant.consent_type == _FOR_ALL)

    async def create(self, client_id: str, resource_id: str, scopes: Iterable[str]) -> None:
        """Consent to `scopes` for all users; never sent twice.

        Raises:
            Waiting: `NotYetReplicated`: the client is not visible everywhere yet, though the write
                may have landed, or there is a grant that a read did not show. Look again.
            Stalled: `PermissionDenied`.
        """
        payload = {
            "clientId": client_id, "consentType": _FOR_ALL, "principalId": None,
            "resourceId": resource_id, "scope": _joined(scopes),
        }  # fmt: skip
        await self._write(Call(method="POST", path=_PATH, payload=payload, repeatable=False))

    async def scopes(self, grant_id: str) -> frozenset[str]:
        """Return what the grant holds, to be read right before `set_scopes`.

        Graph takes all scopes at once, and knows no precondition here: who consents later than this
        read, or where its replica cannot see it yet, loses it.

        Raises:
            Waiting: `NotYetReplicated`, it is not there any more, or not yet.
            Stalled: `PermissionDenied`.
        """
        path = f"{_PATH}/{quoted(grant_id)}"
        try:
            body = await self._graph.get(path)
        except Refused as refused:
            raise _unreadable(refused) from None
        if body is None:
            raise unseen()
        return parse(_Grant, body, f"GET {path}").to_model().scopes

    async def set_scopes(self, grant_id: str, scopes: frozenset[str]) -> None:
        """Let the grant hold `scopes` and nothing else; without any, it goes.

        Sent even if the grant seems to hold just that: the read may have been behind.

        Raises:
            Waiting: `NotYetReplicated`, it is not there any more.
            Stalled: `PermissionDenied`.
        """
        path = f"{_PATH}/{quoted(grant_id)}"
        if scopes:
            await self._write(Call(method="PATCH", path=path, payload={"scope": _joined(scopes)}))
            return
        try:
            await self._graph.send(Call(method="DELETE", path=path))
        except Refused as refused:
            raise denied(refused, "consent cannot be withdrawn", WRITE) from None

    async def withdraw(self, grant_id: str, scopes: frozenset[str]) -> None:
        """Take `scopes` out of the grant; errors as in `scopes` and `set_scopes`."""
        await self.set_scopes(grant_id, await self.scopes(grant_id) - scopes)

    async def _write(self, call: Call) -> None:
        try:
            answer = await self._graph.send(call)
        except Refused as refused:
            if refused.problem.granted:
                raise Waiting(
                    "NotYetReplicated", "a grant exists that is not visible in Entra yet"
                ) from None
            raise denied(refused, "consent cannot be given", WRITE) from None
        if answer is None:
            raise unseen()


def _unreadable(refused: Refused) -> OperatorError:
    return denied(refused, "consent cannot be read", f"{WRITE} (or, to read only, {READ})")


def _joined(scopes: Iterable[str]) -> str:
    return " ".join(sorted(scopes))
