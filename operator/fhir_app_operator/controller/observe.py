"""Reads only: the tenant, the referenced server, the Secret and the Entra objects of a pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from fhir_app_operator.api.v1alpha1 import CredentialType, FhirAppRegistration, RegistrationStatus
from fhir_app_operator.controller import proof
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning import conditions, config_map, permissions, requests
from fhir_app_operator.planning.credentials import certificate_settles, share
from fhir_app_operator.planning.model import (
    Application,
    FederatedIdentityCredential,
    Federation,
    Intent,
    KeyCredential,
    Policy,
)

_SETTLED_NEGATIVES: Final = timedelta(minutes=1)
"""How long an application that was there for long must stay unseen to count as gone."""


def is_settled(registration: FhirAppRegistration) -> bool:
    """Whether nobody waits for `registration`: Ready and in sync for its spec, nothing asked."""
    found = [conditions.find(registration.status.conditions, kind) for kind in ("Ready", "Synced")]
    return not requests.reconcile_asked(registration) and all(
        c is not None
        and c.status == "True"
        and c.observed_generation == registration.metadata.generation
        for c in found
    )


def compare_clocks(world: World, work: Pass, connection: Connection) -> None:
    """Note in `work` how far our clock is ahead of the directory's."""
    skew = connection.server_clock.ahead(world.clock())
    work.observed = replace(work.observed, clock_skew=skew)


def directory_time(world: World, work: Pass) -> datetime:
    """Return the directory's time as far as it is known, in whole seconds.

    What the directory compares with its own clock is made by it: a certificate that starts in a few
    minutes is refused until then, and the operator's clock may be that far ahead.
    """
    skew = work.observed.clock_skew
    return (world.clock() - (skew or timedelta(0))).replace(microsecond=0)


async def read_secret(world: World, work: Pass) -> None:
    """Read the registration's Secret into `work`."""
    name = work.registration.secret_name
    work.secret = await world.secrets.read(work.identity, name)
    work.secret_read = True
    work.observed = replace(work.observed, secret=work.secret.state if work.secret else None)


async def read_config_map(world: World, work: Pass) -> None:
    """Read the ConfigMap that the manifest asks for into `work`; without one nothing is read."""
    name = config_map.wanted_name(work.registration)
    work.config_map = await world.config_maps.read(work.identity, name) if name else None
    work.observed = replace(
        work.observed,
        config_map=work.config_map.state if work.config_map else None,
        recorded_config_map=work.registration.status.config_map_name,
    )


async def is_as_listed(world: World, work: Pass, connection: Connection) -> bool:
    """Put what the lists of our objects say into `work`, if that can be enough.

    True only for a settled registration that was compared with a live read lately: a list may
    confirm that nothing differs, but never that something does.
    """
    status = work.registration.status
    if status.object_id is None or _verification_due(world, work, connection):
        return False
    snapshot = await connection.inventory.snapshot(world.snapshot_age)
    listed = snapshot.applications.get(status.object_id)
    if listed is None:
        return False
    application = _corrected(world, work, connection, listed)
    work.observed = replace(
        work.observed,
        application=_with_unlisted(work, connection, application),
        service_principal_id=snapshot.service_principals.get(application.app_id),
        assignment_required=_assignment(
            world, work, connection, read=application.app_id in snapshot.assignment_required
        ),
        recorded_object_id=status.object_id,
        recorded_app_id=status.app_id,
        intent=_intent(status),
        retired=_retired(work),
    )
    return True


def _with_unlisted(work: Pass, connection: Connection, application: Application) -> Application:
    """Return `application` with the credentials that no list shows, as they were seen last.

    Before the first live read of this process, those that status reports.
    """
    known = connection.unlisted.get(work.identity.uid)
    if known is not None:
        return replace(application, keys=known.keys, federated=known.federated)
    reported = work.registration.status.credentials
    wanted = work.desired.credential if work.desired else None
    federated = wanted.credentials if isinstance(wanted, Federation) else ()
    names = {each.key_id for each in reported if each.type is CredentialType.FEDERATED_IDENTITY}
    unwanted = names - {each.name for each in federated}
    return replace(
        application,
        keys=tuple(
            KeyCredential(
                key_id=each.key_id, display_name=work.identity.credential_name(each.key_id),
                start=each.start_time, end=each.end_time,
            )
            for each in reported
            if each.type is CredentialType.CERTIFICATE and each.start_time and each.end_time
        ),
        federated=(
            *(each for each in federated if each.name in names),
            *(_stranger(name) for name in sorted(unwanted)),
        ),
    )  # fmt: skip


def _stranger(name: str) -> FederatedIdentityCredential:
    return FederatedIdentityCredential(name=name, issuer="", subject="", audience="")


def _verification_due(world: World, work: Pass, connection: Connection) -> bool:
    """Whether a live read is due: regularly, and once more after a certificate was published.

    The list of certificates is written as a whole: one that a dead process sent may have landed
    after ours. The first regular reads are spread by the UID's digits.
    """
    uid, now, every = work.identity.uid, world.clock(), world.verify_every
    settled = certificate_settles(work.observed, world.policy)
    if settled is not None and connection.verified.get(uid, now) < settled <= now:
        return True
    if uid not in connection.verified:
        connection.verified[uid] = now - share(uid) * every
    return now - connection.verified[uid] >= every


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
    if application is not None:
        application = await _with_credentials(work, connection, application)
        application = _corrected(world, work, connection, application)
        application = await proof.with_proven(world, work, connection, application)
    binned = None if application else await _own_in_bin(work, connection)
    work.entra_read = True
    work.observed = replace(
        work.observed,
        application=application,
        recorded_object_id=status.object_id,
        recorded_app_id=status.app_id,
        intent=_intent(status),
        retired=_retired(work),
        deleted_application_id=binned.object_id if binned else None,
        **_missing(work.registration, application or binned, world.clock(), world.policy),
    )
    await _observe_service_principal(world, work, connection, application or binned)


