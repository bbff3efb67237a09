"""`/applications`: read, upsert, PATCH, delete, passwords. What to send is decided in planning.

Sources: Microsoft Graph, "Upsert application", "Update application", "application: addPassword".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.graph.changes import changes_document
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.errors import Refused
from fhir_app_operator.graph.wire import (
    HOLDER,
    SELECT,
    ApplicationDocument,
    HolderDocument,
    IssuedPasswordDocument,
    parse,
)
from fhir_app_operator.planning.model import (
    OWNER_TAG_PREFIX,
    REGISTRATION_TAG_PREFIX,
    Application,
    ApplicationChanges,
    PasswordCredential,
)

UPSERT: Final = {"Prefer": "create-if-missing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedPassword:
    """A new client secret: shown once, never readable again."""

    credential: PasswordCredential
    value: SecretStr


def quoted(value: str) -> str:
    """Return `value` as an OData string literal inside a URL path: quotes doubled, encoded."""
    return quote(value.replace("'", "''"), safe="")


class Applications:
    """The applications of one directory.

    Every method raises Stalled or Waiting by consequence (see `graph.errors`).
    """

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def by_unique_name(self, unique_name: str) -> Application | None:
        """Return the live application with that key; None if the directory does not show one."""
        return await self._read(f"/applications(uniqueName='{quoted(unique_name)}')")

    async def by_object_id(self, object_id: str) -> Application | None:
        """Return the live application with that object id, if the directory shows it."""
        return await self._read(f"/applications/{quoted(object_id)}")

    async def by_app_id(self, app_id: str) -> Application | None:
        """Return the live application with that client id, if the directory shows it."""
        return await self._read(f"/applications(appId='{quoted(app_id)}')")

    async def _read(self, path: str) -> Application | None:
        body = await self._graph.get(path, {"$select": SELECT})
        return None if body is None else parse(ApplicationDocument, body, f"GET {path}").to_model()

    async def upsert(
        self, unique_name: str, changes: ApplicationChanges, owners: frozenset[str] = frozenset(),
        *, young: bool = False,
    ) -> Application:  # fmt: skip
        """Create the application with that key, or bring the existing one to `changes`.

        Send it only when the key was not found and status names no application: an upsert that
        meets an existing object updates it.

        Args:
            unique_name: the key.
            changes: all that it should hold.
            owners: object ids, bound at creation; they must hold the caller's own then.
            young: an earlier try may have made it, so lately that the directory hides it.

        Raises:
            Stalled: `ApplicationDeleted` if a soft-deleted application holds the key.
            Waiting: `NotYetReplicated` if a young one may hold it.
            Stalled, Waiting: by consequence.
        """
        path = f"/applications(uniqueName='{quoted(unique_name)}')"
        payload = changes_document(changes)
        if owners:
            payload["owners@odata.bind"] = [self._graph.object_url(each) for each in sorted(owners)]
        call = Call(method="PATCH", path=path, payload=payload, headers=UPSERT)
        try:
            answer = await self._graph.send(call)
        except Refused as refused:
            await self._explain_duplicate(refused, unique_name, changes, young=young)
            raise
        if answer is not None and answer.body:
            return parse(ApplicationDocument, answer.body, call.operation).to_model()
        found = await self.by_unique_name(unique_name)
        if found is None:
            raise Waiting("NotYetReplicated", "the new application is not visible in Entra yet")
        return found.with_changes(changes)

    async def _explain_duplicate(
        self, refused: Refused, unique_name: str, changes: ApplicationChanges, *, young: bool
    ) -> None:
        if refused.problem.duplicate not in ("identifierUris", "uniqueName"):
            return
        # Made by a call whose answer was lost, or a replica that was behind.
        behind = Waiting("NotYetReplicated", "the application is not visible everywhere yet")
        if await self.by_unique_name(unique_name) is not None:
            raise behind
        if refused.problem.duplicate == "identifierUris":
            await self._name_holder(refused, changes)
        if young:
            raise behind
        if refused.problem.duplicate != "uniqueName":
            return
        raise Stalled(
            "ApplicationDeleted",
            "an application in Entra's bin (App registrations > Deleted applications) holds this "
            f"registration's key '{unique_name}'; restore it or delete it permanently there: "
            f"{refused.problem.cited()}",
        )

    async def _name_holder(self, refused: Refused, changes: ApplicationChanges) -> None:
        for uri in sorted(changes.identifier_uris or ()):
            literal = uri.replace("'", "''")
            query = {"$filter": f"identifierUris/any(u:u eq '{literal}')", "$select": HOLDER}
            async for body in self._graph.pages("/applications", query):
                holder = parse(HolderDocument, body, "GET /applications")
                if _owner_tags(holder.tags) & _owner_tags(changes.tags or ()):
                    continue  # what is to be created, shown only now
                raise Stalled(
                    "IdentifierUriTaken",
                    f"`resource.identifierUri` '{uri}' belongs to {_described(holder)}; choose "
                    f"another one, or remove it there: {refused.problem.cited()}",
                )

    async def update(
        self, application: Application, changes: ApplicationChanges, *, young: bool
    ) -> Application:
        """PATCH `changes` and return the application with them.

        Raises:
            Waiting: `NotYetReplicated` if the directory does not show the application.
            Stalled, Waiting: by consequence.
        """
        call = Call(method="PATCH", path=f"/applications/{quoted(application.object_id)}",
                    payload=changes_document(changes), young=young)  # fmt: skip
        try:
            answer = await self._graph.send(call)
        except Refused as refused:
            if refused.problem.duplicate == "identifierUris":
                await self._name_holder(refused, changes)
            raise
        if answer is None:
            raise _vanished(application)
        return application.with_changes(changes)

    async def delete(self, object_id: str) -> bool:
        """Move the application to Entra's bin; False if the directory does not show it."""
        call = Call(method="DELETE", path=f"/applications/{quoted(object_id)}")
        return await self._graph.send(call) is not None

    async def add_password(
        self, application: Application, display_name: str, end: datetime, *, young: bool
    ) -> IssuedPassword:
        """Ask for a client secret; never sent twice, since a second answer is a second secret.

        Args:
            application: where to.
            display_name: carries the nonce of the durable intent.
            end: when it should expire; the directory may shorten it.
            young: whether the application is too young to be sure it is visible.

        Raises:
            Waiting: the outcome may be unknown; the credential is then found by its nonce.
            Stalled: `PolicyBlocked`, `PermissionDenied` and the like.
        """
        wanted = {"displayName": display_name, "endDateTime": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        path = f"/applications/{quoted(application.object_id)}/addPassword"
        call = Call(method="POST", path=path,
                    payload={"passwordCredential": wanted}, repeatable=False,
                    young=young)  # fmt: skip
        answer = await self._graph.send(call)
        if answer is None:
            raise _vanished(application)
        password = parse(IssuedPasswordDocument, answer.body, call.operation)
        return IssuedPassword(credential=password.to_model(), value=password.secret_text)

    async def remove_password(self, object_id: str, key_id: str) -> None:
        """Remove a client secret; one that is gone already is a success."""
        path = f"/applications/{quoted(object_id)}/removePassword"
        try:
            await self._graph.send(Call(method="POST", path=path, payload={"keyId": key_id}))
        except Refused as refused:
            # Reads may still show a credential that is gone: what the write says comes first.
            if refused.problem.missing_credential:
                return
            if refused.problem.status != HTTPStatus.BAD_REQUEST or await self._has(
                object_id, key_id
            ):
                raise

    async def _has(self, object_id: str, key_id: str) -> bool:
        application = await self.by_object_id(object_id)
        return application is None or any(p.key_id == key_id for p in application.passwords)


def _vanished(application: Application) -> Waiting:
    return Waiting(
        "NotYetReplicated",
        f"application {application.app_id} was read a moment ago and is not found now",
    )


def _owner_tags(tags: Iterable[str]) -> frozenset[str]:
    return frozenset(tag for tag in tags if tag.startswith(OWNER_TAG_PREFIX))


def _described(holder: HolderDocument) -> str:
    tag = next((t for t in holder.tags if t.startswith(REGISTRATION_TAG_PREFIX)), None)
    if tag and any(t.startswith(OWNER_TAG_PREFIX) for t in holder.tags):
        return f"FhirAppRegistration {tag.removeprefix(REGISTRATION_TAG_PREFIX)}"
    return f"application {holder.app_id} ('{holder.display_name}')"
