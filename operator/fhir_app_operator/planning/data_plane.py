"""Who may read the data of a managed FHIR service: what can be said without seeing it.

The services ask Azure RBAC for the caller's object id, not the token's roles (Azure documentation,
"Configure Azure RBAC role for the FHIR service"). Microsoft Graph does not show its assignments.
"""

from __future__ import annotations

from typing import Final

from fhir_app_operator.api.v1alpha1 import AppType, AzureRole, FhirAppRegistration
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning import asked
from fhir_app_operator.planning.model import DataPlane
from fhir_app_operator.planning.server import Server

_PLACE: Final = (
    "/subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.HealthcareApis/"
    "workspaces/WORKSPACE/fhirservices/SERVICE"
)


def wanted(registration: FhirAppRegistration, server: Server) -> DataPlane | None:
    """Return what a client needs in Azure; None for a server, or a client of one that asks roles.

    Raises:
        Invalid: `azureRole` for a server that does not ask Azure for it.
    """
    spec = registration.spec
    if spec.type is AppType.RESOURCE:
        return None
    if not server.managed:
        if spec.azure_role is not None:
            raise Invalid(
                "`azureRole` must only be set for a managed FHIR service: this one goes by "
                "`appRoles` and `scopes`"
            )
        return None
    usual = AzureRole.SMART_USER if asked.smart_scope(registration) else AzureRole.CONTRIBUTOR
    return DataPlane(
        role=spec.azure_role or usual,
        for_users=spec.type is not AppType.SERVICE,
        azure_resource_id=server.azure_resource_id,
    )


def message(plane: DataPlane, service_principal_id: str) -> str:
    """Return what an administrator of the managed service has to do, for a condition."""
    if plane.for_users:
        who, whom, kind = "a user who signs in", "OBJECT_ID_OF_USER_OR_GROUP", ""
    else:
        who, whom = "this client", service_principal_id
        kind = " --assignee-principal-type ServicePrincipal"
    return (
        f"Azure RBAC decides what {who} may do with the data, and Microsoft Graph does not show "
        f"it. The role is assigned by: az role assignment create --assignee-object-id {whom}{kind} "
        f'--role "{plane.role}" --scope {plane.azure_resource_id or _PLACE}'
    )
