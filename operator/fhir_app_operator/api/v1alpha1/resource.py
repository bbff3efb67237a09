"""The FHIR server itself: `spec.resource` of a registration.

Its app roles and scopes are in `exposure`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.assignments import Assignments
from fhir_app_operator.api.v1alpha1.exposure import (
    FHIR_PROXY_ROLES,
    FHIR_SERVER_ROLES,
    SMART_CONTEXT,
    USER_IMPERSONATION,
    AppRoles,
    Scopes,
    Smart,
)
from fhir_app_operator.api.v1alpha1.front_door import FrontDoor
from fhir_app_operator.api.v1alpha1.managed import (
    MANAGED_RULES,
    AzureResourceId,
    Product,
    ServerApplication,
)
from fhir_app_operator.api.v1alpha1.pre_authorized import PreAuthorizedClients
from fhir_app_operator.api.v1alpha1.schema import ApiModel, rule, rules
from fhir_app_operator.api.v1alpha1.server_reference import AllowedClients, DeletionProtection
from fhir_app_operator.api.v1alpha1.uris import ServerUrl, identifier_rules


def _apart(side: str, preset: str, values: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    """The rule that the other side's custom entries stay clear of the `values` of a preset."""
    other = "scopes" if side == "appRoles" else "appRoles"
    return (
        rule(f"!('{preset}' in self.{side}.presets) || !has(self.{other}.custom) || "
             f"!self.{other}.custom.exists(x, x.value in {list(values)})",
             f"custom {other} must not have a value of preset '{preset}' of {side}: one "
             "permission cannot have two texts", field=f".{other}"),
    )  # fmt: skip


def _not_of_smart(side: str, preset: str, contexts: str, access: str) -> dict[str, str]:
    """The rule that custom entries do not repeat what a SMART preset makes of `resourceTypes`."""
    return rule(
        f"!('{preset}' in self.{side}.presets) || !has(self.{side}.custom) || "
        f"!self.{side}.custom.exists(x, x.value.matches('^({contexts})/[^.]+[.]({access})$') && "
        "x.value.split('/')[1].split('.')[0] in self.smart.resourceTypes)",
        f"a custom entry of {side} must not repeat a value of preset '{preset}'; rename it, or "
        "take its type out of smart.resourceTypes",
        field=f".{side}",
    )


