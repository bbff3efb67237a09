"""Writes: each action of a plan, one at a time, with the answer folded into what was observed.

Actions on credentials are taken in `credentials`, the Secret is written in `publication`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fhir_app_operator.controller import credentials, following, observe, publication, withdrawal
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning import forecast, permissions
from fhir_app_operator.planning.model import (
    Action,
    AwaitDisabled,
    CreateApplication,
    CreateServicePrincipal,
    DeleteApplication,
    DeleteConfigMap,
    FollowCertificate,
    IssueCredential,
    Purge,
    RecordIntent,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    SetFederatedIdentityCredential,
    UpdateApplication,
    UpdateServicePrincipal,
    WriteConfigMap,
    WriteSecret,
)

_LOOKS: Final = (0.0, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0)
"""Seconds before each look at a role or scope that was just disabled."""
_IN_A_ROW: Final = 3
"""Looks that must agree: replicas answer in turn, and any of them may get the next PATCH."""


async def apply(  # noqa: C901, PLR0912, PLR0915 - a dispatch
    world: World, work: Pass, connection: Connection, action: Action
) -> None:
    """Take `action` and fold its answer into `work`.

    Raises:
        Stalled, Waiting: as the gateways do; what was done before stays folded in.
    """
    work.underway = action
    match action:
        case CreateApplication():
            application = await connection.applications.upsert(
                work.identity.unique_name, action.changes, action.owners, young=work.created_lately
            )
            work.observed = replace(work.observed, application=application)
        case RestoreApplication():
            await connection.deleted_items.restore(action.object_id, "application")
            await observe.observe_entra(world, work, connection)
            _refuse_unseen(work, "the restored application")
        case UpdateApplication():
            await _update(world, work, connection, action)
        case AwaitDisabled():
            await _until_disabled(world, work, connection, action)
        case RestoreServicePrincipal():
            await connection.deleted_items.restore(action.object_id, "service principal")
            work.observed = replace(work.observed, service_principal_id=action.object_id)
        case CreateServicePrincipal():
            application = work.known_application()
            young = observe.is_young(application, world.clock(), world.policy)
            created = await connection.service_principals.upsert(
                application.app_id, young=young, known=work.registration.status.service_principal_id
            )
            connection.own_writes.made_principal(work.identity.uid, created)
            work.observed = replace(work.observed, service_principal_id=created)
        case UpdateServicePrincipal():
            await _require_assignment(world, work, connection, action)
        case RecordIntent():
            await credentials.record_intent(world, work, action)
        case IssueCredential():
            await credentials.issue(world, work, connection, action)
        case FollowCertificate():
            await following.follow(world, work, connection, action)
        case SetFederatedIdentityCredential():
            await credentials.federate(world, work, connection, action)
        case WriteSecret():
            await publication.write_secret(world, work, action)
        case WriteConfigMap():
            await publication.write_config_map(world, work, action)
        case DeleteConfigMap():
            await publication.delete_config_map(world, work, action)
        case RevokeCredential():
            await credentials.revoke(world, work, connection, action)
        case DeleteApplication():
            await _delete(work, connection)
        case Purge():
            await _purge(work, connection, action)
    work.applied.append(action)
    work.underway = None


def _refuse_unseen(work: Pass, what: str) -> None:
    if work.observed.application is None:
        raise Waiting("NotYetReplicated", f"{what} is not visible in Entra yet")


async def _delete(work: Pass, connection: Connection) -> None:
    """Move the application to the bin; its service principal goes along."""
    application = work.known_application()
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
    application = work.known_application()
    if action.removes:
        after = application.with_changes(action.changes)
        await withdrawal.take_back(world, work, connection, application.exposure, after.exposure)
    young = observe.is_young(application, world.clock(), world.policy)
    updated = await connection.applications.update(application, action.changes, young=young)
    connection.own_writes.updated(work.identity.uid, application, updated)
    work.observed = forecast.updated(work.observed, application, updated)


async def _require_assignment(
    world: World, work: Pass, connection: Connection, action: UpdateServicePrincipal
) -> None:
    application, required = work.known_application(), action.assignment_required
    young = observe.is_young(application, world.clock(), world.policy)
    await connection.service_principals.require_assignment(
        application.app_id, required=required, young=young
    )
    connection.own_writes.required_assignment(work.identity.uid, required=required)
    work.observed = replace(work.observed, assignment_required=required)


async def _until_disabled(
    world: World, work: Pass, connection: Connection, action: AwaitDisabled
) -> None:
    """Read until no enabled role or scope of `action` is shown.

    Raises:
        Waiting: `NotYetReplicated`, it takes longer than a pass should.
    """
    object_id, agreeing = work.known_application().object_id, 0
    for pause in _LOOKS:
        await world.sleep(pause)
        read = await connection.applications.by_object_id(object_id)
        seen = read is not None and action.ids <= permissions.disabled(read.exposure)
        agreeing = agreeing + 1 if seen else 0
        if agreeing == _IN_A_ROW:
            connection.own_writes.saw_disabled(work.identity.uid, action.ids)
            left = work.observed.unseen_disabled - action.ids
            work.observed = replace(work.observed, unseen_disabled=left)
            return
    raise Waiting(
        "NotYetReplicated",
        "roles or scopes that were disabled, to be changed or removed, are not shown as disabled "
        "yet",
    )
