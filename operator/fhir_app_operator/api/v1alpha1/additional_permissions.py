"""`additionalPermissions`: what a client asks for on APIs other than its FHIR server.

Ids are resolved in `planning.asked`.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import LIST_SET, ApiModel, Uuid, rule, rules
from fhir_app_operator.api.v1alpha1.well_known import WellKnownApi, client_id

_Value = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$", min_length=1, max_length=120)]
"""A value as the API has it: printable, without quotes, blanks and backslashes."""
_Values = Annotated[
    tuple[_Value, ...], Field(min_length=1, max_length=50, json_schema_extra=LIST_SET)
]
_ONE_API: Final = rule(
    "has(self.appId) != has(self.wellKnown)",
    "exactly one of `appId` and `wellKnown` must be set: it names the API",
    field=".appId",
)
_SOMETHING: Final = rule(
    "has(self.scopes) || has(self.appRoles)",
    "`scopes` or `appRoles` must be set: they are what is asked for",
    field=".scopes",
)


class AdditionalPermissions(ApiModel):
    """What is asked for on one API."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_API, _SOMETHING))
    app_id: Uuid | None = Field(default=None, description="Client id of the API.")
    well_known: WellKnownApi | None = Field(
        default=None, description="Name of an API of Microsoft's, instead of `appId`."
    )
    scopes: _Values | None = Field(
        default=None, description="Delegated permissions, as the API names them (`User.Read`)."
    )
    app_roles: _Values | None = Field(
        default=None,
        description="Application permissions, as the API names them (`User.Read.All`).",
    )

    @property
    def api(self) -> str:
        """Client id of the API."""
        return client_id(self.app_id, self.well_known) or ""

    @property
    def name(self) -> str:
        """How messages call the API."""
        return str(self.well_known or f"API {self.app_id}")
