"""What a manifest refers to: its tenant, its FHIR server, and the state that follows from them.

Reads only. Entra objects of the registration itself are read in `observe`.
"""

from __future__ import annotations

from functools import partial

from fhir_app_operator.api.v1alpha1 import AppType, EntraTenant, FhirAppRegistration
from fhir_app_operator.controller import following, observe
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.servers import KnownServer, known_server
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Invalid, Stalled, Waiting
from fhir_app_operator.planning import asked, conditions, desired, federation, requests
from fhir_app_operator.planning.model import (
    Application,
    CredentialPolicy,
    Desired,
    DesiredApplication,
)
from fhir_app_operator.planning.plan import refuse_foreign_secret


async def preconditions(world: World, work: Pass) -> EntraTenant:
    """Return the tenant, if everything holds that must hold before the first Graph call.

    Raises:
        Stalled: `NamespaceNotAllowed`, `SecretConflict`, `TenantChanged`.
        Waiting: `TenantNotFound`, `TenantNotReady`, `NamespaceTerminating`.
    """
    registration = work.registration
    tenant = await tenant_of(world, registration)
    await refuse_namespace(world, tenant, registration.metadata.namespace)
    if tenant.metadata.deletion_timestamp and registration.status.app_id is None:
        raise Waiting("TenantNotReady", f"EntraTenant '{tenant.metadata.name}' is being deleted")
    await observe.read_secret(world, work)
    refuse_foreign_secret(registration.secret_name, work.observed)
    return tenant


async def desired_state(world: World, work: Pass, connection: Connection) -> Desired:
    """Return what the registration should come to, its references resolved.

    Raises:
        Invalid, Stalled, Waiting: a reference cannot be resolved.
    """
    registration = work.registration
    server = await server_of(world, work, connection)
    issuer = await connection.openid.issuer(server.token_version)
    user_flow = registration.spec.type in (AppType.CONFIDENTIAL, AppType.PUBLIC)
    graph = await connection.graph_permissions() if user_flow else server.permissions
    return desired.desired(
        registration, work.identity, connection.directory, server, issuer, graph,
        await _defaults(connection), await _outside_credential(world, work, connection),
    )  # fmt: skip


async def _outside_credential(
    world: World, work: Pass, connection: Connection
) -> CredentialPolicy | None:
    """What `credential` comes to where that depends on the cluster; None where it does not."""
    credential = work.registration.spec.credential
    if credential is None:
        return None
    if credential.federated is not None:
        issuer = await world.token_issuers.cluster()
        audience = connection.directory.exchange_audience
        return federation.wanted(work.identity, credential.federated, issuer, audience)
    return await following.followed(world, work.registration)


def held_state(work: Pass) -> Desired | None:
    """Return what keeps the credential alive while the references cannot be resolved.

    The Secret's data stays as it is. None if there is no credential to keep: no such type, or no
    Secret of ours yet.
    """
    policy, secret = desired.issue_policy(work.registration), work.observed.secret
    if policy is None or secret is None or not secret.ours or not secret.holds_credential:
        return None
    return Desired(
        registration=work.identity,
        application=DesiredApplication(display_name="", notes="", tags=frozenset()),
        credential=policy,
        connection=secret.data,
        secret_name=work.registration.secret_name,
        secret_owned=secret.owner_reference,
        secret_template=desired.secret_template(work.registration),
        requests=requests.read(work.registration),
        remove_unmanaged=desired.removes_unmanaged(work.registration),
    )


async def _defaults(connection: Connection) -> desired.Defaults:
    """The tenant's defaults; further owners must not push the operator itself out."""
    found = connection.application_defaults
    if found is None:
        return desired.Defaults()
    owners = frozenset(found.owners)
    return desired.Defaults(
        service_management_reference=found.service_management_reference,
        owners=owners | {await connection.inventory.own_id()} if owners else owners,
        tags=frozenset(found.tags),
    )


async def tenant_of(world: World, registration: FhirAppRegistration) -> EntraTenant:
    """Return the tenant that `registration` refers to.

    Raises:
        Waiting: `TenantNotFound`.
        Stalled: `TenantChanged`, the name now means another directory.
    """
    name = registration.spec.tenant_ref.name
    tenant = await world.registrations.tenant(name)
    if tenant is None:
        raise Waiting("TenantNotFound", f"`tenantRef`: EntraTenant '{name}' does not exist")
    before = registration.status.tenant_id
    if before is not None and before != tenant.spec.tenant_id:
        raise Stalled(
            "TenantChanged",
            f"EntraTenant '{name}' now means directory {tenant.spec.tenant_id}, the application "
            f"is in {before}; restore the tenant, or delete this registration with "
            "`deletionPolicy: Orphan` and create it again",
        )
    return tenant