class Resource(ApiModel):
    """The FHIR server that tokens are for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *identifier_rules("self.url", "!has(self.identifierUri)", ".url"),
            *identifier_rules("self.identifierUri", "has(self.identifierUri)", ".identifierUri"),
            rule("!has(self.identifierUri) || !self.identifierUri.contains('{appId}') || "
                 "self.identifierUri.startsWith('api://')",
                 "the template {appId} may only be used in an api:// identifier URI",
                 field=".identifierUri"),
            rule("size(self.appRoles.presets) > 0 || size(self.scopes.presets) > 0 || "
                 "(has(self.appRoles.custom) && size(self.appRoles.custom) > 0) || "
                 "(has(self.scopes.custom) && size(self.scopes.custom) > 0)",
                 "a FHIR server must expose at least one app role or scope, "
                 "else no client can ask for anything", field=".scopes"),
            rule("!has(self.appRoles.custom) || !has(self.scopes.custom) || "
                 "self.appRoles.custom.all(r, self.scopes.custom.all(s, s.value != r.value || "
                 "(r.displayName == s.adminConsentDisplayName && "
                 "r.description == s.adminConsentDescription && "
                 "(has(r.id) ? r.id : '') == (has(s.id) ? s.id : ''))))",
                 "an app role and a scope of one value are one permission in Entra: their texts "
                 "(displayName and adminConsentDisplayName, description and "
                 "adminConsentDescription) and their ids must be the same", field=".scopes"),
            *_apart("appRoles", "FhirServer", FHIR_SERVER_ROLES),
            *_apart("appRoles", "FhirProxy", FHIR_PROXY_ROLES),
            *_apart("scopes", "UserImpersonation", (USER_IMPERSONATION,)),
            *_apart("scopes", "SmartContext", SMART_CONTEXT),
            *MANAGED_RULES,
            _not_of_smart("scopes", "SmartV1", "patient|user", "read|write"),
            _not_of_smart("scopes", "SmartV2", "patient|user", "cruds|rs|r|s"),
            _not_of_smart("appRoles", "SmartBackend", "system", "rs"),
        )
    )  # fmt: skip
    url: ServerUrl = Field(description="Base URL of the FHIR server.")
    product: Product = Field(
        default=Product.OPEN_SOURCE,
        description="Which FHIR server this is. Azure API for FHIR is retired since 2026-09-30.",
    )
    application: ServerApplication | None = Field(
        default=None,
        description="`Own`: an application of the server's own. `FirstParty`: Microsoft's, which "
        "serves all managed FHIR services; nothing is made for the server but its Secret. Default: "
        "`Own` for OpenSource, else `FirstParty`; `Own` is for SMART on FHIR there.",
    )
    azure_resource_id: AzureResourceId | None = Field(
        default=None,
        description="Resource id of the managed service in Azure, for the command in the condition "
        "`DataPlaneAccess`.",
    )
    identifier_uri: Annotated[str, Field(min_length=7, max_length=255)] | None = Field(
        default=None,
        description="Application ID URI, the audience of version 1 tokens. The literal `{appId}` "
        "stands for the client id, as in `api://{appId}`. Default: `url`.",
    )
    token_version: Literal[1, 2] = Field(
        default=1,
        description="Version of the access tokens: decides audience, issuer and authority "
        "together. 1: the audience is the identifier URI. 2: it is the client id.",
    )
    app_roles: AppRoles = Field(
        default_factory=AppRoles, description="App roles, for services and assigned users.",
        json_schema_extra={"default": {"presets": ["FhirServer"]}},
    )  # fmt: skip
    scopes: Scopes = Field(
        default_factory=Scopes, description="Delegated permissions, for users' clients.",
        json_schema_extra={"default": {"presets": ["UserImpersonation"]}},
    )  # fmt: skip
    pre_authorized_clients: PreAuthorizedClients = Field(
        default_factory=PreAuthorizedClients,
        description="Clients whose users are not asked for consent to this server's scopes.",
        json_schema_extra={"default": {}},
    )
    assignments: Assignments = Field(
        default=(),
        description="Who is given app roles of this server. The operator assigns them where the "
        "tenant's `grants` allow it; what others assigned is left alone.",
    )
    front_door: FrontDoor | None = Field(
        default=None,
        description="A gateway before the server that signs users in as the server's own "
        "application, such as App Service Authentication or fhir-proxy. The registration then has "
        "a `credential`, by default a client secret, and Entra may issue id tokens to it directly.",
    )
    assignment_required: bool | None = Field(
        default=None,
        description="True: only users and services that were given one of the app roles get tokens "
        "for the server (Entra's `appRoleAssignmentRequired`). Absent: left as it is.",
    )
    smart: Smart = Field(
        default_factory=Smart,
        description="SMART on FHIR: the presets' resource types and the encoding of scopes.",
        json_schema_extra={"default": {}},
    )
    allowed_clients: AllowedClients | None = Field(
        default=None,
        description="Other namespaces whose registrations may refer to this server. Default: none.",
    )
    deletion_protection: DeletionProtection = Field(
        default=DeletionProtection.DISABLED,
        description="`Enabled`: the deletion of this registration waits while others refer to it; "
        "not with `deletionPolicy: Orphan`.",
    )

    @property
    def is_managed(self) -> bool:
        """Whether it is one of Azure's services, whose data only Azure RBAC opens."""
        return self.product is not Product.OPEN_SOURCE

    @property
    def has_own_application(self) -> bool:
        """Whether an application is made for it."""
        if self.application is None:
            return not self.is_managed
        return self.application is ServerApplication.OWN
