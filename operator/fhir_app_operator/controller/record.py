"""From the end of a pass to the status that is written: conditions, ids, credentials.

Pure but for the clock of the world; the write itself is the reconciler's.
"""

from __future__ import annotations

from datetime import datetime

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import (
    AppType,
    CredentialState,
    CredentialStatus,
    RegistrationStatus,
)
from fhir_app_operator.controller.status import recorded
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import OperatorError
from fhir_app_operator.planning import credentials, notices
from fhir_app_operator.planning.conditions import Reporter, Verdict
from fhir_app_operator.planning.desired import resolved
from fhir_app_operator.planning.plan import credential_usable

Status = RegistrationStatus


def succeeded(world: World, work: Pass) -> Status:
    """Return the status of a pass that left nothing to do."""
    wanted, application = work.desired, work.observed.application
    others = notices.unmanaged(wanted, application) if wanted and application else ""
    verdict = _reporter(world, work).succeeded(_summary(work), unmanaged=others)
    return _status(work, verdict, world.clock(), pending=False)


def progressing(world: World, work: Pass) -> Status:
    """Return the status while a new spec is worked on."""
    verdict = _reporter(world, work).progressing("Entra and the Secret are being brought in line")
    return _status(work, verdict, world.clock(), pending=True)


def create_requested(world: World, status: Status) -> Status:
    """Return `status` with the moment of a create or restore; renewed only when it gets old."""
    now, last = world.clock(), status.create_requested_at
    if last is not None and now - last < world.policy.replication_window / 2:
        return status
    return Status.model_validate(status.model_dump() | {"create_requested_at": now})


def suspended(world: World, work: Pass) -> Status:
    """Return the status of a registration that is not to be touched."""
    return _status(work, _reporter(world, work).suspended(), world.clock(), pending=True)


def failed(world: World, work: Pass, error: OperatorError) -> Status:
    """Return the status of a pass that ended in `error`."""
    now = world.clock()
    reporter = _reporter(world, work)
    if _expired(work, now):
        return _status(work, reporter.expired(error), now, pending=True)
    return _status(work, reporter.failed(error, usable=_usable(work, now)), now, pending=True)


def _usable(work: Pass, now: datetime) -> bool | None:
    """Whether the Secret holds a working credential; None if the pass did not get that far."""
    if work.registration.metadata.deletion_timestamp is not None:
        return False
    if work.desired is not None:
        return credential_usable(work.desired, work.observed, now)
    if work.secret_read and work.observed.secret is None:
        return False
    return None


def _expired(work: Pass, now: datetime) -> bool:
    secret = work.observed.secret
    return (
        secret is not None
        and secret.ours
        and secret.expires_at is not None
        and now >= secret.expires_at
    )


def _reporter(world: World, work: Pass) -> Reporter:
    return Reporter(
        previous=work.registration.status.conditions,
        generation=work.registration.metadata.generation,
        now=world.clock(),
    )


def _status(work: Pass, verdict: Verdict, now: datetime, *, pending: bool) -> Status:
    before = work.registration.status
    generation = work.registration.metadata.generation
    updates: dict[str, object] = {
        **recorded(work),
        "last_handled_reconcile_at": _request(work) or before.last_handled_reconcile_at,
        "conditions": verdict.conditions,
        "observed_generation": generation if verdict.observed else before.observed_generation,
        "credentials": _credentials(work, now),
        "pending_credential": before.pending_credential if pending else None,
    }
    if work.entra_read:
        seen = work.observed.application is not None
        updates["missing_since"] = None if seen else work.observed.missing_since
    if work.desired is not None and work.observed.application is not None:
        data = resolved(work.desired.connection, work.observed.application.app_id)
        updates |= {
            "audience": data.get("FHIR_AUDIENCE", before.audience),
            "authority": data.get("FHIR_AUTHORITY", before.authority),
        }
    if work.observed.secret is not None and work.observed.secret.ours:
        updates["secret_name"] = work.registration.secret_name
    # Validated anew, so that times compare in the precision in which they are stored.
    return RegistrationStatus.model_validate(before.model_dump() | _plain(updates))


def _request(work: Pass) -> str | None:
    value = work.registration.metadata.annotations.get(names.RECONCILE_REQUESTED_ANNOTATION)
    return value[:512] if value else None


def _plain(updates: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in updates.items() if key in RegistrationStatus.model_fields}


def _credentials(work: Pass, now: datetime) -> tuple[CredentialStatus, ...]:
    application = work.observed.application
    if work.desired is None or application is None:
        return work.registration.status.credentials
    secret = work.observed.secret
    active = secret.key_id if secret and secret.credential_intact else None
    own = credentials.ours(work.desired, application.credentials)
    entries = [
        CredentialStatus(
            type=credential.type,
            key_id=credential.key_id,
            state=CredentialState.ACTIVE
            if credential.key_id == active
            else CredentialState.RETIRING,
            start_time=credential.start,
            end_time=credential.end,
            retired_at=None
            if credential.key_id == active
            else work.observed.retired.get(credential.key_id, now),
        )
        for credential in own[-32:]
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.state, entry.start_time, entry.key_id)))


def _summary(work: Pass) -> str:
    kind = work.registration.spec.type
    what = "the FHIR server's application" if kind is AppType.RESOURCE else f"{kind} client"
    return f"{what} is in place; Secret '{work.registration.secret_name}' holds what it needs"
