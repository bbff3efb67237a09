"""Letting go of a registration that is being deleted: revoke, delete, then drop the finalizer.

Needs neither the Secret nor a living namespace nor the namespace's permission, and never creates.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_app_operator.api.names import FINALIZER
from fhir_app_operator.api.v1alpha1 import DeletionPolicy
from fhir_app_operator.controller import observe, references
from fhir_app_operator.controller.apply import apply
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, OperatorError, Stalled, Waiting
from fhir_app_operator.kube.api_server import Gone
from fhir_app_operator.planning.plan import deletion_plan


async def finalize(world: World, work: Pass) -> bool:
    """Take away what is ours and drop the finalizer; False if we have none on it.

    Raises:
        Stalled, Waiting: something is out of reach; the finalizer stays, and the message ends in
            the command that lets go without Entra.
    """
    if FINALIZER not in work.registration.metadata.finalizers:
        return False
    if work.registration.spec.deletion_policy is DeletionPolicy.ORPHAN:
        await _release_secret(world, work)
    else:
        try:
            await _delete(world, work)
        except Conflict:
            raise
        except OperatorError as error:
            raise _with_way_out(work, error) from None
    await _drop_finalizer(world, work)
    if work.connection is not None:
        work.connection.verified.pop(work.identity.uid, None)
    return True


async def _delete(world: World, work: Pass) -> None:
    tenant = await references.tenant_of(world, work.registration)
    connection = await world.connections.get(tenant)
    work.connection = connection
    await observe.observe_entra(world, work, connection)
    _refuse_unseen(world, work)
    purge = work.registration.spec.deletion_policy is DeletionPolicy.PURGE
    if purge:
        await _look_for_service_principal(work, connection)
    while actions := deletion_plan(work.identity, work.observed, purge=purge):
        for action in actions:
            await apply(world, work, connection, action)


async def _look_for_service_principal(work: Pass, connection: Connection) -> None:
    """See whether an earlier pass left the service principal in the bin."""
    recorded = work.registration.status.service_principal_id
    if work.observed.application is None and recorded is not None:
        binned = recorded if await connection.deleted_items.holds(recorded) else None
        work.observed = replace(work.observed, deleted_service_principal_id=binned)


def _refuse_unseen(world: World, work: Pass) -> None:
    """Wait while the directory may be hiding an application of ours.

    A negative read of a young object proves nothing, one in the bin proves that it is gone.
    """
    observed, status = work.observed, work.registration.status
    if observed.application is not None or observed.deleted_application_id is not None:
        return
    if observe.was_never_created(status, observed):
        return
    if observed.recorded_is_young:
        minutes = world.policy.replication_window.total_seconds() / 60
        raise Waiting(
            "NotYetReplicated",
            "the application is not visible in Entra, and too young to be sure that it is gone; "
            f"that takes {minutes:.0f} minutes at most",
            retry_after=5.0,
        )


async def _release_secret(world: World, work: Pass) -> None:
    """Keep the Secret: without our owner reference the garbage collector leaves it alone."""
    name = work.registration.secret_name
    live = await world.secrets.read(work.identity, name)
    if live is not None and live.state.ours and live.state.owner_reference:
        await world.secrets.release(live, work.identity, name)


async def _drop_finalizer(world: World, work: Pass) -> None:
    registration = work.registration
    remaining = [f for f in registration.metadata.finalizers if f != FINALIZER]
    try:
        await world.registrations.set_finalizers(registration, remaining)
    except Gone:
        return


def _with_way_out(work: Pass, error: OperatorError) -> OperatorError:
    who = work.identity
    patch = '{"spec":{"deletionPolicy":"Orphan"}}'
    message = (
        f"{error.message}. To let go without Entra, leaving the application there: "
        f"kubectl patch fhirapp {who.name} -n {who.namespace} --type=merge -p '{patch}'"
    )
    if isinstance(error, Waiting):
        return Waiting(error.reason, message, error.retry_after)
    return Stalled(error.reason, message)
