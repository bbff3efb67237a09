"""The one way in which status is written, and the ids that every write carries."""

from __future__ import annotations

from typing import Any

from fhir_app_operator.api.v1alpha1 import CredentialType, RegistrationStatus
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.kube.registrations import parse_registration
from fhir_app_operator.planning import federation


def recorded(work: Pass) -> dict[str, Any]:
    """Return the ids, and the types of credential to look for, after what is known so far."""
    status, observed = work.registration.status, work.observed
    application = observed.application
    return {
        "tenant_id": work.connection.directory.tenant_id if work.connection else status.tenant_id,
        "app_id": application.app_id if application else status.app_id,
        "object_id": application.object_id if application else status.object_id,
        "service_principal_id": observed.service_principal_id or status.service_principal_id,
        "credential_types": _credential_types(work),
    }


async def write_status(world: World, work: Pass, status: RegistrationStatus) -> None:
    """Write `status` and continue with the object as it then is.

    Raises:
        Conflict: the registration changed since it was read.
    """
    body = await world.registrations.apply_status(work.registration, status)
    work.registration = parse_registration(body)


def _credential_types(work: Pass) -> tuple[CredentialType, ...]:
    """Every type ever asked for: what one pass did not see must be found by a later one."""
    found = set(work.registration.status.credential_types)
    if work.desired is not None and work.desired.credential is not None:
        found.add(work.desired.credential.type)
    if work.observed.application is not None:
        found |= {
            credential.type
            for credential in work.observed.application.credentials
            if work.identity.nonce_of(credential.display_name) is not None
        }
        if federation.ours(work.identity, work.observed.application.federated):
            found.add(CredentialType.FEDERATED_IDENTITY)
    return tuple(sorted(found))
