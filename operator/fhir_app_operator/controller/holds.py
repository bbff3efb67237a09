"""The finalizers on tenant and registration: no Graph write may come before them."""

from __future__ import annotations

from fhir_app_operator.api.names import FINALIZER, IN_USE_FINALIZER
from fhir_app_operator.api.v1alpha1 import EntraTenant
from fhir_app_operator.controller import references
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict
from fhir_app_operator.kube.registrations import parse_registration


async def take(world: World, work: Pass, tenant: EntraTenant) -> None:
    """Put our finalizers on tenant and registration.

    Raises:
        Conflict: one of them changed since it was read.
    """
    await _hold_tenant(world, work, tenant)
    registration = work.registration
    if FINALIZER not in registration.metadata.finalizers:
        finalizers = (*registration.metadata.finalizers, FINALIZER)
        body = await world.registrations.set_finalizers(registration, finalizers)
        work.registration = parse_registration(body)


async def _hold_tenant(world: World, work: Pass, tenant: EntraTenant) -> None:
    if _is_held(tenant) or tenant.metadata.deletion_timestamp:
        return
    finalizers = (*tenant.metadata.finalizers, IN_USE_FINALIZER)
    try:
        await world.registrations.set_finalizers(tenant, finalizers)
    except Conflict:
        # The tenant's first registrations come all at once: one of them was faster.
        if not _is_held(await references.tenant_of(world, work.registration)):
            raise


def _is_held(tenant: EntraTenant) -> bool:
    return IN_USE_FINALIZER in tenant.metadata.finalizers
