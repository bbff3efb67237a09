"""Azure's managed FHIR services: which product it is, whose application its tokens are for.

Sources: Azure documentation, "Configure Azure RBAC role for the FHIR service" and "Azure built-in
roles"; Azure API for FHIR is retired since 30 September 2026.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from fhir_app_operator.api.v1alpha1.schema import rule


class Product(StrEnum):
    """Which FHIR server it is."""

    OPEN_SOURCE = "OpenSource"
    AZURE_HEALTH_DATA_SERVICES = "AzureHealthDataServices"
    AZURE_API_FOR_FHIR = "AzureApiForFhir"


class ServerApplication(StrEnum):
    """Whose application the server's tokens are for."""

    OWN = "Own"
    FIRST_PARTY = "FirstParty"


class AzureRole(StrEnum):
    """Azure RBAC roles on the data of a managed FHIR service."""

    CONTRIBUTOR = "FHIR Data Contributor"
    READER = "FHIR Data Reader"
    WRITER = "FHIR Data Writer"
    EXPORTER = "FHIR Data Exporter"
    IMPORTER = "FHIR Data Importer"
    CONVERTER = "FHIR Data Converter"
    SMART_USER = "FHIR SMART User"


AzureResourceId = Annotated[
    str,
    Field(
        pattern=r"^/subscriptions/[0-9A-Fa-f-]{36}/resourceGroups/[A-Za-z0-9_().-]+/providers/"
        r"Microsoft\.HealthcareApis/(workspaces/[A-Za-z0-9-]+/fhirservices|services)/[A-Za-z0-9-]+$",
        max_length=512,
    ),
]

_OURS: Final = "(has({of}.application) ? {of}.application == 'Own' : {of}.product == 'OpenSource')"
_OWN: Final = _OURS.format(of="self")
_PLAIN: Final = (
    "!has(self.identifierUri) && self.tokenVersion == 1 && !has(self.assignmentRequired) && "
    "self.appRoles.presets == ['FhirServer'] && !has(self.appRoles.custom) && "
    "self.scopes.presets == ['UserImpersonation'] && !has(self.scopes.custom) && "
    "!has(self.preAuthorizedClients.clients) && !has(self.assignments) && "
    "!has(self.frontDoor) && "
    "self.smart.scopeEncoding == 'Dot'"
)
MANAGED_RULES: Final = (
    rule("self.product != 'OpenSource' || !has(self.application) || self.application == 'Own'",
         "`application` must be Own for product OpenSource: Microsoft has an application for the "
         "managed services only", field=".application"),
    rule(f"{_OWN} || ({_PLAIN})",
         "`identifierUri`, `tokenVersion`, `assignmentRequired`, `appRoles`, `scopes`, "
         "`preAuthorizedClients`, `assignments`, `frontDoor` and `smart` must be left out for "
         "Microsoft's application; set `application: Own` for an application of the server's own",
         field=".application"),
    rule(f"{_OWN} == {_OURS.format(of='oldSelf')}",
         "`application` must not change between Own and FirstParty, nor `product` so that its "
         "default does: delete the registration and create a new one", field=".application"),
    rule("self.product != 'OpenSource' || !has(self.azureResourceId)",
         "`azureResourceId` must only be set for Azure's managed services",
         field=".azureResourceId"),
)  # fmt: skip
