"""Key credentials of applications and service principals: certificates to sign assertions with.

Source: the resource page keyCredential, the page "Update application", and "Add a certificate to an
app using Microsoft Graph". Only certificates for signing in are taken (`AsymmetricX509Cert` for
`Verify`); how an assertion is checked against them is in `signin.assertions`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

from entra_emulator.clock import timestamp
from entra_emulator.directory.errors import Detail, GraphError, bad_request, invalid_value
from entra_emulator.directory.schema import read_moment
from entra_emulator.directory.store import Document

KEYS: Final = "keyCredentials"
TYPE: Final = "AsymmetricX509Cert"
USAGE: Final = "Verify"
MAX_NAME: Final = 90
"""Characters of `displayName`; what is longer is cut."""


def merge(
    present: Sequence[Mapping[str, Any]],
    wanted: Sequence[Mapping[str, Any]],
    now: datetime,
    title: str,
) -> list[Mapping[str, Any]]:
    """The list after a write of `wanted`, which replaces it as a whole.

    An entry without `key` stays as it is if its `keyId` is known: reads do not show keys, so that
    is what clients send back. One entry whose time is over makes the whole write fail. `title` is
    how refusals call the object.
    """
    known = {item["keyId"]: item for item in present}
    merged = [_kept(known, item) or _new(item, title) for item in wanted]
    ids = [item["keyId"] for item in merged]
    if len(set(ids)) != len(ids):
        raise _refused("The collection holds a keyId twice.", title)
    if any(read_moment(item["endDateTime"]) <= now for item in merged):
        raise _end_date()
    return merged


def entry(certificate: Certificate) -> dict[str, Any]:
    """The key credential of a certificate, for all of its lifetime."""
    der = certificate.public_bytes(Encoding.DER)
    return {
        "customKeyIdentifier": base64.b64encode(certificate.fingerprint(SHA1())).decode(),  # noqa: S303 - a thumbprint is SHA-1 by definition
        "displayName": None,
        "endDateTime": timestamp(certificate.not_valid_after_utc),
        "key": base64.b64encode(der).decode(),
        "keyId": str(uuid4()),
        "startDateTime": timestamp(certificate.not_valid_before_utc),
        "type": TYPE,
        "usage": USAGE,
    }


def from_pem(text: str) -> Certificate:
    """The first certificate in `text`; ValueError if there is none, or its key is not RSA."""
    return _with_rsa(load_pem_x509_certificate(text.encode()))


def from_credential(credential: Mapping[str, Any]) -> Certificate:
    """The certificate that a stored key credential holds."""
    return load_der_x509_certificate(base64.b64decode(credential["key"]))


def without_keys(credentials: Sequence[Mapping[str, Any]]) -> list[Document]:
    """The credentials as answers show them."""
    return [{**item, "key": None} for item in credentials]


def _kept(known: Mapping[str, Document], item: Document) -> Document | None:
    """The present entry that `item` repeats; None if it is a new one."""
    present = known.get(item["keyId"])
    if present is None or item["key"] in {None, present["key"]}:
        return present
    raise bad_request(f"Update to existing credential with KeyId '{item['keyId']}' is not allowed.")


def _new(item: Document, title: str) -> Document:
    if item["usage"] not in {"Sign", USAGE}:
        raise bad_request(
            'The value for the property "usage" in one of your credentials is invalid. '
            "Acceptable values are Sign, Verify."
        )
    if item["type"] != TYPE or item["usage"] != USAGE:
        why = f"This directory takes keys of type {TYPE} for usage {USAGE} only."
        raise _refused(why, title)
    if item["key"] is None:
        raise _refused("A new key credential needs a value for 'key'.", title)
    try:
        certificate = _with_rsa(load_der_x509_certificate(base64.b64decode(item["key"])))
    except ValueError as error:
        why = "The key must be an X.509 certificate in DER with an RSA key."
        raise _refused(why, title) from error
    given = {name: value for name, value in item.items() if value is not None}
    made = {**entry(certificate), **given}
    if made["displayName"] is not None:
        made["displayName"] = made["displayName"][:MAX_NAME]
    end = read_moment(made["endDateTime"])
    if end > certificate.not_valid_after_utc or end <= read_moment(made["startDateTime"]):
        raise _end_date()
    return made


def _with_rsa(certificate: Certificate) -> Certificate:
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError("the certificate's key is of an unknown kind") from error
    if isinstance(key, RSAPublicKey):
        return certificate
    raise ValueError("the certificate's key is not RSA")


def _refused(why: str, title: str) -> GraphError:
    return invalid_value(KEYS, title, why)


def _end_date() -> GraphError:
    message = "Key credential end date is invalid."
    detail = Detail("InvalidValue", message, KEYS)
    return bad_request(message, detail, code="KeyCredentialsInvalidEndDate")
