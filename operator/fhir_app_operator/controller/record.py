"""From the end of a pass to the status that is written: conditions, ids, credentials.

Pure but for the clock of the world; the write itself is the reconciler's.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import (
    AppType,
    Binding,
    Condition,
    CredentialState,
    CredentialStatus,
    CredentialType,
    RegistrationStatus,
    SecretPreset,
)
from fhir_app_operator.api.v1alpha1.secret import SecretReference
from fhir_app_operator.controller import granting
from fhir_app_operator.controller.status import recorded
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import OperatorError, Stalled
from fhir_app_operator.planning import (
    conditions,
    config_map,
    credentials,
    data_plane,
    federation,
    notices,
    policy,
    requests,
)
from fhir_app_operator.planning.conditions import Reporter, Verdict
from fhir_app_operator.planning.desired import issue_policy
from fhir_app_operator.planning.plan import credential_usable
from fhir_app_operator.planning.secret_data import resolved

Status = RegistrationStatus
_DATED: Final = 32
"""Client secrets and certificates that status lists, the newest."""


def succeeded(world: World, work: Pass) -> Status:
    """Return the status of a pass that left nothing to do."""
    wanted, application = work.desired, work.observed.application
    others = notices.unmanaged(wanted, application) if wanted and application else ""
    absent = wanted.application.pre_authorization.absent if wanted else ()
    verdict = _reporter(world, work).succeeded(_summary(work), unmanaged=others, absent=absent)
    status = _status(world, work, verdict, pending=False)
    return _warned(world, work, status.model_copy(update=_published(work)), None)


def _published(work: Pass) -> dict[str, object]:
    """What others may rely on once everything is in place: the ConfigMap, the service binding."""
    secret = work.registration.spec.secret or SecretReference()
    bound = SecretPreset.SERVICE_BINDING in secret.presets
    return {
        "config_map_name": config_map.wanted_name(work.registration),
        "binding": Binding(name=work.registration.secret_name) if bound else None,
    }


def progressing(world: World, work: Pass) -> Status:
    """Return the status while a new spec is worked on."""
    reporter = _reporter(world, work)
    verdict = reporter.progressing("Entra and the Secret are being brought in line")
    status = _status(world, work, verdict, pending=True)
    return _with_conditions(status, (*reporter.kept(*conditions.ACCESS), *reporter.kept_abnormal()))


def create_requested(world: World, status: Status) -> Status:
    """Return `status` with the moment of a create or restore; renewed only when it gets old."""
    now, last = world.clock(), status.create_requested_at
    if last is not None and now - last < world.policy.replication_window / 2:
        return status
    return Status.model_validate(status.model_dump() | {"create_requested_at": now})


def suspended(world: World, work: Pass) -> Status:
    """Return the status of a registration that is given nothing meanwhile."""
    pause = Stalled("Suspended", "`suspend` is true: nothing is written meanwhile")
    reporter = _reporter(world, work)
    expired = _expired(work, world.clock())
    verdict = reporter.expired(pause) if expired else reporter.suspended(pause.message)
    return _warned(world, work, _status(world, work, verdict, pending=True), pause)


def failed(world: World, work: Pass, error: OperatorError) -> Status:
    """Return the status of a pass that ended in `error`."""
    now = _directory_time(world, work)
    reporter = _reporter(world, work)
    if _expired(work, now):
        verdict = reporter.expired(error)
    else:
        renewing = notices.rotation(work.applied, work.underway) == "failure"
        verdict = reporter.failed(error, usable=_usable(work, now), renewing=renewing)
    return _warned(world, work, _status(world, work, verdict, pending=True), error)


def _warned(world: World, work: Pass, status: Status, error: OperatorError | None) -> Status:
    """Add what people should know although nothing has failed yet."""
    reporter = _reporter(world, work)
    found = _consent(work, reporter, status)
    found += _data_plane(work, reporter, status, error)
    invalid = requests.invalid(work.registration.metadata.annotations)
    if invalid:
        found.append(reporter.invalid_request(invalid))
    wanted = work.desired
    if wanted is not None and wanted.violations and error is None:
        found.append(reporter.policy_violated(policy.said(wanted.violations)))
    terminating = work.registration.metadata.deletion_timestamp is not None
    issued = None if terminating else issue_policy(work.registration)
    active = next((c for c in status.credentials if c.state is CredentialState.ACTIVE), None)
    start, end = (active.start_time, active.end_time) if active else (None, None)
    if issued and start and end and credentials.is_overdue(
        issued, start, end, _directory_time(world, work)
    ):  # fmt: skip
        reason = error.reason if error else "RenewalDelayed"
        why = f"it is not renewed: {error.message}" if error else "its renewal waits for room"
        found.append(reporter.expiring(end, reason, why))
    return _with_conditions(status, tuple(found))


def _consent(work: Pass, reporter: Reporter, status: Status) -> list[Condition]:
    if conditions.find(status.conditions, conditions.CONSENT) is not None:
        return []
    if not work.consent_read:
        return list(reporter.kept(conditions.CONSENT))
    said = work.consent
    return [reporter.consent(said.status, said.reason, said.message)] if said else []


def _data_plane(
    work: Pass, reporter: Reporter, status: Status, error: OperatorError | None
) -> list[Condition]:
    """What can be said of access to a managed service; as before while a pass does not succeed."""
    if conditions.find(status.conditions, conditions.DATA_PLANE) is not None:
        return []
    if error is not None or work.desired is None:
        return list(reporter.kept(conditions.DATA_PLANE))
    plane, principal = work.desired.data_plane, work.observed.service_principal_id
    if plane is None or principal is None:
        return []
    return [reporter.data_plane(data_plane.message(plane, principal))]


def _with_conditions(status: Status, more: tuple[Condition, ...]) -> Status:
    return status.model_copy(update={"conditions": (*status.conditions, *more)})


def _directory_time(world: World, work: Pass) -> datetime:
    """The time by the directory's clock while ours is known to be wrong, else by ours."""
    skew = work.observed.clock_skew
    wrong = skew is not None and abs(skew) > world.policy.max_skew
    return world.clock() - skew if wrong and skew is not None else world.clock()


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
    """Whether the Secret's credential has ended; if it was not read, status says when."""
    if work.registration.metadata.deletion_timestamp is not None:
        return False
    if work.secret_read:
        secret = work.observed.secret
        end = secret.expires_at if secret is not None and secret.ours else None
    else:
        known = work.registration.status.credentials
        end = next((c.end_time for c in known if c.state is CredentialState.ACTIVE), None)
    return end is not None and now >= end


