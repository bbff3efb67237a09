"""Which bearer tokens a FHIR server takes: signature, issuer, audience and time.

As ASP.NET's JwtBearer does it, which the open-source FHIR server uses: issuer and keys come from
the openid-configuration of its `Authority`, and `aud` must be its `Audience` to the letter.
"""

import threading

import httpx
import jwt

ALGORITHM = "RS256"


class Refused(Exception):
    """A token that the server does not take; says why, and never what it holds."""


class TokenCheck:
    """The checks of one server. `tls` is what its HTTP client trusts."""

    def __init__(self, authority, audience, tls):
        self._metadata_url = f"{authority.rstrip('/')}/.well-known/openid-configuration"
        self._audience = audience
        self._tls = tls
        self._lock = threading.Lock()
        self._issuer = None
        self._keys = {}

    def claims(self, token):
        """The claims of `token`; Refused if it is not one for this server."""
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            return jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=self._audience, issuer=self._issuer,
                options={"require": ["exp", "nbf", "iss", "aud"]},
            )  # fmt: skip
        except jwt.InvalidTokenError as error:
            raise Refused(f"{type(error).__name__}: {error}") from None

    def _key(self, kid):
        """The key; the metadata is read again for one that is unknown, since keys change."""
        with self._lock:
            if kid not in self._keys:
                self._read()
            if kid not in self._keys:
                raise Refused("signed with a key that the authority does not publish")
            return self._keys[kid]

    def _read(self):
        with httpx.Client(verify=self._tls, trust_env=False) as http:
            metadata = http.get(self._metadata_url).raise_for_status().json()
            keys = http.get(metadata["jwks_uri"]).raise_for_status().json()
        self._issuer = metadata["issuer"]
        self._keys = {each["kid"]: jwt.PyJWK(each).key for each in keys["keys"]}
