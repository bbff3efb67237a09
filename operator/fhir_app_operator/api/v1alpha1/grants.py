"""`EntraTenant.spec.grants`: what the operator may grant by itself, and on which APIs.

How patterns match, and what is left over, is decided in `planning.grants`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import LIST_SET, ApiModel, Uuid, rule, rules


class WellKnownApi(StrEnum):
    """APIs of Microsoft's that go by a name instead of their client id."""

    MICROSOFT_GRAPH = "MicrosoftGraph"
    AZURE_HEALTHCARE_APIS = "AzureHealthcareApis"
    AZURE_API_FOR_DICOM = "AzureApiForDicom"


WELL_KNOWN_APP_IDS: Final = {
    WellKnownApi.MICROSOFT_GRAPH: "00000003-0000-0000-c000-000000000000",
    WellKnownApi.AZURE_HEALTHCARE_APIS: "4f6778d8-5aef-43dc-a1ff-b073724b9495",
    WellKnownApi.AZURE_API_FOR_DICOM: "75e725bf-66ce-4cea-9b9a-5c4caae57f33",
}
"""Source: Microsoft's lists of first-party applications; the same in every tenant."""
GRAPH_APP_ID: Final = WELL_KNOWN_APP_IDS[WellKnownApi.MICROSOFT_GRAPH]

NOT_BOTH: Final = rule(
    "!has(self.appId) || !has(self.wellKnown)",
    "an API must be named by one of `appId` and `wellKnown`, not by both",
    field=".wellKnown",
)


class OptIn(StrEnum):
    """Whether the operator does something that needs further permissions."""

    DISABLED = "Disabled"
    ENABLED = "Enabled"


class Consent(StrEnum):
    """Who consents to what a user's client asks for."""

    NONE = "None"
    ADMIN = "Admin"


Pattern = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.$*?=&%:|,+~@-]+$", min_length=1, max_length=120)
]
"""A value, or part of one with `*` for the rest."""
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=100, json_schema_extra=LIST_SET)]
_IS_GRAPH: Final = (
    "(has(self.wellKnown) && self.wellKnown == 'MicrosoftGraph') || "
    f"(has(self.appId) && self.appId == '{GRAPH_APP_ID}')"
)


def _by_name(field: str) -> dict[str, str]:
    return rule(
        f"!({_IS_GRAPH}) || !has(self.{field}) || !self.{field}.exists(v, v.contains('*'))",
        f"`{field}` of Microsoft Graph must be listed by name, without `*`",
        field=f".{field}",
    )


class AllowedPermissions(ApiModel):
    """What may be granted on one API; on the FHIR servers of this tenant if none is named."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            NOT_BOTH,
            _by_name("appRoles"),
            _by_name("scopes"),
        )
    )
    app_id: Uuid | None = Field(default=None, description="Client id of the API.")
    well_known: WellKnownApi | None = Field(
        default=None, description="Name of an API of Microsoft's, instead of `appId`."
    )
    app_roles: Patterns = Field(
        default=(),
        description="App roles by name; `*` stands for any characters, but not for Microsoft "
        "Graph.",
    )
    scopes: Patterns = Field(
        default=(),
        description="Delegated permissions by name, with `*` as above; patients' own SMART scopes "
        "are never meant by a `*`.",
    )

    @property
    def api(self) -> str | None:
        """Client id of the API; None stands for the FHIR servers registered in the tenant."""
        return WELL_KNOWN_APP_IDS[self.well_known] if self.well_known else self.app_id


class Grants(ApiModel):
    """What the operator may grant by itself; each part needs a Graph permission of its own."""

    app_role_assignments: OptIn = Field(
        default=OptIn.DISABLED,
        description="`Enabled`: app roles are assigned. Needs AppRoleAssignment.ReadWrite.All and "
        "Application.Read.All.",
    )
    delegated_consent: OptIn = Field(
        default=OptIn.DISABLED,
        description="`Enabled`: consent for all users is given where a registration says `consent: "
        "Admin`. Needs DelegatedPermissionGrant.ReadWrite.All.",
    )
    allowed: Annotated[
        tuple[AllowedPermissions, ...],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default=(), description="What may be granted. Default: nothing.")

    @property
    def assigns(self) -> bool:
        """Whether app roles are assigned and withdrawn."""
        return self.app_role_assignments is OptIn.ENABLED

    @property
    def consents(self) -> bool:
        """Whether consent is given and withdrawn."""
        return self.delegated_consent is OptIn.ENABLED