async def refuse_namespace(world: World, tenant: EntraTenant, namespace: str) -> None:
    """Raise unless `namespace` may have registrations in `tenant` and is not going away.

    Raises:
        Stalled: `NamespaceNotAllowed`.
        Waiting: `NamespaceTerminating`, `TenantNotReady` (it is being deleted).
    """
    found = await world.namespaces.get(namespace)
    if not tenant.spec.allows(dict(found.labels)):
        raise Stalled(
            "NamespaceNotAllowed",
            f"EntraTenant '{tenant.metadata.name}' does not allow namespace '{namespace}'; an "
            "administrator must extend its `allowedNamespaces` or label the namespace",
        )
    if found.terminating:
        raise Waiting("NamespaceTerminating", f"namespace '{namespace}' is being deleted")


async def server_of(world: World, work: Pass, connection: Connection) -> desired.Server:
    """Return the FHIR server whose facts `registration` needs: its own, or the referenced one.

    Raises:
        Waiting: `FhirServerNotFound`, `FhirServerNotReady`.
        Invalid: the reference names something else than a server of the same tenant, or what is
            asked for can never be.
    """
    registration = work.registration
    if registration.spec.type is AppType.RESOURCE:
        return desired.own_server(registration)
    reference = registration.spec.fhir_server_ref
    if reference is None:
        raise Invalid("`fhirServerRef` must be set: it names the server to sign in to")
    name = reference.name
    server = await world.registrations.registration(registration.metadata.namespace, name)
    if server is None or server.metadata.deletion_timestamp is not None:
        raise Waiting(
            "FhirServerNotFound",
            f"`fhirServerRef`: FhirAppRegistration '{name}' does not exist in this namespace",
        )
    _refuse_unready(server, registration)
    declared = desired.declared_values(server, connection.directory.tenant_id)
    wanted = set(asked.encoded(registration, desired.own_server(server).scope_encoding))
    listed = await _listed_server(world, connection, server) if work.settled else None
    if listed is not None and listed.exposes(wanted):
        known = listed
    else:
        known = await _known_server(world, connection, server, wanted)
    return desired.referenced_server(server, known.app_id, known.permissions, declared)


def _refuse_unready(server: FhirAppRegistration, client: FhirAppRegistration) -> None:
    name = server.metadata.name
    if server.spec.type is not AppType.RESOURCE:
        raise Invalid(
            f"`fhirServerRef`: FhirAppRegistration '{name}' is of type {server.spec.type}, "
            "it must be of type Resource"
        )
    if server.spec.tenant_ref != client.spec.tenant_ref:
        raise Invalid(
            f"`fhirServerRef`: FhirAppRegistration '{name}' is in EntraTenant "
            f"'{server.spec.tenant_ref.name}', it must be in the same one as its client"
        )
    ready = conditions.find(server.status.conditions, "Ready")
    current = ready is not None and ready.observed_generation == server.metadata.generation
    if ready is None or ready.status != "True" or not current:
        why = f" ({ready.reason}: {ready.message})" if ready and ready.status == "False" else ""
        raise Waiting("FhirServerNotReady", f"FhirAppRegistration '{name}' is not ready{why}")


async def _listed_server(
    world: World, connection: Connection, server: FhirAppRegistration
) -> KnownServer | None:
    """Return what the list of our objects says of the server: enough to confirm a settled client.

    Its id in status is a hint: what it names counts only if it carries the server's owner tag.
    """
    snapshot = await connection.inventory.snapshot(world.snapshot_age)
    application = snapshot.applications.get(server.status.object_id or "")
    if application is None or world.identity(server).owner_tag not in application.tags:
        return None
    return known_server(application)


async def _known_server(
    world: World, connection: Connection, server: FhirAppRegistration, wanted: set[str]
) -> KnownServer:
    """Return the server's application, found by its key and tag; looked up once for all clients.

    Never by what its status says: whoever may write that could name anybody's application.

    Raises:
        Waiting: `FhirServerNotReady`, the directory does not show an application that is its own.
    """
    known = connection.servers.get(server.metadata.uid)
    if known is not None and known.exposes(wanted):
        return known
    return await connection.servers.look_up(
        server.metadata.uid, partial(_application_of, world, connection, server)
    )


async def _application_of(
    world: World, connection: Connection, server: FhirAppRegistration
) -> Application:
    identity = world.identity(server)
    application = await connection.applications.by_unique_name(identity.unique_name)
    if application is None or identity.owner_tag not in application.tags:
        raise Waiting(
            "FhirServerNotReady",
            f"the application of FhirAppRegistration '{server.metadata.name}' is not visible "
            "in Entra",
        )
    return application
