"""Reads only: the tenant, the referenced server, the Secret and the Entra objects of a pass."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from fhir_app_operator.api.names import RECONCILE_REQUESTED_ANNOTATION
from fhir_app_operator.api.v1alpha1 import FhirAppRegistration, RegistrationStatus
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.planning import conditions
from fhir_app_operator.planning.model import Application, Intent, Policy

_VERIFY_EVERY: Final = timedelta(days=1)
_SETTLED_NEGATIVES: Final = timedelta(minutes=1)
"""How long an application that was there for long must stay unseen to count as gone."""


def is_settled(registration: FhirAppRegistration) -> bool:
    """Whether nobody waits for `registration`: Ready and in sync for its spec, nothing asked."""
    found = [conditions.find(registration.status.conditions, kind) for kind in ("Ready", "Synced")]
    requested = registration.metadata.annotations.get(RECONCILE_REQUESTED_ANNOTATION)
    return requested == registration.status.last_handled_reconcile_at and all(
        c is not None
        and c.status == "True"
        and c.observed_generation == registration.metadata.generation
        for c in found
    )


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
        retired={c.key_id: c.retired_at for c in status.credentials if c.retired_at},
    )
    return True


def _verification_due(connection: Connection, uid: str, now: datetime) -> bool:
    """Whether the daily live read is due; the first ones are spread by the UID's digits."""
    if uid not in connection.verified:
        share = int(hashlib.sha256(uid.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        connection.verified[uid] = now - share * _VERIFY_EVERY
    return now - connection.verified[uid] >= _VERIFY_EVERY


async def observe_entra(world: World, work: Pass, connection: Connection) -> None:
    """Read application and service principal by the registration's key into `work`.

    Ids in status are hints: what they name counts only if it carries the registration's owner tag.
    """
    status = work.registration.status
    connection.verified[work.identity.uid] = world.clock()
    applications = connection.applications
    application = await applications.by_unique_name(work.identity.unique_name)
    if application is None and status.object_id is not None:
        application = await applications.by_object_id(status.object_id)
    binned = None if application else await _own_in_bin(work, connection)
    work.entra_read = True
    work.observed = replace(
        work.observed,
        application=application,
        recorded_object_id=status.object_id,
        recorded_app_id=status.app_id,
        intent=_intent(status),
        retired={c.key_id: c.retired_at for c in status.credentials if c.retired_at},
        deleted_application_id=binned.object_id if binned else None,
        **_missing(work.registration, application or binned, world.clock(), world.policy),
    )
    await _observe_service_principal(work, connection, application, binned)


async def _own_in_bin(work: Pass, connection: Connection) -> Application | None:
    object_id = work.registration.status.object_id
    found = await connection.deleted_items.application(object_id) if object_id else None
    return found if found and work.identity.owner_tag in found.tags else None


async def _observe_service_principal(
    work: Pass, connection: Connection, application: Application | None, binned: Application | None
) -> None:
    """Read the service principal; one in the bin counts only if it is our application's."""
    backing = application or binned
    if backing is None:
        return
    found = await connection.service_principals.id_of(backing.app_id) if application else None
    recorded = work.registration.status.service_principal_id
    deleted = None
    if found is None and recorded is not None:
        app_id = await connection.deleted_items.service_principal_app_id(recorded)
        deleted = recorded if app_id == backing.app_id else None
    work.observed = replace(
        work.observed, service_principal_id=found, deleted_service_principal_id=deleted
    )


def _missing(
    registration: FhirAppRegistration, seen: Application | None, now: datetime, policy: Policy
) -> dict[str, Any]:
    """Since when the application is not seen, and whether that can only mean that it is gone.

    One negative read proves nothing (Entra is eventually consistent); many over a while do, over
    the whole replication window if it was made or restored lately.
    """
    status = registration.status
    if seen is not None or was_never_created(status):
        return {"missing_since": None, "missing_for_sure": False}
    since = status.missing_since or now
    if status.create_requested_at is not None:
        # What was asked for later than that cannot have been missing then.
        since = min(now, max(since, status.create_requested_at))
    made = status.create_requested_at or registration.metadata.creation_timestamp
    young = made is None or now - made < 4 * policy.replication_window
    needed = policy.replication_window if young else _SETTLED_NEGATIVES
    return {"missing_since": since, "missing_for_sure": now - since >= needed}


def _intent(status: RegistrationStatus) -> Intent | None:
    pending = status.pending_credential
    return Intent(nonce=pending.nonce, requested_at=pending.requested_at) if pending else None


def is_young(application: Application, now: datetime, policy: Policy) -> bool:
    """Whether the directory may not show `application` everywhere yet."""
    created = application.created_at
    return created is None or now - created < policy.replication_window


def was_never_created(status: RegistrationStatus) -> bool:
    """Whether it is certain that no create was ever sent: status is ours and names none.

    A status without conditions was never written, or was wiped: then nothing is certain.
    """
    asked = status.create_requested_at is not None or status.object_id is not None
    return bool(status.conditions) and not asked
