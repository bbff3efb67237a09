"""Letting go of a registration that is being deleted: revoke, delete, then drop the finalizer.

Needs neither the Secret nor a living namespace nor the namespace's permission, and never creates.
"""

from __future__ import annotations

from typing import Final

import structlog

from fhir_app_operator.api.names import FINALIZER
from fhir_app_operator.api.v1alpha1 import DeletionPolicy, DeletionProtection
from fhir_app_operator.controller import observe, references
from fhir_app_operator.controller.apply import apply
from fhir_app_operator.controller.census import clients_left
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, NotLeading, OperatorError, Stalled, Waiting
from fhir_app_operator.kube.api_server import Gone
from fhir_app_operator.planning.plan import deletion_plan

_NAMED: Final = 5
"""How many clients a message names."""
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds between looks at an application that is not visible."""
_log = structlog.get_logger("finalize")


async def finalize(world: World, work: Pass) -> bool:
    """Take away what is ours and drop the finalizer; False if we have none on it.

    Raises:
        Stalled, Waiting: something is out of reach; the finalizer stays, and the message ends in
            the command that lets go without Entra. `InUse`: clients refer to a protected server.
    """
    if FINALIZER not in work.registration.metadata.finalizers:
        return False
    if work.registration.spec.deletion_policy is DeletionPolicy.ORPHAN:
        await _own_outputs(world, work, owned=False)
    else:
        await refuse_in_use(world, work)
        try:
            await _delete(world, work)
        except (Conflict, NotLeading):
            raise
        except OperatorError as error:
            raise _with_way_out(work, error) from None
    await _drop_finalizer(world, work)
    world.connections.forget_registration(work.identity.uid)
    return True


async def refuse_in_use(world: World, work: Pass) -> None:
    """Wait while clients refer to a FHIR server whose deletion is protected; only reads.

    Raises:
        Waiting: `InUse`.
    """
    resource = work.registration.spec.resource
    if resource is None or resource.deletion_protection is not DeletionProtection.ENABLED:
        return
    clients = await clients_left(world, work.registration)
    if clients:
        more = f" and {len(clients) - _NAMED} more" if len(clients) > _NAMED else ""
        raise Waiting(
            "InUse",
            f"the deletion waits for {len(clients)} registration(s) that refer to this FHIR server "
            f"({', '.join(clients[:_NAMED])}{more}): delete them, let them refer to another one, "
            "or set `resource.deletionProtection: Disabled`",
        )


async def _delete(world: World, work: Pass) -> None:
    tenant = await references.tenant_of(world, work.registration)
    connection = await world.connections.get(tenant)
    work.connection = connection
    await observe.observe_entra(world, work, connection)
    _refuse_unseen(world, work)
    purge = work.registration.spec.deletion_policy is DeletionPolicy.PURGE
    while actions := deletion_plan(work.identity, work.observed, purge=purge):
        for action in actions:
            await apply(world, work, connection, action)
    if work.observed.application is not None:
        _log.warning("released an application without our owner tag", key=work.name,
                     app_id=work.observed.application.app_id)  # fmt: skip
    await _own_outputs(world, work, owned=True)


def _refuse_unseen(world: World, work: Pass) -> None:
    """Wait while the directory may be hiding an application of ours.

    A negative read proves nothing by itself; the application in the bin proves that it is gone.
    """
    observed, status = work.observed, work.registration.status
    seen = observed.application or observed.deleted_application_id
    if seen or observed.missing_for_sure or observe.was_never_created(status):
        return
    minutes = world.policy.doubt.total_seconds() / 60
    raise Waiting(
        "NotYetReplicated",
        "the application is not visible in Entra; it takes up to "
        f"{minutes:.0f} minutes to be sure that it is gone",
        retry_after=_pause(world, work),
    )


def _pause(world: World, work: Pass) -> float:
    """Seconds until the next look: a quarter of the time that was waited, within bounds."""
    now = world.clock()
    waited = (now - (work.observed.missing_since or now)).total_seconds()
    return min(max(_FIRST_PAUSE, waited / 4), _LONGEST_PAUSE)


async def _own_outputs(world: World, work: Pass, *, owned: bool) -> None:
    """Let the garbage collector take Secret and ConfigMap along, or keep them out of its reach."""
    name = work.registration.secret_name
    live = await world.secrets.read(work.identity, name)
    if live is not None and live.state.ours and live.state.owner_reference != owned:
        await world.secrets.set_owned(live, work.identity, name, owned=owned)
    recorded = work.registration.status.config_map_name
    found = await world.config_maps.read(work.identity, recorded) if recorded else None
    if found is not None and found.state.ours and found.state.owner_reference != owned:
        await world.config_maps.set_owned(found, work.identity, owned=owned)


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
