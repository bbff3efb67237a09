"""Connections to directories: an HTTP pool and a token source per EntraTenant.

Kept while the parts of the tenant's spec stay the same that a connection depends on. Reads the
operator's own credential where that spec says; sends no Graph request itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from fhir_app_operator.api.v1alpha1 import EntraTenant, Grants, TenantPolicy
from fhir_app_operator.api.v1alpha1.tenant import ApplicationDefaults
from fhir_app_operator.controller.apis import Apis
from fhir_app_operator.controller.own_writes import OwnWrites
from fhir_app_operator.controller.pools import PoolFactory, Pools, network_pools
from fhir_app_operator.controller.servers import Servers
from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.app_role_assignments import AppRoleAssignments
from fhir_app_operator.graph.applications import Applications
from fhir_app_operator.graph.auth import ClientCredential, SignIn, TokenSource
from fhir_app_operator.graph.client import GraphClient, Observe
from fhir_app_operator.graph.deleted_items import DeletedItems
from fhir_app_operator.graph.federated_identity_credentials import FederatedIdentityCredentials
from fhir_app_operator.graph.inventory import Inventory
from fhir_app_operator.graph.key_credentials import KeyCredentials
from fhir_app_operator.graph.oauth2_permission_grants import PermissionGrants
from fhir_app_operator.graph.openid import OpenIdConfigurations
from fhir_app_operator.graph.server_clock import ServerClock
from fhir_app_operator.graph.service_principals import ServicePrincipals
from fhir_app_operator.kube.secrets import Secrets
from fhir_app_operator.planning.account import Entry
from fhir_app_operator.planning.clouds import Directory, directory
from fhir_app_operator.planning.model import (
    Application,
    DesiredGrants,
    FederatedIdentityCredential,
    KeyCredential,
    RecordedGrant,
    Registration,
)

RETIRE_AFTER: Final = timedelta(minutes=10)
"""How long a replaced connection stays open for the passes that still use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlisted:
    """What an application has and only a read of its own shows."""

    keys: tuple[KeyCredential, ...]
    federated: tuple[FederatedIdentityCredential, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """When and for what the grants of a registration were last read."""

    at: datetime
    wanted: DesiredGrants
    settled: bool
    """Nothing was missing."""
    hidden: bool = False
    """Something that is to be taken back was in the account, and not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """An account of which nothing is to be taken back, by what the tenant says."""

    account: tuple[RecordedGrant, ...]
    grants: Grants
    policy: TenantPolicy | None


@dataclass(slots=True, kw_only=True)
class Connection:
    """One directory, ready to use, and what is remembered about it."""

    directory: Directory
    sign_in: SignIn
    tokens: TokenSource
    applications: Applications
    service_principals: ServicePrincipals
    key_credentials: KeyCredentials
    federated_identity_credentials: FederatedIdentityCredentials
    deleted_items: DeletedItems
    inventory: Inventory
    apis: Apis
    app_role_assignments: AppRoleAssignments
    permission_grants: PermissionGrants
    application_defaults: ApplicationDefaults | None
    openid: OpenIdConfigurations
    own_writes: OwnWrites
    server_clock: ServerClock
    servers: Servers = field(default_factory=Servers)
    verified: dict[str, datetime] = field(default_factory=dict)
    """When each registration (by UID) was last compared with a live read."""
    client_ids: dict[str, str] = field(default_factory=dict)
    """The client ids of pre-authorized clients, by UID, seen to be their own."""
    unlisted: dict[str, Unlisted] = field(default_factory=dict)
    """The credentials that were seen then and that no list shows."""
    consents: dict[str, Reviewed] = field(default_factory=dict)
    """What was found when each registration's grants were last read, by UID."""
    allowed: dict[str, Allowed] = field(default_factory=dict)
    """What of each registration's account was last seen to be allowed, by UID."""
    missed: dict[str, dict[Entry, datetime]] = field(default_factory=dict)
    """What of each registration's account no read has shown, and since when, by UID."""

    async def application_of(self, registration: Registration) -> Application | None:
        """Return the application of `registration`: by its key, and only with its owner tag.

        Never by what its status says: whoever may write that could name anybody's application.

        Raises:
            Stalled, Waiting: by consequence.
        """
        found = await self.applications.by_unique_name(registration.unique_name)
        return found if found is not None and registration.owner_tag in found.tags else None

    async def listed_application(
        self, registration: Registration, object_id: str | None, age: timedelta
    ) -> Application | None:
        """Return what a list of ours, of this age at most, says of it: without what lists lack.

        `object_id` is a hint: what it names counts only with the registration's owner tag.

        Raises:
            Stalled, Waiting: by consequence.
        """
        snapshot = await self.inventory.snapshot(age)
        found = snapshot.applications.get(object_id or "")
        return found if found is not None and registration.owner_tag in found.tags else None

    async def principal_of(self, registration: Registration) -> str | None:
        """Return the object id of the service principal of `application_of`; errors as there."""
        application = await self.application_of(registration)
        if application is None:
            return None
        return await self.service_principals.id_of(application.app_id)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a registration that is gone."""
        self.verified.pop(uid, None)
        self.unlisted.pop(uid, None)
        self.client_ids.pop(uid, None)
        self.consents.pop(uid, None)
        self.allowed.pop(uid, None)
        self.missed.pop(uid, None)
        self.servers.forget(uid)
        self.own_writes.forget(uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorIdentity:
    """Where the operator's own credentials are.

    Args:
        namespace: its own namespace, for client secrets.
        token_file: the projected ServiceAccount token, for workload identity.
    """

    namespace: str
    token_file: Path | None = None


class Connections:
    """The connections of all tenants.

    Args:
        identity: the operator's own credentials.
        secrets: to read client secrets in the operator's namespace.
        clock: the time, in UTC.
        open_pools: how to get out; default: over the network, without a proxy.
        sleep: how Graph clients pause.
        observe: told of each Graph answer.
        fence: called right before each write to Graph; raises if it must not start.
        retire_after: how long a replaced connection stays open; must exceed the longest pass.
    """

    def __init__(
        self,
        identity: OperatorIdentity,
        secrets: Secrets,
        clock: Callable[[], datetime],
        *,
        open_pools: PoolFactory | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        observe: Observe = lambda _operation, _status, _seconds: None,
        fence: Callable[[], None] = lambda: None,
        retire_after: timedelta = RETIRE_AFTER,
    ) -> None:
        self._identity = identity
        self._secrets = secrets
        self._clock = clock
        self._open_pools = open_pools or network_pools()
        self._sleep = sleep
        self._observe = observe
        self._fence = fence
        self._retire_after = retire_after.total_seconds()
        self._open: dict[str, _Open] = {}
        self._retired: list[tuple[float, Pools]] = []

    async def get(self, tenant: EntraTenant) -> Connection:
        """Return the connection to `tenant`; a new one when what it depends on has changed.

        The newest generation counts: a pass that has read an older one of the same tenant gets
        the newer connection. A replaced connection works on for the passes that hold it.

        Raises:
            Stalled: `InvalidSpec`, its `caBundle` cannot be read.
        """
        await self._close_retired()
        name, meta = tenant.metadata.name, tenant.metadata
        known = self._open.get(name)
        if known and known.uid == meta.uid and known.generation > meta.generation:
            return known.connection
        reach = _reach(tenant)
        if known is None or known.reach != reach:
            connection, pools = self._connect(tenant)
            self.forget(name)
        else:
            connection, pools = known.connection, known.pools
        connection.application_defaults = tenant.spec.application_defaults
        self._open[name] = _Open(
            uid=meta.uid, generation=meta.generation, reach=reach, connection=connection,
            pools=pools,
        )  # fmt: skip
        return connection

    def forget_registration(self, uid: str) -> None:
        """Drop what any connection remembers of a registration that is gone."""
        for known in self._open.values():
            known.connection.forget(uid)

    def forget(self, name: str) -> None:
        """Retire the connection of the tenant called `name`, if there is one."""
        known = self._open.pop(name, None)
        if known is not None:
            self._retired.append((asyncio.get_running_loop().time(), known.pools))

    async def close(self) -> None:
        """Close all pools, those of retired connections too."""
        for name in list(self._open):
            self.forget(name)
        await self._close_retired(self._retired)

    async def _close_retired(self, due: list[tuple[float, Pools]] | None = None) -> None:
        """Close those retired pools that no pass can hold any more, or those that are `due`."""
        if due is None:
            long_ago = asyncio.get_running_loop().time() - self._retire_after
            due = [entry for entry in self._retired if entry[0] <= long_ago]
        self._retired = [entry for entry in self._retired if entry not in due]
        for _, pools in due:
            await pools.close()

    def _connect(self, tenant: EntraTenant) -> tuple[Connection, Pools]:
        where = directory(tenant.spec)
        pools = self._open_pools(tenant, where)
        sign_in = SignIn(where, pools.blocking, executor=pools.sign_ins)
        tokens = TokenSource(sign_in, tenant.spec.client_id, self._reader(tenant), self._clock)
        graph = GraphClient(
            where.graph_url, pools.graph, tokens, sleep=self._sleep, observe=self._observe,
            fence=self._fence,
        )  # fmt: skip
        service_principals = ServicePrincipals(graph)
        applications = Applications(graph)
        inventory = Inventory(graph, service_principals, tenant.spec.client_id, self._clock)
        connection = Connection(
            directory=where,
            sign_in=sign_in,
            tokens=tokens,
            applications=applications,
            service_principals=service_principals,
            inventory=inventory,
            apis=Apis(service_principals, applications, inventory, self._clock),
            app_role_assignments=AppRoleAssignments(graph),
            permission_grants=PermissionGrants(graph),
            key_credentials=KeyCredentials(graph),
            federated_identity_credentials=FederatedIdentityCredentials(graph),
            deleted_items=DeletedItems(graph),
            application_defaults=tenant.spec.application_defaults,
            openid=OpenIdConfigurations(where, pools.login),
            own_writes=OwnWrites(self._clock),
            server_clock=graph.server_clock,
        )
        return connection, pools

    def _reader(self, tenant: EntraTenant) -> Callable[[], Awaitable[ClientCredential]]:
        auth = tenant.spec.auth
        if auth.client_secret is not None:
            secret_ref = auth.client_secret.secret_ref
            return partial(self._client_secret, secret_ref.name, secret_ref.key)
        if auth.certificate is not None:
            return partial(self._certificate, auth.certificate.secret_ref.name)
        return self._assertion

    async def _client_secret(self, name: str, key: str) -> ClientCredential:
        return ClientCredential(client_secret=await self._value(name, key))

    async def _certificate(self, name: str) -> ClientCredential:
        return ClientCredential(
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

    async def _assertion(self) -> ClientCredential:
        path = self._identity.token_file
        if path is None:
            raise Waiting(
                "CredentialNotFound",
                "workload identity needs a projected ServiceAccount token: set "
                "AZURE_FEDERATED_TOKEN_FILE (the azure-workload-identity webhook does)",
            )
        try:
            return ClientCredential(assertion=SecretStr(path.read_text().strip()))
        except OSError as error:
            raise Waiting(
                "CredentialNotFound",
                f"the projected token '{path}' cannot be read ({type(error).__name__})",
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A connection in use, and the tenant that it was last asked for."""

    uid: str
    generation: int
    reach: tuple[Any, ...]
    connection: Connection
    pools: Pools


def _reach(tenant: EntraTenant) -> tuple[Any, ...]:
    """What a connection depends on: another value needs another connection."""
    spec = tenant.spec
    return (directory(spec), spec.client_id, spec.auth, spec.ca_bundle)
