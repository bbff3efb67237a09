"""Reads only: the tenant, the referenced server, the Secret and the Entra objects of a pass."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from fhir_app_operator.api.v1alpha1 import (
    AppType,
    EntraTenant,
    FhirAppRegistration,
    RegistrationStatus,
)
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Invalid, Stalled, Waiting
from fhir_app_operator.planning import conditions, desired
from fhir_app_operator.planning.model import Application, Intent, Observed, Policy

_VERIFY_EVERY = timedelta(days=1)


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


async def read_secret(world: World, work: Pass) -> None:
    """Read the registration's Secret into `work`."""
    name = work.registration.secret_name
    work.secret = await world.secrets.read(work.identity, name)
    work.secret_read = True
    work.observed = replace(work.observed, secret=work.secret.state if work.secret else None)


async def server_of(
    world: World, connection: Connection, registration: FhirAppRegistration
) -> desired.Server:
    """Return the FHIR server whose facts `registration` needs: its own, or the referenced one.

    Raises:
        Waiting: `FhirServerNotFound`, `FhirServerNotReady`.
        Invalid: the reference names something else than a server of the same tenant.
    """
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
    app_id = _ready_app_id(server, registration)
    declared = desired.declared_values(server, connection.directory.tenant_id)
    ids = await _permission_ids(connection, app_id, registration)
    return desired.referenced_server(server, app_id, ids, declared)


def _ready_app_id(server: FhirAppRegistration, client: FhirAppRegistration) -> str:
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
    if ready is None or ready.status != "True" or not current or server.status.app_id is None:
        why = f" ({ready.reason}: {ready.message})" if ready and ready.status == "False" else ""
        raise Waiting("FhirServerNotReady", f"FhirAppRegistration '{name}' is not ready{why}")
    return server.status.app_id


async def _permission_ids(
    connection: Connection, app_id: str, client: FhirAppRegistration
) -> desired.PermissionIds:
    known = connection.permissions.get(app_id)
    asked = set(client.spec.app_roles or ()) | set(client.spec.scopes or ())
    if known is None or not asked <= known.app_roles.keys() | known.scopes.keys():
        application = await connection.applications.by_app_id(app_id)
        known = permission_ids(application) if application else desired.PermissionIds()
        connection.permissions[app_id] = known
    return known


def permission_ids(application: Application) -> desired.PermissionIds:
    """Return the ids of the enabled permissions that `application` exposes, by value."""
    return desired.PermissionIds(
        scopes={scope.value: scope.id for scope in application.scopes if scope.is_enabled},
        app_roles={role.value: role.id for role in application.app_roles if role.is_enabled},
    )


async def is_as_listed(world: World, work: Pass, connection: Connection) -> bool:
    """Put what the lists of our objects say into `work`, if that can be enough.

    True only for a settled registration that was compared with a live read within a day: a list
    may confirm that nothing differs, but never that something does.
    """
    status, uid = work.registration.status, work.identity.uid
    if status.object_id is None or _verification_due(connection, uid, world.clock()):
        return False
    snapshot = await connection.inventory.snapshot(world.snapshot_age)
    application = snapshot.applications.get(status.object_id) if snapshot else None
    if snapshot is None or application is None:
        return False
    work.observed = replace(
        work.observed,
        application=application,
        service_principal_id=snapshot.service_principals.get(application.app_id),
        recorded_object_id=status.object_id,
        recorded_app_id=status.app_id,
        intent=_intent(status),
    )
    return True


def _verification_due(connection: Connection, uid: str, now: datetime) -> bool:
    """Whether the daily live read is due; the first ones are spread by the UID's digits."""
    if uid not in connection.verified:
        share = int(hashlib.sha256(uid.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        connection.verified[uid] = now - share * _VERIFY_EVERY
    return now - connection.verified[uid] >= _VERIFY_EVERY


async def observe_entra(world: World, work: Pass, connection: Connection) -> None:
    """Read application and service principal by the registration's key into `work`."""
    status = work.registration.status
    connection.verified[work.identity.uid] = world.clock()
    applications = connection.applications
    application = await applications.by_unique_name(work.identity.unique_name)
    if application is None and status.object_id is not None:
        application = await applications.by_object_id(status.object_id)
    work.observed = replace(
        work.observed,
        application=application,
        recorded_object_id=status.object_id,
        recorded_app_id=status.app_id,
        recorded_is_young=_changed_lately(status, world.clock(), world.policy),
        intent=_intent(status),
        deleted_application_id=await _in_bin(connection, application, status.object_id),
    )
    await _observe_service_principal(work, connection, application)


async def _observe_service_principal(
    work: Pass, connection: Connection, application: Application | None
) -> None:
    if application is None:
        return
    found = await connection.service_principals.id_of(application.app_id)
    recorded = work.registration.status.service_principal_id
    work.observed = replace(
        work.observed,
        service_principal_id=found,
        deleted_service_principal_id=await _in_bin(connection, found, recorded),
    )


async def _in_bin(connection: Connection, live: object, recorded: str | None) -> str | None:
    if live is not None or recorded is None:
        return None
    return recorded if await connection.deleted_items.holds(recorded) else None


def _intent(status: RegistrationStatus) -> Intent | None:
    pending = status.pending_credential
    return Intent(nonce=pending.nonce, requested_at=pending.requested_at) if pending else None


def _changed_lately(status: RegistrationStatus, now: datetime, policy: Policy) -> bool:
    ready = conditions.find(status.conditions, "Ready")
    return ready is not None and now - ready.last_transition_time < policy.replication_window


def is_young(application: Application, now: datetime, policy: Policy) -> bool:
    """Whether the directory may not show `application` everywhere yet."""
    created = application.created_at
    return created is None or now - created < policy.replication_window


def was_never_created(status: RegistrationStatus, observed: Observed) -> bool:
    """Whether it is certain that no create was ever sent: status says what it waited for."""
    ready = conditions.find(status.conditions, "Ready")
    started = ready is not None and ready.reason in _AFTER_CREATE
    return observed.recorded_object_id is None and not started


_AFTER_CREATE = frozenset({
    conditions.PROGRESSING, "NotYetReplicated", "GraphUnavailable", "GraphThrottled",
    "TenantNotReady", "ApiServerUnavailable", "CredentialRateLimited",
})  # fmt: skip
