"""Federated identity credentials of applications: whose tokens are taken instead of a secret.

They are kept in the application's document, so that they live, lag, go and come back with it, but
Graph shows them as a resource of their own. Source: the resource page federatedIdentityCredential,
"Important considerations and restrictions for federated identity credentials", and recorded
refusals. How a token is checked against them is in `signin.assertions`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from entra_emulator.directory import schema
from entra_emulator.directory.entities import FEDERATED_IDENTITY_CREDENTIAL
from entra_emulator.directory.errors import (
    Detail,
    GraphError,
    bad_request,
    duplicate_key,
    missing_value,
)
from entra_emulator.directory.store import Document

FEDERATED: Final = "federatedIdentityCredentials"
"""The member of the application's document."""
MAX_CREDENTIALS: Final = 20
MAX_AUDIENCE: Final = 600
_TITLE: Final = FEDERATED_IDENTITY_CREDENTIAL.title
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}")
_REQUIRED: Final = ("name", "issuer", "subject", "audiences")

Credentials = Sequence[Document]


def find(application: Document, key: str) -> Document | None:
    """The application's credential whose id or name is `key`."""
    wanted = key.casefold()
    found = (
        item for item in application[FEDERATED] if wanted in {item["id"], item["name"].casefold()}
    )
    return next(found, None)


def add(application: Document, body: Mapping[str, Any]) -> tuple[Document, Document]:
    """The application with a credential made from `body`, and that credential."""
    for name in _REQUIRED:
        if not body.get(name):
            raise missing_value(name, _TITLE)
    made = schema.create(FEDERATED_IDENTITY_CREDENTIAL, body) | {"id": str(uuid4())}
    present: Credentials = application[FEDERATED]
    if find(application, made["name"]) is not None:
        raise duplicate_key(f"{_TITLE} with name {made['name']} already exists.")
    if not _NAME.fullmatch(made["name"]):
        why = "The name has 3 to 120 letters, digits, hyphens and underscores, no sign first."
        raise _refused("Name", made["name"], why)
    _check(present, made)
    if len(present) >= MAX_CREDENTIALS:
        raise _refused("Name", made["name"], f"An application has at most {MAX_CREDENTIALS}.")
    return {**application, FEDERATED: [*present, made]}, made


def change(application: Document, credential: Document, body: Mapping[str, Any]) -> Document:
    """The application with `body` merged into its credential, whose name stays."""
    if body.get("name", credential["name"]) != credential["name"]:
        raise bad_request("Name is immutable and cannot be changed.")
    changed = schema.update(FEDERATED_IDENTITY_CREDENTIAL, credential, body)
    present: Credentials = application[FEDERATED]
    _check([item for item in present if item["id"] != credential["id"]], changed)
    kept = [changed if item["id"] == credential["id"] else item for item in present]
    return {**application, FEDERATED: kept}


def remove(application: Document, credential: Document) -> Document:
    """The application without the credential."""
    kept = [item for item in application[FEDERATED] if item["id"] != credential["id"]]
    return {**application, FEDERATED: kept}


def _check(others: Credentials, credential: Document) -> None:
    issuer, subject = credential["issuer"], credential["subject"]
    for name in ("issuer", "subject"):
        if not credential[name]:
            raise _refused(name.title(), "", "The value must not be empty.")
    audiences = credential["audiences"]
    if len(audiences) != 1:
        shown = ", ".join(audiences)
        why = "Federated identity credentials must have exactly 1 audience."
        raise _refused("Audiences", shown, why)
    if not 1 <= len(audiences[0]) <= MAX_AUDIENCE:
        why = f"An audience has 1 to {MAX_AUDIENCE} characters."
        raise _refused("Audiences", audiences[0], why)
    if any((item["issuer"], item["subject"]) == (issuer, subject) for item in others):
        why = (
            "The combination of issuer and subject must be unique for the application. "
            f"Issuer {issuer} and Subject: {subject} already exist."
        )
        raise _refused("Subject", subject, why)


def _refused(parameter: str, value: str, why: str) -> GraphError:
    """400 as the directory words it; long values are cut."""
    message = (
        f"{why} paramName: {_TITLE}.{parameter}, paramValue: {value[:200]}, "
        "objectType: Microsoft.Online.DirectoryServices.Application"
    )
    detail = Detail("InvalidValue", message, parameter[0].lower() + parameter[1:])
    return bad_request(message, detail, code="InvalidFederatedIdentityCredentialValue")
