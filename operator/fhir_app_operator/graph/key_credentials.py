"""`keyCredentials` of an application: the certificates with which a client signs its assertions.

A collection that is only written as a whole, and that Graph shows under its own `$select` alone
and at a limited rate: read where some of them may be ours, and anew before each write. Sources:
Microsoft Graph, "keyCredential", "Update application", "Add a certificate to an app". (`addKey`
would need a proof by an older key of the application.)
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.applications import quoted
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.wire import Key, KeyList, parse
from fhir_app_operator.planning.model import Application, KeyCredential

_SELECT: Final = {"$select": "id,keyCredentials"}


class KeyCredentials:
    """The certificates of the applications of one directory.

    Every method raises Stalled or Waiting by consequence (see `graph.errors`).
    """

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    async def of(self, object_id: str) -> tuple[KeyCredential, ...] | None:
        """Return the certificates of an application; None if the directory does not show it."""
        path = _path(object_id)
        body = await self._graph.get(path, _SELECT)
        if body is None:
            return None
        found = parse(KeyList, body, f"GET {path}").key_credentials
        return tuple(key.to_model() for key in found)

    async def add(
        self, application: Application, key: KeyCredential, certificate: bytes, *,
        now: datetime, expected: frozenset[str], young: bool,
    ) -> None:  # fmt: skip
        """Register `certificate` (DER) as `key`; again is harmless, since the key id is ours.

        Args:
            application: where to.
            key: key id, display name and times; it must not outlive the certificate.
            certificate: public, with an RSA key: Entra takes no other.
            now: entries whose end has passed are left out.
            expected: key ids that must be there: a list without them is a stale one, and writing
                it would remove them.
            young: whether the application is too young to be sure it is visible.

        Raises:
            Waiting: `NotYetReplicated`, the list or the application is not visible yet.
            Stalled, Waiting: by consequence.
        """
        present = await self._fresh(application, expected, young=young)
        others = [entry for entry in present if entry["keyId"] != key.key_id]
        wanted = _usable([*others, _entry(key, certificate)], now)
        await self._write(application, wanted, young=young)

    async def remove(
        self, application: Application, key_id: str, *, now: datetime, expected: frozenset[str]
    ) -> None:
        """Remove a certificate; one that is gone already is a success.

        Raises:
            As `add`.
        """
        present = await self._fresh(application, expected - {key_id}, young=False)
        left = [entry for entry in present if entry["keyId"] != key_id]
        if len(left) != len(present):
            await self._write(application, _usable(left, now), young=False)

    async def _fresh(
        self, application: Application, expected: frozenset[str], *, young: bool
    ) -> list[dict[str, Any]]:
        """Return the entries in the form in which a write keeps them: without the key itself."""
        path = _path(application.object_id)
        answer = await self._graph.send(Call(method="GET", path=path, params=_SELECT, young=young))
        if answer is None:
            raise _behind(application)
        parse(KeyList, answer.body, f"GET {path}")
        entries = [{**entry, "key": None} for entry in answer.body["keyCredentials"]]
        if expected - {entry["keyId"] for entry in entries}:
            raise _behind(application)
        return entries

    async def _write(
        self, application: Application, entries: Sequence[dict[str, Any]], *, young: bool
    ) -> None:
        call = Call(method="PATCH", path=_path(application.object_id),
                    payload={"keyCredentials": list(entries)}, young=young)  # fmt: skip
        if await self._graph.send(call) is None:
            raise _behind(application)


def _path(object_id: str) -> str:
    return f"/applications/{quoted(object_id)}"


def _usable(entries: Sequence[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Leave out what has ended: one such entry makes Graph refuse the whole list."""
    operation = "the list of certificates"
    return [entry for entry in entries if parse(Key, entry, operation).to_model().end > now]


def _entry(key: KeyCredential, certificate: bytes) -> dict[str, Any]:
    return {
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "key": base64.b64encode(certificate).decode(),
        "keyId": key.key_id,
        "displayName": key.display_name,
        "startDateTime": f"{key.start:%Y-%m-%dT%H:%M:%SZ}",
        "endDateTime": f"{key.end:%Y-%m-%dT%H:%M:%SZ}",
    }


def _behind(application: Application) -> Waiting:
    return Waiting(
        "NotYetReplicated",
        f"the certificates of application {application.app_id} are not all visible in Entra yet",
    )
