"""The one way in which status is written, and the ids that every write carries."""

from __future__ import annotations

from fhir_app_operator.api.v1alpha1 import RegistrationStatus
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.kube.registrations import parse_registration


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
