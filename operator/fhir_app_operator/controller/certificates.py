"""X.509: RSA keys with a self-signed certificate, made in memory, and what others' ones are.

Nothing is kept here. Where they are registered and published is the business of `credentials` and
`following`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

_EXPONENT: Final = 65537
_LONGEST_NAME: Final = 64
"""Characters of a common name (RFC 5280, appendix A.1)."""
_BACKDATED: Final = timedelta(minutes=5)
"""For verifiers whose clock is behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A private key and the certificate that is registered for it."""

    private_key: SecretStr = field(repr=False)
    """PEM, PKCS #8."""
    certificate: str
    """PEM."""
    der: bytes
    thumbprint: str
    """SHA-1 in upper-case hex, as Entra and MSAL call a certificate by."""


def self_signed(name: str, key_size: int, start: datetime, end: datetime) -> KeyPair:
    """Return a new RSA key of `key_size` bits and its certificate, valid from `start` to `end`.

    Takes a tenth of a second to seconds of computing: call it in a thread.
    """
    key = rsa.generate_private_key(public_exponent=_EXPONENT, key_size=key_size)
    return certified(key, name, start, end)


def certified(key: rsa.RSAPrivateKey, name: str, start: datetime, end: datetime) -> KeyPair:
    """Return `key` with a new certificate that it signs itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_NAME])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(
        private_key=SecretStr(private.decode()),
        certificate=certificate.public_bytes(Encoding.PEM).decode(),
        der=certificate.public_bytes(Encoding.DER),
        thumbprint=certificate.fingerprint(SHA1()).hex().upper(),  # noqa: S303 - a name, no proof
    )


class NoCertificate(Exception):
    """The text holds no certificate that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """The first certificate of a PEM text, and what is to be known of it."""

    pem: str
    der: bytes
    key_type: str
    """`RSA`, else a word for what it is instead."""
    thumbprint: str
    """SHA-1 in upper-case hex."""
    fingerprint: str
    """SHA-256 in hex."""
    end: datetime
    public_key: bytes = field(repr=False)
    """DER, SubjectPublicKeyInfo."""


def leaf(text: str) -> Leaf:
    """Return the first certificate in `text`.

    Raises:
        NoCertificate: there is none.
    """
    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise NoCertificate from None
    return Leaf(
        pem=certificate.public_bytes(Encoding.PEM).decode(),
        der=certificate.public_bytes(Encoding.DER),
        key_type=_key_type(key),
        thumbprint=certificate.fingerprint(SHA1()).hex().upper(),  # noqa: S303 - a name, no proof
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        end=certificate.not_valid_after_utc,
        public_key=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def fits(certificate: Leaf, private_key: SecretStr) -> bool:
    """Whether `private_key` (PEM, not encrypted) is the one of `certificate`."""
    try:
        key = load_pem_private_key(private_key.get_secret_value().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public == certificate.public_key


def _key_type(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA"
    return "an EC" if isinstance(key, ec.EllipticCurvePublicKey) else "another"
