"""`federatedIdentityCredentials` of an application: whose tokens are taken instead of a secret.

Sources: Microsoft Graph, "Upsert federatedIdentityCredential" and "Delete …".
Which ones should be there is decided in planning.
"""

from __future__ import annotations

from typing import Final

from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.applications import UPSERT, quoted
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.wire import Federated, parse
from fhir_app_operator.planning.model import Application, FederatedIdentityCredential

_DESCRIPTION: Final = "Managed by fhir-app-operator. Changes made here are reverted."


class FederatedIdentityCredentials:
    """The federated credentials of the applications of one directory.

    Every method raises Stalled or Waiting by consequence (see `graph.errors`).
    """

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def of(self, object_id: str) -> tuple[FederatedIdentityCredential, ...]:
        """Return those of an application.

        Raises:
            Waiting: `GraphUnavailable`, the directory does not show the application.
        """
        path = f"/applications/{quoted(object_id)}/federatedIdentityCredentials"
        found = self._graph.pages(path)
        return tuple([parse(Federated, body, f"GET {path}").to_model() async for body in found])

    async def upsert(
        self, application: Application, credential: FederatedIdentityCredential, *, young: bool
    ) -> None:
        """Make `credential`, or bring the one of its name to it.

        Raises:
            Waiting: `NotYetReplicated`, the directory does not show the application.
            Stalled, Waiting: by consequence.
        """
        payload = {
            "issuer": credential.issuer,
            "subject": credential.subject,
            "audiences": [credential.audience],
            "description": _DESCRIPTION,
        }
        path = _path(application.object_id, credential.name)
        call = Call(method="PATCH", path=path, payload=payload, headers=UPSERT, young=young)
        if await self._graph.send(call) is None:
            raise Waiting(
                "NotYetReplicated",
                f"application {application.app_id} was read a moment ago and is not found now",
            )

    async def delete(self, object_id: str, name: str) -> None:
        """Remove the one of that name; one that is gone already is a success."""
        await self._graph.send(Call(method="DELETE", path=_path(object_id, name)))


def _path(object_id: str, name: str) -> str:
    return f"/applications/{quoted(object_id)}/federatedIdentityCredentials(name='{quoted(name)}')"
