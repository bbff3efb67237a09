"""Reads only: the tenant, the referenced server, the Secret and the Entra objects of a pass."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from fhir_app_operator.api.v1alpha1 import (
    RegistrationStatus,
)
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.planning import conditions
from fhir_app_operator.planning.model import Application, Intent, Observed, Policy

_VERIFY_EVERY = timedelta(days=1)


async def read_secret(world: World, work: Pass) -> None:
    """Read the registration's Secret into `work`."""
    name = work.registration.secret_name
    work.secret = await world.secrets.read(work.identity, name)
    work.secret_read = True
    work.observed = replace(work.observed, secret=work.secret.state if work.secret else None)


async def is_as_listed(world: World, work: Pass, connection: Connection) -> bool:
    """Put what the lists of our objects say into `work`, if that can be enough.

    True only for a settled registration that was compared with a live read within a day: a list
    may confirm that nothing differs, but never that something does.
    """
    status, uid = work.registration.status, work.identity.uid
    if status.object_id is None or _verification_due(connection, uid, world.clock()):
        return False
    snapshot = await connection.inventory.snapshot(world.snapshot_age)
    application = snapshot.applications.get(status.object_id)
    if application is None:
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
