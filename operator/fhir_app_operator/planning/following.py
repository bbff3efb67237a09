"""Certificates that others keep in a Secret, such as cert-manager: which one to register, and when.

The operator makes and renews nothing here, so that it can promise nothing about the moments at
which they change. Which former one goes, and when, is in `retirement`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fhir_app_operator.planning.credentials import published
from fhir_app_operator.planning.issuance import SWITCH
from fhir_app_operator.planning.model import (
    FOLLOWED,
    Desired,
    FollowCertificate,
    Following,
    Observed,
    Policy,
)

CHANGED: Final = "CertificateChanged"
_DIGITS: Final = 32
"""Hexadecimal digits of the fingerprint in a credential's name: no two certificates share them."""


def nonce(fingerprint: str) -> str:
    """Return the mark of the certificate with that SHA-256 fingerprint, the same each time."""
    return f"{FOLLOWED}{fingerprint[:_DIGITS].lower()}"


def due(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> tuple[FollowCertificate, ...]:
    """Return the order to register the certificate; empty if the Secret tells of it already."""
    wanted = desired.credential
    if not isinstance(wanted, Following) or observed.application is None:
        return ()
    key_id, secret = desired.registration.key_id(wanted.nonce), observed.secret
    current = published(secret, observed.application.credentials)
    if current is not None and current.key_id == key_id:
        return ()
    if secret is not None and secret.credential_intact and secret.key_id == key_id:
        # It was registered a moment ago: a read that does not show it proves nothing.
        if secret.written_at and now < secret.written_at + policy.replication_window:
            return ()
        reason = "CredentialRemoved"
    elif current is None:
        reason = "CredentialMissing"
    else:
        reason = CHANGED if current.type is wanted.type else SWITCH
    return (FollowCertificate(certificate=wanted, key_id=key_id, reason=reason),)
