"""Who signs the cluster's ServiceAccount tokens, as the API server publishes it.

Source: Kubernetes, "ServiceAccount token issuer discovery" (RFC 7517 for the keys).
Whether Entra can use it is decided in planning.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from fhir_app_operator.errors import Stalled
from fhir_app_operator.kube.api_server import ApiServer, Gone, Request
from fhir_app_operator.planning.federation import TokenIssuer

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
KEYS_PATH: Final = "/openid/v1/jwks"
_KEY_SET: Final = "application/jwk-set+json"
"""What the API server calls them; it refuses to send them as plain JSON."""
_KEPT: Final = timedelta(minutes=10)
_BY_KEY_TYPE: Final = {"RSA": "RS256"}
"""For keys that do not name their algorithm (RFC 7517 makes it optional)."""


class TokenIssuers:
    """The token issuer of the cluster; what was read is kept for ten minutes.

    Args:
        api: the API server. Its own answers, not those at the issuer's URL: the operator follows
            no address that it was told.
        clock: the time, in UTC.
    """

    def __init__(self, api: ApiServer, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._clock = clock
        self._known: TokenIssuer | None = None
        self._read_at: datetime | None = None

    async def cluster(self) -> TokenIssuer:
        """Return issuer and algorithms of the cluster's ServiceAccount tokens.

        Raises:
            Stalled: `PermissionDenied`, the RBAC lacks the two paths; `IssuerNotSupported`, they
                are not served.
            Waiting: `ApiServerUnavailable`.
        """
        now = self._clock()
        if self._known is None or self._read_at is None or now >= self._read_at + _KEPT:
            self._known, self._read_at = await self._read(), now
        return self._known

    async def _read(self) -> TokenIssuer:
        document = await self._api.get(DISCOVERY_PATH, "the ServiceAccount issuer's configuration")
        issuer = (document or {}).get("issuer")
        keys = await self._keys()
        if not isinstance(issuer, str) or keys is None:
            raise Stalled(
                "IssuerNotSupported",
                "`credential.federated`: the API server does not say who issues ServiceAccount "
                f"tokens ({DISCOVERY_PATH}, {KEYS_PATH}); use another type of credential",
            )
        return TokenIssuer(issuer=issuer, algorithms=frozenset(_algorithms(keys)))

    async def _keys(self) -> list[Any] | None:
        what = "the ServiceAccount issuer's keys"
        request = Request(method="GET", path=KEYS_PATH, what=what, accept=_KEY_SET)
        try:
            found = (await self._api.send(request)).get("keys")
        except Gone:
            return None
        return found if isinstance(found, list) else None


def _algorithms(keys: list[Any]) -> list[str]:
    return [
        str(key.get("alg") or _BY_KEY_TYPE.get(str(key.get("kty")), key.get("kty")))
        for key in keys
        if isinstance(key, dict)
    ]
