"""Client assertions: a JWT instead of a secret, signed by the client's key or by a trusted issuer.

Source: "Microsoft identity platform application authentication certificate credentials" and
"Workload identity federation". An assertion whose issuer is an appId is the client's own.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeGuard
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import Certificate, load_der_x509_certificate
from jwt.types import Options

from entra_emulator.constants import LOGIN_HOSTS
from entra_emulator.directory import certificates, credentials
from entra_emulator.directory.federated_credentials import FEDERATED
from entra_emulator.directory.schema import GUID
from entra_emulator.directory.store import Document
from entra_emulator.signin import errors
from entra_emulator.world import World

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLOCK_SKEW: Final = 300
"""Seconds."""
ALGORITHMS: Final = ("RS256", "PS256")
"""With which a client may sign. Issuers sign with RS256 only."""
_UNVERIFIED: Options = {"verify_signature": False}
_SIGNATURE_ONLY: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_jti": False,
    "verify_nbf": False,
    "verify_sub": False,
}


def check(world: World, application: Document, principal: Document, assertion: str) -> None:
    """Raise SignInError unless `assertion` proves that the sender is `application`.

    A certificate may be the application's or its service principal's.
    """
    try:
        claims = jwt.decode(assertion, options=_UNVERIFIED)
        header = jwt.get_unverified_header(assertion)
    except (jwt.InvalidTokenError, ValueError) as error:
        raise errors.assertion_malformed() from error
    if GUID.fullmatch(str(claims.get("iss", ""))):
        holders = (application, principal)
        _check_own(world, holders, assertion, header, claims)
    else:
        issuer = _trusted_issuer(application, claims)
        _check_issuer_signature(world, assertion, issuer)
    _check_times(world.clock.now(), claims)


# ---- signed by the client


def _check_own(
    world: World,
    holders: Sequence[Document],
    assertion: str,
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
) -> None:
    names = {str(claims.get(name, "")).lower() for name in ("iss", "sub")}
    if names != {holders[0]["appId"]}:
        raise errors.assertion_of_another()
    if header.get("alg") not in ALGORITHMS or not _is_readable_chain(header.get("x5c", [])):
        raise errors.assertion_malformed()
    if not isinstance(claims.get("jti", ""), str):
        raise errors.assertion_malformed()
    certificate = _certificate(world.clock.now(), holders, header)
    key = certificate.public_key()
    try:
        assert isinstance(key, RSAPublicKey)  # noqa: S101 - only such certificates are stored
        jwt.decode(assertion, key, algorithms=ALGORITHMS, options=_SIGNATURE_ONLY)
    except (jwt.PyJWTError, ValueError) as error:
        raise errors.certificate_signature(_sha1(certificate).hex().upper()) from error
    _check_audience(world, claims.get("aud"))


def _certificate(
    now: datetime, holders: Sequence[Document], header: Mapping[str, Any]
) -> Certificate:
    """The registered certificate that the header names."""
    app_id = holders[0]["appId"]
    for credential in (item for holder in holders for item in holder[certificates.KEYS]):
        certificate = certificates.from_credential(credential)
        if _names(header) & _spellings(certificate):
            if not credentials.is_usable(credential, now):
                raise errors.certificate_expired(app_id)
            return certificate
    raise errors.assertion_key_unknown(app_id)


def _names(header: Mapping[str, Any]) -> set[str]:
    """What the header calls its key: thumbprints, in the encodings that clients use."""
    given = (header.get(name) for name in ("x5t#S256", "x5t", "kid"))
    return {name.rstrip("=") for name in given if isinstance(name, str)}


def _spellings(certificate: Certificate) -> set[str]:
    short = _sha1(certificate)
    long = certificate.fingerprint(SHA256())
    encoded = {base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (short, long)}
    return {*encoded, short.hex(), short.hex().upper()}


def _sha1(certificate: Certificate) -> bytes:
    return certificate.fingerprint(SHA1())  # noqa: S303 - what `x5t` is made of (RFC 7515, 4.1.7)


def _is_readable_chain(chain: Any) -> bool:
    """Whether `x5c` holds certificates. Their issuer is of no interest here."""
    if not isinstance(chain, list):
        return False
    try:
        for item in chain:
            load_der_x509_certificate(base64.b64decode("".join(item.split())))
    except (AttributeError, ValueError):
        return False
    return True


def _check_audience(world: World, audience: Any) -> None:
    """`aud` is a token endpoint of the tenant, under any name of this host."""
    given = audience if isinstance(audience, list) else [audience]
    if len(given) > 1:
        raise errors.assertion_audiences(len(given))
    if not given or not isinstance(given[0], str) or not _is_token_endpoint(world, given[0]):
        raise errors.assertion_audience()


def _is_token_endpoint(world: World, text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    tenants = "|".join(
        re.escape(name) for name in (world.directory.tenant_id, *world.directory.domains)
    )
    path = re.compile(rf"/+(?:{tenants})/+oauth2(?:/+v2\.0)?/+token", re.IGNORECASE)
    hosts = {urlsplit(world.origin).netloc, *LOGIN_HOSTS}
    return (
        url.scheme == "https"
        and url.netloc.lower() in hosts
        and not url.query
        and path.fullmatch(url.path) is not None
    )


# ---- signed by an issuer that the application trusts


def _trusted_issuer(application: Document, claims: Mapping[str, Any]) -> str:
    """The issuer of a federated credential that fits the claims; matching is by exact text."""
    issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
    given = claims.get("aud", "")
    audiences = [str(item) for item in (given if isinstance(given, list) else [given])]
    known = application[FEDERATED]
    if not known:
        raise errors.no_federation(issuer, subject, ", ".join(audiences))
    of_issuer = [item for item in known if item["issuer"] == issuer]
    if not of_issuer:
        raise errors.federation_mismatch(700211, "issuer", issuer)
    of_subject = [item for item in of_issuer if item["subject"] == subject]
    if not of_subject:
        raise errors.federation_mismatch(700213, "subject", subject)
    if not any(set(item["audiences"]) & set(audiences) for item in of_subject):
        raise errors.federation_mismatch(700212, "audience", ", ".join(audiences))
    return issuer


def _check_issuer_signature(world: World, assertion: str, issuer: str) -> None:
    key = world.directory.issuer_keys.get(issuer)
    if key is None:
        raise errors.assertion_signature()
    try:
        jwt.decode(assertion, key, algorithms=["RS256"], options=_SIGNATURE_ONLY)
    except (jwt.PyJWTError, ValueError) as error:
        raise errors.assertion_signature() from error


# ---- both


def _check_times(now: datetime, claims: Mapping[str, Any]) -> None:
    """NumericDates may have a fraction."""
    begins, expires = claims.get("nbf", claims.get("iat", 0)), claims.get("exp")
    if not _is_number(begins) or not _is_number(expires):
        raise errors.assertion_expired(now)
    if not begins - CLOCK_SKEW <= now.timestamp() < expires + CLOCK_SKEW:
        raise errors.assertion_expired(now)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
