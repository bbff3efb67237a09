"""`EntraTenant.spec.grants`: what the operator may grant by itself, and on which APIs.

How patterns match, and what is left over, is decided in `planning.grants`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import LIST_SET, ApiModel, Uuid, rule, rules
from fhir_app_operator.api.v1alpha1.well_known import (
    IS_GRAPH,
    NOT_BOTH,
    WellKnownApi,
    client_id,
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


def _by_name(field: str) -> dict[str, str]:
    return rule(
        f"!({IS_GRAPH}) || !has(self.{field}) || !self.{field}.exists(v, v.contains('*'))",
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
        return client_id(self.app_id, self.well_known)


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