def _corrected(world: World, work: Pass, connection: Connection, read: Application) -> Application:
    """`read`, unless it shows what our own writes left behind."""
    uid, trusted_for = work.identity.uid, world.policy.doubt
    found = connection.own_writes.corrected(uid, read, trusted_for=trusted_for)
    work.doubted = work.doubted or found != read
    unseen = connection.own_writes.unseen_disabled(uid, trusted_for=trusted_for)
    unseen &= permissions.disabled(found.exposure)
    work.observed = replace(work.observed, unseen_disabled=unseen)
    return found


async def _with_credentials(
    work: Pass, connection: Connection, application: Application
) -> Application:
    """Read the credentials that a read of the application does not show, where some may be ours."""
    if _may_hold(work, CredentialType.CERTIFICATE):
        keys = await connection.key_credentials.of(application.object_id)
        if keys is None:
            raise Waiting("NotYetReplicated", "the application is not visible everywhere yet")
        application = replace(application, keys=keys)
    if _may_hold(work, CredentialType.FEDERATED_IDENTITY):
        federated = await connection.federated_identity_credentials.of(application.object_id)
        application = replace(application, federated=federated)
    return application


def _may_hold(work: Pass, kind: CredentialType) -> bool:
    """Whether the application may hold credentials of that type that are ours, or are to go.

    A status without conditions was never written, or was wiped: then all is possible.
    """
    status, wanted, secret = work.registration.status, work.desired, work.observed.secret
    return (
        not status.conditions
        or kind in status.credential_types
        or (wanted is not None and wanted.credential is not None and wanted.credential.type is kind)
        or (wanted is not None and wanted.remove_unmanaged)
        or (secret is not None and secret.type is kind)
    )


async def _own_in_bin(work: Pass, connection: Connection) -> Application | None:
    object_id = work.registration.status.object_id
    found = await connection.deleted_items.application(object_id) if object_id else None
    return found if found and work.identity.owner_tag in found.tags else None


async def _observe_service_principal(
    world: World, work: Pass, connection: Connection, backing: Application | None
) -> None:
    """Read the service principal; one in the bin counts only if it is our application's."""
    if backing is None:
        return
    found, required = None, None
    if work.observed.application is not None:
        shown = await connection.service_principals.of(backing.app_id)
        if shown is not None:
            found, read = shown.id, shown.app_role_assignment_required
            required = _assignment(world, work, connection, read=read)
    recorded = work.registration.status.service_principal_id
    deleted = None
    if found is None and recorded is not None:
        app_id = await connection.deleted_items.service_principal_app_id(recorded)
        deleted = recorded if app_id == backing.app_id else None
    if found is None and deleted is None and work.observed.application is not None:
        found = connection.own_writes.principal(work.identity.uid, trusted_for=world.policy.doubt)
        work.doubted = work.doubted or found is not None
    work.observed = replace(
        work.observed, service_principal_id=found, deleted_service_principal_id=deleted,
        assignment_required=required,
    )  # fmt: skip


def _assignment(world: World, work: Pass, connection: Connection, *, read: bool) -> bool:
    """`read`, unless it shows what our own write left behind."""
    uid, trusted_for = work.identity.uid, world.policy.doubt
    written = connection.own_writes.assignment_required(uid, trusted_for=trusted_for)
    work.doubted = work.doubted or written not in (None, read)
    return read if written is None else written


def _missing(
    registration: FhirAppRegistration, seen: Application | None, now: datetime, policy: Policy
) -> dict[str, Any]:
    """Since when the application is not seen, and whether that can only mean that it is gone.

    One negative read proves nothing (Entra is eventually consistent); many over a while do, over
    twice the replication window if it was made or restored lately.
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
    needed = policy.doubt if young else _SETTLED_NEGATIVES
    return {"missing_since": since, "missing_for_sure": now - since >= needed}


def _retired(work: Pass) -> dict[str, datetime]:
    """Since when credentials are out of the Secret; what status says of the one in it is past."""
    held = work.observed.secret.key_id if work.observed.secret else None
    known = work.registration.status.credentials
    return {c.key_id: c.retired_at for c in known if c.retired_at and c.key_id != held}


def _intent(status: RegistrationStatus) -> Intent | None:
    pending = status.pending_credential
    if pending is None:
        return None
    return Intent(nonce=pending.nonce, requested_at=pending.requested_at, type=pending.type)


def is_young(application: Application, now: datetime, policy: Policy) -> bool:
    """Whether the directory may not show `application` everywhere yet."""
    created = application.created_at
    return created is None or now - created < policy.doubt


def is_create_recent(status: RegistrationStatus, world: World) -> bool:
    """Whether the directory may not show yet what came of the first create, or of the last.

    The first one counts as recent: its own repetition may meet what it made. Half the window, as
    `record.create_requested` counts: later, every pass moves the moment on.
    """
    last = status.create_requested_at
    return last is None or world.clock() - last < world.policy.replication_window / 2


def was_never_created(status: RegistrationStatus) -> bool:
    """Whether it is certain that no create was ever sent: status is ours and names none.

    A status without conditions was never written, or was wiped: then nothing is certain.
    """
    asked = status.create_requested_at is not None or status.object_id is not None
    return bool(status.conditions) and not asked
