"""What a FHIR server exposes: `spec.resource` of a registration, app roles and scopes.

The ids of what is declared here are derived in `planning.permissions`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import ApiModel, rule, rules
from fhir_app_operator.api.v1alpha1.uris import identifier_rules

FHIR_SERVER_ROLES: Final = (
    "globalAdmin", "globalConverter", "globalExporter", "globalImporter",
    "globalReader", "globalWriter", "smartUser",
)  # fmt: skip
"""The role names of the open-source FHIR server's `roles.json`."""
USER_IMPERSONATION: Final = "user_impersonation"

LIST_SET: Final = {"x-kubernetes-list-type": "set"}
_ATOMIC: Final = {"x-kubernetes-list-type": "atomic"}

PermissionValue = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", min_length=1, max_length=120)
]
"""The name of an app role or scope, as it appears in tokens."""
_Title = Annotated[str, Field(min_length=1, max_length=100)]
_Text = Annotated[str, Field(min_length=1, max_length=1024)]


class CustomAppRole(ApiModel):
    """An app role beside the preset ones."""

    value: PermissionValue = Field(description="Name in the token's `roles` claim.")
    display_name: _Title = Field(description="Name that administrators see.")
    description: _Text = Field(description="What a holder of the role may do.")
    allowed_member_types: Annotated[
        tuple[Literal["Application", "User"], ...],
        Field(min_length=1, max_length=2, json_schema_extra=LIST_SET),
    ] = Field(default=("Application", "User"), description="Who may be given the role.")


class CustomScope(ApiModel):
    """A delegated permission beside the preset ones."""

    value: PermissionValue = Field(description="Name in the token's `scp` claim.")
    type: Literal["User", "Admin"] = Field(
        default="User", description="Who may consent: any `User`, or an `Admin` only."
    )
    admin_consent_display_name: _Title = Field(description="Title that administrators see.")
    admin_consent_description: _Text = Field(description="Text that administrators see.")
    user_consent_display_name: _Title | None = Field(
        default=None, description="Title that users see. Default: the administrators' one."
    )
    user_consent_description: _Text | None = Field(
        default=None, description="Text that users see. Default: the administrators' one."
    )


_UNIQUE_VALUES: Final = (
    "!has(self.custom) || self.custom.all(x, self.custom.exists_one(y, y.value == x.value))"
)


class AppRoles(ApiModel):
    """The app roles that the FHIR server's application exposes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_UNIQUE_VALUES, "each app role must have a value of its own",
                 field=".custom"),
            rule("self.preset != 'FhirServer' || !has(self.custom) || "
                 f"!self.custom.exists(x, x.value in {list(FHIR_SERVER_ROLES)})",
                 "a custom app role must not repeat a value of preset 'FhirServer'; "
                 "rename it, or set `preset: None`",
                 field=".custom"),
        )
    )  # fmt: skip
    preset: Literal["None", "FhirServer"] = Field(
        default="FhirServer",
        description="`FhirServer`: the roles of the open-source FHIR server's roles.json.",
    )
    custom: Annotated[
        tuple[CustomAppRole, ...], Field(max_length=100, json_schema_extra=_ATOMIC)
    ] = Field(default=(), description="Roles beside the preset; values must be unique.")


class Scopes(ApiModel):
    """The delegated permissions that the FHIR server's application exposes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_UNIQUE_VALUES, "each scope must have a value of its own",
                 field=".custom"),
            rule("self.preset != 'UserImpersonation' || !has(self.custom) || "
                 f"!self.custom.exists(x, x.value == '{USER_IMPERSONATION}')",
                 f"a custom scope must not repeat '{USER_IMPERSONATION}' of preset "
                 "'UserImpersonation'; rename it, or set `preset: None`",
                 field=".custom"),
        )
    )  # fmt: skip
    preset: Literal["None", "UserImpersonation"] = Field(
        default="UserImpersonation",
        description=f"`UserImpersonation`: the one scope `{USER_IMPERSONATION}`.",
    )
    custom: Annotated[tuple[CustomScope, ...], Field(max_length=100, json_schema_extra=_ATOMIC)] = (
        Field(default=(), description="Scopes beside the preset; values must be unique.")
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
            rule("self.appRoles.preset != 'None' || self.scopes.preset != 'None' || "
                 "(has(self.appRoles.custom) && size(self.appRoles.custom) > 0) || "
                 "(has(self.scopes.custom) && size(self.scopes.custom) > 0)",
                 "a FHIR server must expose at least one app role or scope, "
                 "else no client can ask for anything", field=".scopes"),
            rule("!has(self.appRoles.custom) || !has(self.scopes.custom) || "
                 "!self.appRoles.custom.exists(r, "
                 "self.scopes.custom.exists(s, s.value == r.value))",
                 "an app role and a scope must not have the same value",
                 field=".scopes"),
            rule("self.appRoles.preset != 'FhirServer' || !has(self.scopes.custom) || "
                 f"!self.scopes.custom.exists(s, s.value in {list(FHIR_SERVER_ROLES)})",
                 "a custom scope must not have the value of a role of preset 'FhirServer'",
                 field=".scopes"),
            rule("self.scopes.preset != 'UserImpersonation' || !has(self.appRoles.custom) || "
                 f"!self.appRoles.custom.exists(r, r.value == '{USER_IMPERSONATION}')",
                 f"a custom app role must not have the value '{USER_IMPERSONATION}' of a scope",
                 field=".appRoles"),
        )
    )  # fmt: skip
    url: Annotated[
        str, Field(pattern=r"^https?://[^\s/?#@\"'<>\\]+(/[^\s?#\"'<>\\]*)?$", max_length=255)
    ] = Field(description="Base URL of the FHIR server.")
    product: Literal["OpenSource"] = Field(
        default="OpenSource", description="Which FHIR server this is."
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
        json_schema_extra={"default": {"preset": "FhirServer"}},
    )  # fmt: skip
    scopes: Scopes = Field(
        default_factory=Scopes, description="Delegated permissions, for users' clients.",
        json_schema_extra={"default": {"preset": "UserImpersonation"}},
    )  # fmt: skip
