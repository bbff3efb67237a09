"""Credentials without their values: in the directory, as wanted, and as a durable intent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from fhir_app_operator.api.v1alpha1 import CredentialType


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCredential:
    """A client secret in the directory, without its value."""

    type: ClassVar[CredentialType] = CredentialType.CLIENT_SECRET
    key_id: str
    display_name: str | None
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCredential:
    """A certificate in the directory, with which a client signs its assertions."""

    type: ClassVar[CredentialType] = CredentialType.CERTIFICATE
    key_id: str
    display_name: str | None
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedIdentityCredential:
    """Whose tokens the application takes instead of a secret; its name is its identity."""

    name: str
    issuer: str
    subject: str
    audience: str


DatedCredential = PasswordCredential | KeyCredential
"""What starts and ends, and is told apart by a key id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePolicy:
    """What the operator makes, and how long it lives.

    `renew_before` None means a third of the granted lifetime; `key_size` is for certificates.
    """

    type: CredentialType = CredentialType.CLIENT_SECRET
    duration: timedelta
    renew_before: timedelta | None = None
    overlap: timedelta | None = None
    key_size: int = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What people asked for once, by annotation; None: nothing, or it was done before."""

    rotate_at: datetime | None = None
    """Issue a new credential, unless the Secret's is younger than this."""
    revoke_previous_at: datetime | None = None
    """Retire at once what had been replaced by then."""
    revoke_is_news: bool = False
    """Whether that was certainly not acted on before: status, which would say so, is there.

    Then a replacement that was pending when it was asked for counts, too.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """The federated credentials that a manifest asks for, no more and no less."""

    type: ClassVar[CredentialType] = CredentialType.FEDERATED_IDENTITY
    credentials: tuple[FederatedIdentityCredential, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The certificate that a Secret of somebody else's holds now."""

    type: ClassVar[CredentialType] = CredentialType.CERTIFICATE
    secret_name: str
    thumbprint: str
    """SHA-1 in upper-case hex, as Entra and MSAL call a certificate by."""
    nonce: str
    """Made from its fingerprint: one certificate, one mark."""
    end: datetime


CredentialPolicy = IssuePolicy | Following | Federation


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A pending credential. `fresh`: written in this pass, so nobody asked for it before."""

    nonce: str
    requested_at: datetime
    fresh: bool = False
    type: CredentialType = CredentialType.CLIENT_SECRET
