"""Keys with self-signed certificates, and the assertions that clients sign with them."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "operator")])


@dataclass(frozen=True)
class Certified:
    """An RSA key and its certificate."""

    key: RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        form = PrivateFormat.PKCS8
        return self.key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()

    @property
    def pfx(self) -> bytes:
        return pkcs12.serialize_key_and_certificates(
            b"operator", self.key, self.certificate, None, NoEncryption()
        )

    @property
    def der(self) -> str:
        """The certificate as Graph takes it."""
        return base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()

    @property
    def sha1(self) -> bytes:
        return self.certificate.fingerprint(hashes.SHA1())

    @property
    def x5t(self) -> str:
        return base64.urlsafe_b64encode(self.sha1).decode()

    @property
    def x5t_s256(self) -> str:
        return base64.urlsafe_b64encode(self.certificate.fingerprint(hashes.SHA256())).decode()

    def credential(self, **more: Any) -> dict[str, Any]:
        """What a client sends to register the certificate."""
        return {"type": "AsymmetricX509Cert", "usage": "Verify", "key": self.der, **more}

    def sign(self, claims: dict[str, Any], header: dict[str, Any], algorithm: str = "RS256") -> str:
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, self.key, algorithm=algorithm, headers=header)


def certified(begin: datetime = BEGIN, end: datetime = END) -> Certified:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return Certified(key, _certificate(key, begin, end))


def elliptic() -> str:
    """A certificate whose key is not RSA, as Graph takes certificates."""
    made = _certificate(generate_ec(SECP256R1()), BEGIN, END)
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


def claims_of(client_id: str, audience: str, now: datetime) -> dict[str, Any]:
    """What a client's own assertion says; dates with a fraction, as MSAL makes them."""
    stamp = now.timestamp() + 0.25
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": str(uuid4()),
        "iat": stamp,
        "exp": stamp + timedelta(minutes=10).total_seconds(),
    }


def _certificate(key: Any, begin: datetime, end: datetime) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
