"""The tenant's `grants` and `policy`, read again right before something is written under them."""

from __future__ import annotations

from fhir_app_operator.api.v1alpha1 import EntraTenant, Grants, TenantPolicy
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict
from fhir_app_operator.planning.model import Action, CreateApplication, UpdateApplication


def rules(work: Pass) -> tuple[Grants | None, TenantPolicy | None]:
    """Return the rules that the pass decided on."""
    return (work.tenant.spec.grants, work.tenant.spec.policy) if work.tenant else (None, None)


async def refuse_outdated(world: World, work: Pass) -> EntraTenant:
    """Return the tenant as it is, if it still says what the pass decided on.

    Raises:
        Conflict: it does not.
    """
    live = await world.registrations.tenant(work.registration.spec.tenant_ref.name)
    if live is None or (live.spec.grants, live.spec.policy) != rules(work):
        raise Conflict("the tenant's `grants` or `policy` changed before something was written")
    return live


def concerns(action: Action) -> bool:
    """Whether `action` writes what a policy may not allow."""
    if not isinstance(action, CreateApplication | UpdateApplication):
        return False
    changes = action.changes
    return any(
        (
            changes.resource_access,
            changes.web_redirect_uris,
            changes.spa_redirect_uris,
            changes.public_client_redirect_uris,
            changes.pre_authorized,
        )
    )
