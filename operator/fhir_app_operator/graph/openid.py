"""The openid-configuration of a tenant: issuer and key location of each token version."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx

from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.answers import TooLarge, decode, read_capped
from fhir_app_operator.graph.flight import Flight
from fhir_app_operator.graph.transport import PATIENCE
from fhir_app_operator.planning.clouds import Directory
from fhir_app_operator.planning.desired import Issuer


class OpenIdConfigurations:
    """Issuer facts by token version; read once per process, since they do not change.

    Args:
        directory: the tenant.
        http: client with the tenant's TLS trust.
    """

    def __init__(self, directory: Directory, http: httpx.AsyncClient) -> None:
        self._directory = directory
        self._http = http
        self._known: dict[int, Issuer] = {}
        self._reads: Flight[Issuer] = Flight()

    async def issuer(self, token_version: int) -> Issuer:
        """Return issuer and key location of tokens of that version (1 or 2).

        Raises:
            Waiting: `GraphUnavailable`, the document cannot be read.
        """
        if token_version not in self._known:
            read = partial(self._read, token_version)
            self._known[token_version] = await self._reads.join(token_version, read)
        return self._known[token_version]

    async def _read(self, token_version: int) -> Issuer:
        url = self._directory.openid_configuration_url(token_version)
        try:
            async with asyncio.timeout(PATIENCE), self._http.stream("GET", url) as response:
                document = decode(await read_capped(response))
        except (httpx.HTTPError, TooLarge, TimeoutError) as error:
            raise _unreadable(url, type(error).__name__) from None
        if not response.is_success or not isinstance(document, dict):
            raise _unreadable(url, f"HTTP {response.status_code}")
        issuer, keys = document.get("issuer"), document.get("jwks_uri")
        if not isinstance(issuer, str) or not isinstance(keys, str):
            raise _unreadable(url, "no issuer or jwks_uri")
        return Issuer(issuer=issuer, jwks_url=keys)


def _unreadable(url: str, why: str) -> Waiting:
    return Waiting(
        "GraphUnavailable",
        f"the openid-configuration {url} cannot be read ({why}); "
        "check the endpoints, `caBundle` and the network",
    )
