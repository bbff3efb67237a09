"""TLS trust and proxies for everything that leaves the cluster: one policy for Graph and MSAL.

The environment's own trust and proxy variables are ignored on purpose (`trust_env=False`): CI
images export `REQUESTS_CA_BUNDLE` and the like, which would replace the tenant's `caBundle`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx

TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
_LIMITS: Final = httpx.Limits(max_connections=64, max_keepalive_connections=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """How to get out: trusted roots and an optional proxy.

    Args:
        ca_bundle: PEM certificates, trusted in addition to the system's roots.
        proxy: URL of the proxy for https, if any.
        no_proxy: host suffixes that are reached directly.
    """

    ca_bundle: str | None = None
    proxy: str | None = None
    no_proxy: tuple[str, ...] = ()

    def tls(self) -> ssl.SSLContext:
        """Return a context that trusts the system's roots and `ca_bundle`.

        Raises:
            ssl.SSLError: `ca_bundle` holds no readable certificate.
        """
        context = ssl.create_default_context()
        if self.ca_bundle:
            context.load_verify_locations(cadata=self.ca_bundle)
        return context

    def proxy_for(self, origin: str) -> str | None:
        """Return the proxy to use for `origin`, following the usual `NO_PROXY` suffix rule."""
        host = urlsplit(origin).hostname or ""
        direct = any(
            rule == "*" or host == rule.lstrip(".") or host.endswith("." + rule.lstrip("."))
            for rule in self.no_proxy
        )
        return None if direct else self.proxy

    def async_client(self, origin: str) -> httpx.AsyncClient:
        """Return a client for Graph at `origin`: HTTP/1.1, no redirects, no environment."""
        return httpx.AsyncClient(
            verify=self.tls(), proxy=self.proxy_for(origin), trust_env=False,
            timeout=TIMEOUT, limits=_LIMITS, follow_redirects=False,
        )  # fmt: skip

    def client(self, origin: str) -> httpx.Client:
        """Return the blocking twin, for MSAL."""
        return httpx.Client(
            verify=self.tls(), proxy=self.proxy_for(origin), trust_env=False,
            timeout=TIMEOUT, follow_redirects=False,
        )  # fmt: skip
