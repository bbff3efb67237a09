"""Password credentials of applications and service principals.

A secret is generated here, handed out once, and kept as a digest. Source: the pages addPassword and
removePassword.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from entra_emulator.clock import timestamp
from entra_emulator.directory.entities import PASSWORD_CREDENTIAL, PERSONAL_AUDIENCES
from entra_emulator.directory.errors import Detail, GraphError, bad_request, invalid_value
from entra_emulator.directory.policies import NO_LIMITS, Limits
from entra_emulator.directory.schema import entry, read_moment

LIFETIME: Final = timedelta(days=730)
MAX_PERSONAL: Final = 2
_HINT = 3


class Passwords:
    """Digests of all secrets by keyId. Which credentials exist is in the objects' documents."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}

    def copy(self) -> Passwords:
        """The same digests, apart from these."""
        other = Passwords()
        other._digests = dict(self._digests)
        return other

    def issue(
        self,
        given: Mapping[str, Any],
        *,
        now: datetime,
        title: str,
        limits: Limits = NO_LIMITS,
        secret: str | None = None,
    ) -> dict[str, Any]:
        """A new credential after the wishes in `given`, with its secret for the one answer.

        `displayName`, `startDateTime` and `endDateTime` are taken over, the latter within
        `limits`; everything else is the directory's choice. `secret` is for seeds.
        """
        wishes = entry(PASSWORD_CREDENTIAL, title, given, "passwordCredential")
        start = read_moment(wishes["startDateTime"]) if wishes["startDateTime"] else now
        end = _end(wishes["endDateTime"], start)
        if end is None or end <= start or end <= now:
            raise invalid_value("endDateTime", title, "Key credential end date is invalid.")
        end = limits.password_end(start, end)
        text = secret if secret is not None else _generate()
        key_id = str(uuid4())
        self._digests[key_id] = _digest(text)
        return {
            "customKeyIdentifier": wishes["customKeyIdentifier"],
            "displayName": wishes["displayName"],
            "endDateTime": timestamp(end),
            "hint": text[:_HINT],
            "keyId": key_id,
            "secretText": text,
            "startDateTime": timestamp(start),
        }

    def matching(self, document: Mapping[str, Any], secret: str) -> Mapping[str, Any] | None:
        """The credential among the document's that `secret` belongs to, expired or not."""
        digest = _digest(secret)
        for credential in document["passwordCredentials"]:
            if secrets.compare_digest(self._digests.get(credential["keyId"], ""), digest):
                found: Mapping[str, Any] = credential
                return found
        return None


def add(document: Mapping[str, Any], credential: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the credential, whose secret it does not keep."""
    present = document["passwordCredentials"]
    if document.get("signInAudience") in PERSONAL_AUDIENCES and len(present) >= MAX_PERSONAL:
        raise _too_many(len(present) + 1)
    return {**document, "passwordCredentials": [*present, {**credential, "secretText": None}]}


def remove(document: Mapping[str, Any], key_id: str) -> dict[str, Any]:
    """The document without the credential; GraphError if it has no such credential."""
    kept = [item for item in document["passwordCredentials"] if item["keyId"] != key_id.lower()]
    if len(kept) == len(document["passwordCredentials"]):
        raise bad_request(f"No password credential found with keyId '{key_id}'.")
    return {**document, "passwordCredentials": kept}


def is_usable(credential: Mapping[str, Any], now: datetime) -> bool:
    """Whether `now` lies within the credential's lifetime."""
    return read_moment(credential["startDateTime"]) <= now < read_moment(credential["endDateTime"])


def _end(wish: str | None, start: datetime) -> datetime | None:
    """When the credential ends; None if that is beyond the calendar."""
    if wish is not None:
        return read_moment(wish)
    try:
        return start + LIFETIME
    except OverflowError:
        return None


def _generate() -> str:
    """40 characters of the kind Entra makes; the tilde tells them from other base64 text."""
    text = secrets.token_urlsafe(28)
    return f"{text[:3]}8Q~{text[3:37]}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _too_many(count: int) -> GraphError:
    message = (
        f"Not allowed to add {count} passwords. You can only add a maximum of {MAX_PERSONAL} "
        "passwords."
    )
    return bad_request(
        message, Detail("InvalidValue", message, "passwordCredentials"), code="TooManyAppPasswords"
    )
