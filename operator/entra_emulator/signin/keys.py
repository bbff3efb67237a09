"""The key that signs tokens, and its public half as a JWK set."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

ALGORITHM: Final = "RS256"
_BITS: Final = 2048


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """An RSA key with its key id."""

    private_key: RSAPrivateKey
    kid: str

    @classmethod
    @functools.cache
    def shared(cls) -> SigningKey:
        """The key of this process. Making one takes long, and emulators are made often."""
        return cls.generate()

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key."""
        private_key = generate_private_key(public_exponent=65537, key_size=_BITS)
        der = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        digest = hashlib.sha256(der).digest()[:20]
        return cls(private_key, base64.urlsafe_b64encode(digest).decode().rstrip("="))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """`claims` as a signed JWT."""
        return jwt.encode(
            dict(claims), self.private_key, algorithm=ALGORITHM, headers={"kid": self.kid}
        )

    def verify(self, token: str, audiences: list[str]) -> Mapping[str, Any]:
        """The claims of a token that this key signed for one of `audiences`.

        Times are not checked, they are the caller's business. Raises jwt.InvalidTokenError.
        """
        return _verified(self, token, tuple(audiences))

    def jwk_set(self) -> dict[str, Any]:
        """The public key as `/discovery/v2.0/keys` publishes it."""
        jwk = RSAAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        members = {"kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid}
        return {"keys": [{**members, "n": jwk["n"], "e": jwk["e"], "alg": ALGORITHM}]}


@functools.lru_cache(maxsize=1024)
def _verified(key: SigningKey, token: str, audiences: tuple[str, ...]) -> Mapping[str, Any]:
    """The claims, remembered: a client shows the same token for an hour, with every request."""
    claims = jwt.decode(
        token,
        key.private_key.public_key(),
        algorithms=[ALGORITHM],
        audience=audiences,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    return MappingProxyType(claims)
