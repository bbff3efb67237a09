"""The ways out to one directory: HTTP pools and threads, opened together and closed together.

What is sent through them is the connection's business.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import httpx

from fhir_app_operator.api.v1alpha1 import EntraTenant
from fhir_app_operator.errors import Stalled
from fhir_app_operator.graph.transport import DaemonThreads, Outbound, UnreadableBundle
from fhir_app_operator.planning.clouds import Directory

_SIGN_INS = 16
"""How many sign-ins of one tenant run at once: one that hangs must not block other tenants'."""


@dataclass(slots=True, kw_only=True)
class Pools:
    """Where the requests of one connection go.

    Args:
        graph: to Microsoft Graph.
        login: to the sign-in service's documents.
        blocking: to the sign-in service, for MSAL.
        sign_ins: where the blocking calls run.
    """

    graph: httpx.AsyncClient
    login: httpx.AsyncClient
    blocking: httpx.Client
    sign_ins: Executor

    async def close(self) -> None:
        """Close all of it; sign-ins that wait are dropped."""
        self.sign_ins.shutdown(wait=False, cancel_futures=True)
        await self.graph.aclose()
        await self.login.aclose()
        self.blocking.close()


PoolFactory = Callable[[EntraTenant, Directory], Pools]
"""Opens the pools for a tenant, whose directory is given; may raise `Stalled`."""


def network_pools(proxy: str | None = None, no_proxy: tuple[str, ...] = ()) -> PoolFactory:
    """Return the factory that goes out over the network, through `proxy` if there is one.

    Its pools trust the system's roots and the tenant's `caBundle`.
    """

    def open_pools(tenant: EntraTenant, where: Directory) -> Pools:
        outbound = Outbound(ca_bundle=tenant.spec.ca_bundle, proxy=proxy, no_proxy=no_proxy)
        name = tenant.metadata.name
        try:
            return Pools(
                graph=outbound.async_client(where.graph_url),
                login=outbound.async_client(where.authority_host),
                blocking=outbound.client(where.authority_host),
                sign_ins=DaemonThreads(_SIGN_INS, f"sign-in-{name}"),
            )
        except UnreadableBundle:
            raise Stalled(
                "InvalidSpec", f"EntraTenant '{name}': `caBundle` holds no readable certificate"
            ) from None

    return open_pools
