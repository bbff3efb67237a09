"""App roles and scopes that a FHIR server's application exposes: presets, SMART, custom ones.

What the presets hold, and the ids of all entries, is in `planning.exposure`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.fhir_types import US_CORE_TYPES
from fhir_app_operator.api.v1alpha1.schema import (
    LIST_SET,
    ApiModel,
    UnmanagedPolicy,
    Uuid,
    rule,
    rules,
)
from fhir_app_operator.api.v1alpha1.smart_grammar import AppRoleValue, FhirTypeName, ScopeValue

FHIR_SERVER_ROLES: Final = (
    "globalAdmin", "globalConverter", "globalExporter", "globalImporter",
    "globalReader", "globalWriter", "smartUser",
)  # fmt: skip
"""The role names of the open-source FHIR server's `roles.json`."""
FHIR_PROXY_ROLES: Final = (
    "Administrator", "DataScientist", "Patient", "Practitioner", "Reader", "RelatedPerson",
    "Writer",
)  # fmt: skip
"""The role names of fhir-proxy's `fhirroles.json`."""
USER_IMPERSONATION: Final = "user_impersonation"
SMART_CONTEXT: Final = ("fhirUser", "launch", "launch/encounter", "launch/patient", "online_access")

_ATOMIC: Final = {"x-kubernetes-list-type": "atomic"}

_Title = Annotated[str, Field(min_length=1, max_length=100)]
_Text = Annotated[str, Field(min_length=1, max_length=1024)]
_ID: Final = (
    "Id in Entra, for one that is known elsewhere. Default: made from tenant, namespace, name and "
    "value, the same for a registration made again. It cannot change while the directory has it."
)


class AppRolePreset(StrEnum):
    """A set of app roles."""

    FHIR_SERVER = "FhirServer"
    FHIR_PROXY = "FhirProxy"
    SMART_BACKEND = "SmartBackend"


class ScopePreset(StrEnum):
    """A set of scopes."""

    USER_IMPERSONATION = "UserImpersonation"
    SMART_CONTEXT = "SmartContext"
    SMART_V1 = "SmartV1"
    SMART_V2 = "SmartV2"


class ScopeEncoding(StrEnum):
    """How SMART scopes are spelled in Entra, which takes no slash."""

    DOT = "Dot"
    DOLLAR = "Dollar"


class CustomAppRole(ApiModel):
    """An app role beside the preset ones."""

    value: AppRoleValue = Field(
        description="Name in the token's `roles` claim; a SMART scope (`system/Observation.rs`) is "
        "encoded for it."
    )
    display_name: _Title = Field(description="Name that administrators see.")
    description: _Text = Field(description="What a holder of the role may do.")
    allowed_member_types: Annotated[
        tuple[Literal["Application", "User"], ...],
        Field(min_length=1, max_length=2, json_schema_extra=LIST_SET),
    ] = Field(default=("Application", "User"), description="Who may be given the role.")
    id: Uuid | None = Field(default=None, description=_ID)


class CustomScope(ApiModel):
    """A delegated permission beside the preset ones."""

    value: ScopeValue = Field(
        description="Name in the token's `scp` claim; a SMART scope (`patient/*.rs`) is encoded "
        "for it."
    )
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
    id: Uuid | None = Field(default=None, description=_ID)


_UNIQUE: Final = (
    "!has(self.custom) || self.custom.all(x, self.custom.exists_one(y, y.value == x.value))"
)


def no_custom(preset: str, values: tuple[str, ...], what: str) -> dict[str, str]:
    """Return the rule that custom entries do not repeat the `values` of `preset`."""
    return rule(
        f"!('{preset}' in self.presets) || !has(self.custom) || "
        f"!self.custom.exists(x, x.value in {list(values)})",
        f"a custom {what} must not repeat a value of preset '{preset}'; rename it, or take the "
        "preset out of `presets`",
        field=".custom",
    )


class AppRoles(ApiModel):
    """The app roles that the FHIR server's application exposes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_UNIQUE, "each app role must have a value of its own", field=".custom"),
            no_custom("FhirServer", FHIR_SERVER_ROLES, "app role"),
            no_custom("FhirProxy", FHIR_PROXY_ROLES, "app role"),
        )
    )
    presets: Annotated[
        tuple[AppRolePreset, ...], Field(max_length=3, json_schema_extra=LIST_SET)
    ] = Field(
        default=(AppRolePreset.FHIR_SERVER,),
        description="Sets of roles; `[]` for none. `FhirServer`: those of the open-source FHIR "
        "server's roles.json. `FhirProxy`: those of fhir-proxy, with the ids that its scripts "
        "hold. `SmartBackend`: `system/…` for each of `smart.resourceTypes`.",
    )
    custom: Annotated[
        tuple[CustomAppRole, ...], Field(max_length=100, json_schema_extra=_ATOMIC)
    ] = Field(default=(), description="Roles beside the presets; values must be unique.")
    unmanaged: UnmanagedPolicy = Field(
        default=UnmanagedPolicy.REPORT,
        description="App roles that others made on the application. `Report`: they are counted in "
        "the message of `Synced`. `Remove`: they are disabled, then removed.",
    )


class Scopes(ApiModel):
    """The delegated permissions that the FHIR server's application exposes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_UNIQUE, "each scope must have a value of its own", field=".custom"),
            no_custom("UserImpersonation", (USER_IMPERSONATION,), "scope"),
            no_custom("SmartContext", SMART_CONTEXT, "scope"),
        )
    )
    presets: Annotated[tuple[ScopePreset, ...], Field(max_length=4, json_schema_extra=LIST_SET)] = (
        Field(
            default=(ScopePreset.USER_IMPERSONATION,),
            description="Sets of scopes; `[]` for none. `UserImpersonation`: "
            f"`{USER_IMPERSONATION}`. `SmartContext`: "
            f"`{'`, `'.join(SMART_CONTEXT)}`. `SmartV1`, `SmartV2`: `patient/…` and `user/…` for "
            "each of `smart.resourceTypes`, with the access `read`, `write` and `rs`, `r`, `s`, "
            "`cruds`.",
        )
    )
    custom: Annotated[tuple[CustomScope, ...], Field(max_length=100, json_schema_extra=_ATOMIC)] = (
        Field(default=(), description="Scopes beside the presets; values must be unique.")
    )
    unmanaged: UnmanagedPolicy = Field(
        default=UnmanagedPolicy.REPORT,
        description="Scopes that others made on the application. `Report`: they are counted in "
        "the message of `Synced`. `Remove`: they are disabled, then removed.",
    )


class Smart(ApiModel):
    """What the SMART presets range over, and how SMART scopes are spelled in Entra."""

    scope_encoding: ScopeEncoding = Field(
        default=ScopeEncoding.DOT,
        description="Entra takes no slash in a permission. `Dot`: `patient/*.read` becomes "
        "`patient.all.read`, for the open-source FHIR server and Azure Health Data Services. "
        "`Dollar`: `patient$*.read`, for the former's AadSmartOnFhirProxy.",
    )
    resource_types: Annotated[
        tuple[FhirTypeName, ...], Field(min_length=1, max_length=40, json_schema_extra=LIST_SET)
    ] = Field(
        default=("*", *US_CORE_TYPES),
        description="FHIR resource types of the SMART presets; `*` stands for the scopes on all "
        "types at once. Whoever may ask for a scope can ask for each that is listed: name those "
        "that are needed.",
    )
