"""`FhirAppRegistration`: the kind that users write, one Entra application each.

Defaults that depend on nothing else are in the schema; those that depend on the type or on
another field are computed in `planning.desired` and told in the field's description.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.additional_permissions import AdditionalPermissions
from fhir_app_operator.api.v1alpha1.app_type import FIELDS_BY_TYPE, AppType
from fhir_app_operator.api.v1alpha1.credential import Credential
from fhir_app_operator.api.v1alpha1.exposure import USER_IMPERSONATION
from fhir_app_operator.api.v1alpha1.grants import Consent
from fhir_app_operator.api.v1alpha1.managed import AzureRole
from fhir_app_operator.api.v1alpha1.resource import Resource
from fhir_app_operator.api.v1alpha1.schema import (
    LIST_SET,
    ApiModel,
    Metadata,
    NameReference,
    rule,
    rules,
)
from fhir_app_operator.api.v1alpha1.secret import SecretReference
from fhir_app_operator.api.v1alpha1.server_reference import ServerAddress, ServerReference
from fhir_app_operator.api.v1alpha1.smart_grammar import UNMIXED, AppRoleValue, ScopeValue
from fhir_app_operator.api.v1alpha1.status import RegistrationStatus
from fhir_app_operator.api.v1alpha1.uris import BrowserRedirectUri, NativeRedirectUri


class DeletionPolicy(StrEnum):
    """What happens to the Entra application when the registration is deleted."""

    DELETE = "Delete"
    PURGE = "Purge"
    ORPHAN = "Orphan"


_BrowserUris = Annotated[
    tuple[BrowserRedirectUri, ...], Field(min_length=1, max_length=256, json_schema_extra=LIST_SET)
]
_NativeUris = Annotated[
    tuple[NativeRedirectUri, ...], Field(min_length=1, max_length=256, json_schema_extra=LIST_SET)
]


def _not_on_both(one: str, other: str) -> dict[str, str]:
    return rule(
        f"!has(self.{one}) || !has(self.{other}) || !self.{one}.exists(u, u in self.{other})",
        f"a redirect URI must not be on the platforms '{one}' and '{other}' at once",
        field=f".{other}",
    )


class RedirectUris(ApiModel):
    """Where Entra may send a signed-in user, by platform."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _not_on_both("web", "spa"),
            _not_on_both("web", "publicClient"),
            _not_on_both("spa", "publicClient"),
        )
    )
    web: _BrowserUris = Field(default=(), description="Web applications with a server side.")
    spa: _BrowserUris = Field(default=(), description="Single-page applications.")
    public_client: _NativeUris = Field(
        default=(), description="Mobile and desktop applications, Postman."
    )


_PERMISSIONS: Final = Field(
    min_length=1, max_length=50, json_schema_extra=rules(*UNMIXED, **LIST_SET)
)


class RegistrationSpec(ApiModel):
    """The declared state of one Entra application."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *FIELDS_BY_TYPE,
            rule("self.tenantRef.name == oldSelf.tenantRef.name",
                 "`tenantRef` must not change: delete the registration and create a new one",
                 field=".tenantRef"),
        )
    )  # fmt: skip
    type: AppType = Field(
        description="What the application stands for.",
        json_schema_extra=rules(
            rule(
                "self == oldSelf",
                "`type` must not change: delete the registration and create a new one",
            )
        ),
    )
    tenant_ref: NameReference = Field(
        default_factory=lambda: NameReference(name="default"),
        description="The EntraTenant that the application lives in.",
        json_schema_extra={"default": {"name": "default"}},
    )
    display_name: Annotated[str, Field(min_length=1, max_length=120)] | None = Field(
        default=None,
        description="Name in the Entra portal. Default: `<namespace>/<name>`, cut to 120.",
    )
    resource: Resource | None = Field(
        default=None, description="The FHIR server; type Resource only."
    )
    fhir_server_ref: ServerReference | None = Field(
        default=None,
        description="The Resource registration whose audience, authority and permissions the "
        "client uses.",
    )
    fhir_server: ServerAddress | None = Field(
        default=None,
        description="The FHIR server, instead of `fhirServerRef`, if it has no registration here.",
    )
    scopes: Annotated[tuple[ScopeValue, ...], _PERMISSIONS] | None = Field(
        default=None,
        description="Delegated permissions on the server, SMART scopes in SMART's own form "
        f"(`patient/*.read`). Default: `{USER_IMPERSONATION}`.",
    )
    app_roles: Annotated[tuple[AppRoleValue, ...], _PERMISSIONS] | None = Field(
        default=None,
        description="App roles on the server, SMART scopes in SMART's own form "
        "(`system/*.rs`); type Service only.",
    )
    additional_permissions: Annotated[
        tuple[AdditionalPermissions, ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(
        default=(),
        description="Permissions on other APIs: `scopes` for a user's client, `appRoles` for one "
        "that signs in by itself.",
    )
    consent: Consent | None = Field(
        default=None,
        description="`Admin`: an administrator consents to the delegated permissions for all "
        "users, or the operator where the tenant's `grants` allow it. Default: `None`, each user "
        "is asked.",
    )
    azure_role: AzureRole | None = Field(
        default=None,
        description="For a managed FHIR service: the Azure RBAC role that the client needs, or its "
        "users. Default: `FHIR SMART User` with SMART scopes, else `FHIR Data Contributor`. An "
        "administrator assigns it; the condition `DataPlaneAccess` has the command.",
    )
    redirect_uris: RedirectUris | None = Field(
        default=None, description="Where users return to after the sign-in."
    )
    credential: Credential | None = Field(
        default=None,
        description="How the client proves who it is. Default: a client secret of 4320h, renewed "
        "a third before its end, with an overlap of 24h.",
    )
    secret: SecretReference | None = Field(
        default=None,
        description="The Secret that receives the connection facts.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="`Delete`: the application goes to Entra's bin for 30 days. `Purge`: it is "
        "deleted for good. `Orphan`: it and the Secret stay as they are.",
    )
    suspend: bool = Field(
        default=False,
        description="True: nothing is written to Entra or the Secret meanwhile, but that the "
        "operator takes back what it granted once the tenant no longer allows it.",
    )


class FhirAppRegistration(ApiModel):
    """One Microsoft Entra application for FHIR, and the Secret its workload reads."""

    metadata: Metadata
    spec: RegistrationSpec
    status: RegistrationStatus = Field(default_factory=RegistrationStatus)

    @property
    def front_door(self) -> tuple[str, ...]:
        """The redirect URIs of the gateway before a FHIR server; empty if there is none."""
        resource = self.spec.resource
        return resource.front_door.redirect_uris if resource and resource.front_door else ()

    @property
    def secret_name(self) -> str:
        """The name of the Secret: `spec.secret.name`, else the registration's own."""
        named = self.spec.secret.name if self.spec.secret else None
        return named or self.metadata.name
