"""Writes: each action of a plan, one at a time, with the answer folded into what was observed.

The value of a client secret exists only inside `_issue`: asked for, probed, published, forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from fhir_app_operator.api.v1alpha1 import PendingCredential, RegistrationStatus
from fhir_app_operator.controller import observe
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, Waiting
from fhir_app_operator.graph.applications import IssuedPassword
from fhir_app_operator.graph.auth import Probe
from fhir_app_operator.kube.registrations import parse_registration
from fhir_app_operator.kube.secrets import Content, LiveSecret, NewCredential
from fhir_app_operator.planning.desired import resolved
from fhir_app_operator.planning.model import (
    Action,
    Application,
    CreateApplication,
    CreateServicePrincipal,
    DeleteApplication,
    Desired,
    Intent,
    IssueCredential,
    PasswordCredential,
    Purge,
    RecordIntent,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    UpdateApplication,
    WriteSecret,
)

_PROBE_PAUSES: Final = (0.5, 1.0, 2.0, 3.0)
_PUBLISH_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)


async def apply(world: World, work: Pass, connection: Connection, action: Action) -> None:  # noqa: C901 - a dispatch
    """Take `action` and fold its answer into `work`.

    Raises:
        Stalled, Waiting: as the gateways do; what was done before stays folded in.
    """
    match action:
        case CreateApplication():
            application = await connection.applications.upsert(
                work.identity.unique_name, action.changes, action.owners
            )
            work.observed = replace(work.observed, application=application)
        case RestoreApplication():
            await connection.deleted_items.restore(action.object_id, "application")
            await observe.observe_entra(world, work, connection)
            _refuse_unseen(work, "the restored application")
        case UpdateApplication():
            await _update(world, work, connection, action)
        case RestoreServicePrincipal():
            await connection.deleted_items.restore(action.object_id, "service principal")
            work.observed = replace(work.observed, service_principal_id=action.object_id)
        case CreateServicePrincipal():
            application = _application(work)
            young = observe.is_young(application, world.clock(), world.policy)
            created = await connection.service_principals.upsert(application.app_id, young=young)
            work.observed = replace(work.observed, service_principal_id=created)
        case RecordIntent():
            await _record_intent(world, work)
        case IssueCredential():
            await _issue(world, work, connection, action)
        case WriteSecret():
            await _write_secret(world, work)
        case RevokeCredential():
            await _revoke(world, work, connection, action)
        case DeleteApplication():
            await _delete(work, connection)
        case Purge():
            await _purge(work, connection, action)
    work.applied.append(action)


def recorded(work: Pass) -> dict[str, str | None]:
    """Return the ids that status should name after what was observed so far."""
    status, observed = work.registration.status, work.observed
    application = observed.application
    return {
        "tenant_id": work.connection.directory.tenant_id if work.connection else status.tenant_id,
        "app_id": application.app_id if application else status.app_id,
        "object_id": application.object_id if application else status.object_id,
        "service_principal_id": observed.service_principal_id or status.service_principal_id,
    }


async def write_status(world: World, work: Pass, status: RegistrationStatus) -> None:
    """Write `status` and continue with the object as it then is.

    Raises:
        Conflict: the registration changed since it was read.
    """
    body = await world.registrations.apply_status(work.registration, status)
    work.registration = parse_registration(body)


def _application(work: Pass) -> Application:
    if work.observed.application is None:
        raise Waiting("NotYetReplicated", "the application is not visible in Entra yet")
    return work.observed.application


def _desired(work: Pass) -> Desired:
    if work.desired is None:
        msg = "a plan was applied before anything was desired"
        raise RuntimeError(msg)
    return work.desired


def _refuse_unseen(work: Pass, what: str) -> None:
    if work.observed.application is None:
        raise Waiting("NotYetReplicated", f"{what} is not visible in Entra yet")


async def _delete(work: Pass, connection: Connection) -> None:
    """Move the application to the bin; its service principal goes along."""
    application = _application(work)
    if not await connection.applications.delete(application.object_id):
        raise Waiting(
            "NotYetReplicated",
            f"application {application.app_id} was read a moment ago and is not found now",
            retry_after=5.0,
        )
    work.observed = replace(
        work.observed,
        application=None,
        service_principal_id=None,
        deleted_application_id=application.object_id,
        deleted_service_principal_id=work.observed.service_principal_id,
    )


async def _purge(work: Pass, connection: Connection, action: Purge) -> None:
    just_deleted = any(isinstance(taken, DeleteApplication) for taken in work.applied)
    await connection.deleted_items.purge(action.object_id, young=just_deleted)
    if action.what == "application":
        work.observed = replace(work.observed, deleted_application_id=None)
    else:
        work.observed = replace(work.observed, deleted_service_principal_id=None)


async def _update(
    world: World, work: Pass, connection: Connection, action: UpdateApplication
) -> None:
    application = _application(work)
    young = observe.is_young(application, world.clock(), world.policy)
    updated = await connection.applications.update(application, action.changes, young=young)
    work.observed = replace(work.observed, application=updated)


async def _record_intent(world: World, work: Pass) -> None:
    """Make the intent durable before anybody asks the directory: design rule of the protocol.

    The Secret is rehearsed first: a credential that cannot be published must not be made.
    """
    now = world.clock()
    nonce = world.nonce()
    nobody = PasswordCredential(key_id=nonce, display_name=None, start=now, end=now)
    stand_in = NewCredential(value=SecretStr(nonce), credential=nobody, nonce=nonce, written_at=now)
    await world.secrets.rehearse(work.secret, _content(work, stand_in))
    pending = PendingCredential(nonce=nonce, requested_at=now)
    status = work.registration.status.model_copy(
        update={**recorded(work), "pending_credential": pending}
    )
    await write_status(world, work, status)
    work.observed = replace(work.observed, intent=Intent(nonce=nonce, requested_at=now, fresh=True))


async def _issue(world: World, work: Pass, connection: Connection, action: IssueCredential) -> None:
    application = _application(work)
    now = world.clock()
    # Whatever happens from here on, this intent is used up.
    work.observed = replace(
        work.observed, intent=Intent(nonce=action.nonce, requested_at=now, fresh=False)
    )
    issued = await connection.applications.add_password(
        application,
        work.identity.credential_name(action.nonce),
        now + action.duration,
        young=observe.is_young(application, now, world.policy),
    )
    passwords = (*application.passwords, issued.credential)
    work.observed = replace(work.observed, application=replace(application, passwords=passwords))
    await _probe(world, connection, application.app_id, issued)
    await _publish(world, work, issued, action.nonce)


async def _probe(world: World, connection: Connection, app_id: str, issued: IssuedPassword) -> None:
    """Ask the token endpoint until it accepts the secret; only then may anybody get it."""
    deadline = world.clock() + world.probe_timeout
    pauses = _pauses(_PROBE_PAUSES)
    while await connection.sign_in.probe(app_id, issued.value) is Probe.NOT_YET:
        pause = pauses()
        if world.clock() + timedelta(seconds=pause) > deadline:
            raise Waiting(
                "NotYetReplicated",
                "the sign-in service did not accept a fresh client secret within "
                f"{world.probe_timeout.total_seconds():.0f} seconds; a new one will be issued",
            )
        await world.sleep(pause)


def _pauses(first: tuple[float, ...]) -> Callable[[], float]:
    """Return a function that yields `first` one by one, then its last value for ever."""
    remaining = list(first)

    def pause() -> float:
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    return pause


async def _publish(world: World, work: Pass, issued: IssuedPassword, nonce: str) -> None:
    """Write the Secret, asking an API server that does not answer again.

    The value cannot be had a second time.
    """
    content = _content(
        work,
        NewCredential(
            value=issued.value, credential=issued.credential, nonce=nonce,
            written_at=world.clock(),
        ),
    )  # fmt: skip
    for pause in (*_PUBLISH_PAUSES, None):
        try:
            written = await world.secrets.write(work.secret, content)
        except Conflict:
            written = await _written_earlier(world, work, nonce)
        except Waiting:
            if pause is None:
                raise
            await world.sleep(pause)
            continue
        _fold_secret(work, written)
        return


async def _written_earlier(world: World, work: Pass, nonce: str) -> LiveSecret:
    """Return the Secret if a lost answer of ours is what made it change, else raise Conflict."""
    found = await world.secrets.read(work.identity, work.registration.secret_name)
    if found is None or not found.state.credential_intact or found.state.nonce != nonce:
        raise Conflict("the Secret changed while its credential was renewed")
    return found


async def _write_secret(world: World, work: Pass) -> None:
    _fold_secret(work, await world.secrets.write(work.secret, _content(work, None)))


def _content(work: Pass, credential: NewCredential | None) -> Content:
    desired = _desired(work)
    return Content(
        registration=work.identity,
        name=desired.secret_name,
        data=resolved(desired.connection, _application(work).app_id),
        owned=desired.secret_owned,
        keep_credential=desired.credential is not None,
        credential=credential,
    )


def _fold_secret(work: Pass, secret: LiveSecret) -> None:
    work.secret = secret
    work.observed = replace(work.observed, secret=secret.state)


async def _revoke(
    world: World, work: Pass, connection: Connection, action: RevokeCredential
) -> None:
    """Remove a client secret, unless the Secret turns out to hold it by now."""
    application = _application(work)
    if work.secret is not None:
        live = await world.secrets.read(work.identity, work.registration.secret_name)
        if live is not None and live.state.key_id == action.key_id and work.desired is not None:
            raise Conflict("the Secret holds the credential that was to be revoked")
    await connection.applications.remove_password(application.object_id, action.key_id)
    passwords = tuple(p for p in application.passwords if p.key_id != action.key_id)
    work.observed = replace(work.observed, application=replace(application, passwords=passwords))