def _reporter(world: World, work: Pass) -> Reporter:
    return Reporter(
        previous=work.registration.status.conditions,
        generation=work.registration.metadata.generation,
        now=world.clock(),
    )


def _status(world: World, work: Pass, verdict: Verdict, *, pending: bool) -> Status:
    before, now = work.registration.status, world.clock()
    generation = work.registration.metadata.generation
    updates: dict[str, object] = {
        **recorded(work),
        **_handled(world, work),
        "conditions": verdict.conditions,
        "observed_generation": generation if verdict.observed else before.observed_generation,
        "credentials": _credentials(work, now),
        "pending_credential": before.pending_credential if pending else None,
    }
    if work.entra_read:
        seen = work.observed.application is not None
        updates["missing_since"] = None if seen else work.observed.missing_since
    if work.grants is not None:
        updates["grants"] = granting.as_status(work.grants)
    wanted = work.desired
    if wanted is not None and (work.observed.application or not wanted.own_application):
        data = resolved(wanted.connection, work.observed)
        updates |= {
            "audience": data.get("FHIR_AUDIENCE", before.audience),
            "authority": data.get("FHIR_AUTHORITY", before.authority),
        }
    if work.observed.secret is not None and work.observed.secret.ours:
        updates["secret_name"] = work.registration.secret_name
    # Validated anew, so that times compare in the precision in which they are stored.
    return RegistrationStatus.model_validate(before.model_dump() | _plain(updates))


def _handled(world: World, work: Pass) -> dict[str, str]:
    """The requests that were acted on, each by the value of its annotation."""
    done = {names.RECONCILE_REQUESTED_ANNOTATION: "last_handled_reconcile_at"}
    wanted, observed, now = work.desired, work.observed, world.clock()
    if wanted and requests.is_rotation_done(wanted, observed, now):
        done[names.ROTATE_REQUESTED_ANNOTATION] = "last_handled_rotate_at"
    if wanted and requests.is_revocation_done(wanted, observed, now, world.policy):
        done[names.REVOKE_PREVIOUS_REQUESTED_ANNOTATION] = "last_handled_revoke_previous_at"
    given = work.registration.metadata.annotations
    refused = requests.invalid(given)
    return {
        field: given[name]
        for name, field in done.items()
        if given.get(name) and name not in refused
    }


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
            type=credential.type, key_id=credential.key_id,
            start_time=credential.start, end_time=credential.end,
            **_state(work, credential.key_id, now, active=credential.key_id == active),
        )
        for credential in own[-_DATED:]
    ]  # fmt: skip
    in_use = secret is not None and credentials.is_federated(secret)
    entries += [
        CredentialStatus(
            type=CredentialType.FEDERATED_IDENTITY, key_id=each.name,
            **_state(work, each.name, now, active=in_use),
        )
        for each in federation.ours(work.identity, application.federated)
    ]  # fmt: skip
    # The key id of a certificate is its writer's choice; the list's key must not be there twice.
    # Of two the first one stays: the Secret's.
    unique = {entry.key_id: entry for entry in sorted(entries, key=_order, reverse=True)}
    return tuple(sorted(unique.values(), key=_order))


def _state(work: Pass, key_id: str, now: datetime, *, active: bool) -> dict[str, Any]:
    if active:
        return {"state": CredentialState.ACTIVE}
    return {
        "state": CredentialState.RETIRING,
        "retired_at": work.observed.retired.get(key_id, now),
    }


def _order(entry: CredentialStatus) -> tuple[str, float, str]:
    return (entry.state, entry.start_time.timestamp() if entry.start_time else 0, entry.key_id)


def _summary(work: Pass) -> str:
    kind = work.registration.spec.type
    if work.desired is not None and not work.desired.own_application:
        return f"Secret '{work.registration.secret_name}' holds what clients need to know"
    what = "the FHIR server's application" if kind is AppType.RESOURCE else f"{kind} client"
    return f"{what} is in place; Secret '{work.registration.secret_name}' holds what it needs"
