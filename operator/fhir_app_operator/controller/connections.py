"""Connections to directories: an HTTP pool and a token source per EntraTenant.

Kept while the tenant's spec stays the same. Reads the operator's own credential where that spec
says; sends no Graph request itself.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import httpx
from pydantic import SecretStr

from fhir_app_operator.api.v1alpha1 import EntraTenant
from fhir_app_operator.api.v1alpha1.tenant import ApplicationDefaults
from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.graph.applications import Applications
from fhir_app_operator.graph.auth import OperatorCredential, SignIn, TokenSource
from fhir_app_operator.graph.client import GraphClient
from fhir_app_operator.graph.deleted_items import DeletedItems
from fhir_app_operator.graph.inventory import Inventory
from fhir_app_operator.graph.openid import OpenIdConfigurations
from fhir_app_operator.graph.service_principals import ServicePrincipals
from fhir_app_operator.graph.transport import Outbound
from fhir_app_operator.kube.secrets import Secrets
from fhir_app_operator.planning.clouds import Directory, directory
from fhir_app_operator.planning.desired import GRAPH_APP_ID, OPENID_SCOPES, PermissionIds


@dataclass(slots=True, kw_only=True)
class Connection:
    """One directory, ready to use, and what is remembered about it."""

    directory: Directory
    sign_in: SignIn
    tokens: TokenSource
    applications: Applications
    service_principals: ServicePrincipals
    deleted_items: DeletedItems
    inventory: Inventory
    application_defaults: ApplicationDefaults | None
    openid: OpenIdConfigurations
    permissions: dict[str, PermissionIds] = field(default_factory=dict)
    """Permission ids of APIs by client id, as last seen: a hint that saves a read."""
    verified: dict[str, datetime] = field(default_factory=dict)
    """When each registration (by UID) was last compared with a live read."""

    async def graph_permissions(self) -> PermissionIds:
        """Return the ids of Microsoft Graph's delegated permissions, resolved by value.

        Raises:
            Waiting: the tenant does not show them.
        """
        known = self.permissions.get(GRAPH_APP_ID)
        if known is None:
            known = await self.service_principals.permission_ids(GRAPH_APP_ID)
            if known is None or not set(OPENID_SCOPES) <= known.scopes.keys():
                raise Waiting(
                    "GraphUnavailable",
                    "the tenant does not show Microsoft Graph's permissions "
                    f"{' and '.join(OPENID_SCOPES)}",
                )
            self.permissions[GRAPH_APP_ID] = known
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorIdentity:
    """Where the operator's own credentials are.

    Args:
        namespace: its own namespace, for client secrets.
        token_file: the projected ServiceAccount token, for workload identity.
        proxy, no_proxy: how to get out.
    """

    namespace: str
    token_file: Path | None = None
    proxy: str | None = None
    no_proxy: tuple[str, ...] = ()


class Connections:
    """The connections of all tenants.

    Args:
        identity: the operator's own credentials.
        secrets: to read client secrets in the operator's namespace.
        clock: the time, in UTC.
        sleep: how Graph clients pause.
        observe: called with (method, status or None) for each Graph answer.
    """

    def __init__(
        self,
        identity: OperatorIdentity,
        secrets: Secrets,
        clock: Callable[[], datetime],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        observe: Callable[[str, int | None], None] = lambda _method, _status: None,
    ) -> None:
        self._identity = identity
        self._secrets = secrets
        self._clock = clock
        self._sleep = sleep
        self._observe = observe
        self._open: dict[str, tuple[tuple[str, int], Connection, _Pools]] = {}

    async def get(self, tenant: EntraTenant) -> Connection:
        """Return the connection to `tenant`; a new one when its spec changed.

        Raises:
            Stalled: `InvalidSpec`, its `caBundle` cannot be read.
        """
        version = (tenant.metadata.uid, tenant.metadata.generation)
        known = self._open.get(tenant.metadata.name)
        if known is not None and known[0] == version:
            return known[1]
        connection, pools = self._connect(tenant)
        self._open[tenant.metadata.name] = (version, connection, pools)
        if known is not None:
            await known[2].close()
        return connection

    async def close(self) -> None:
        """Close all pools."""
        for _, _, pools in self._open.values():
            await pools.close()
        self._open.clear()

    def _connect(self, tenant: EntraTenant) -> tuple[Connection, _Pools]:
        where = directory(tenant.spec)
        outbound = Outbound(
            ca_bundle=tenant.spec.ca_bundle,
            proxy=self._identity.proxy,
            no_proxy=self._identity.no_proxy,
        )
        try:
            pools = _Pools(
                graph=outbound.async_client(where.graph_url),
                login=outbound.async_client(where.authority_host),
                blocking=outbound.client(where.authority_host),
            )
        except ssl.SSLError:
            raise Stalled(
                "InvalidSpec",
                f"EntraTenant '{tenant.metadata.name}': `caBundle` holds no readable certificate",
            ) from None
        sign_in = SignIn(where, pools.blocking)
        tokens = TokenSource(sign_in, tenant.spec.client_id, self._reader(tenant), self._clock)
        graph = GraphClient(
            where.graph_url, pools.graph, tokens, sleep=self._sleep, observe=self._observe
        )
        service_principals = ServicePrincipals(graph)
        connection = Connection(
            directory=where,
            sign_in=sign_in,
            tokens=tokens,
            applications=Applications(graph),
            service_principals=service_principals,
            inventory=Inventory(graph, service_principals, tenant.spec.client_id, self._clock),
            deleted_items=DeletedItems(graph),
            application_defaults=tenant.spec.application_defaults,
            openid=OpenIdConfigurations(where, pools.login),
        )
        return connection, pools

    def _reader(self, tenant: EntraTenant) -> Callable[[], Awaitable[OperatorCredential]]:
        auth = tenant.spec.auth
        if auth.client_secret is not None:
            secret_ref = auth.client_secret.secret_ref
            return partial(self._client_secret, secret_ref.name, secret_ref.key)
        if auth.certificate is not None:
            return partial(self._certificate, auth.certificate.secret_ref.name)
        return self._assertion

    async def _client_secret(self, name: str, key: str) -> OperatorCredential:
        return OperatorCredential(client_secret=await self._value(name, key))

    async def _certificate(self, name: str) -> OperatorCredential:
        return OperatorCredential(
            private_key=await self._value(name, "tls.key"),
            certificate=(await self._value(name, "tls.crt")).get_secret_value(),
        )

    async def _value(self, name: str, key: str) -> SecretStr:
        """A value in the operator's own namespace, without blanks around it."""
        namespace = self._identity.namespace
        value = await self._secrets.value(namespace, name, key)
        text = value.get_secret_value().strip() if value else ""
        if not text:
            raise Waiting(
                "CredentialNotFound",
                f"Secret '{namespace}/{name}', key '{key}', is missing or empty",
            )
        return SecretStr(text)

    async def _assertion(self) -> OperatorCredential:
        path = self._identity.token_file
        if path is None:
            raise Waiting(
                "CredentialNotFound",
                "workload identity needs a projected ServiceAccount token: set "
                "AZURE_FEDERATED_TOKEN_FILE (the azure-workload-identity webhook does)",
            )
        try:
            return OperatorCredential(assertion=SecretStr(path.read_text().strip()))
        except OSError as error:
            raise Waiting(
                "CredentialNotFound",
                f"the projected token '{path}' cannot be read ({type(error).__name__})",
            ) from None


@dataclass(slots=True, kw_only=True)
class _Pools:
    graph: httpx.AsyncClient
    login: httpx.AsyncClient
    blocking: httpx.Client

    async def close(self) -> None:
        await self.graph.aclose()
        await self.login.aclose()
        self.blocking.close()
