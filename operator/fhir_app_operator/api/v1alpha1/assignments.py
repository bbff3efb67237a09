"""`resource.assignments`: who is given app roles of the server beside its Services."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from fhir_app_operator.api.v1alpha1.schema import LIST_SET, ApiModel, Uuid

_AppRole = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$", min_length=1, max_length=120)]
"""Whether the server declares it is looked up in `planning.assignments`: CEL's budget is spent."""


class Assignment(ApiModel):
    """The app roles that one user, group or service principal is given."""

    principal_id: Uuid = Field(
        description="Object id of a user, of a group (its direct members have the roles then) or "
        "of a service principal."
    )
    app_roles: Annotated[
        tuple[_AppRole, ...], Field(min_length=1, max_length=20, json_schema_extra=LIST_SET)
    ] = Field(description="App roles of this server, as `appRoles` declares them.")


_BY_PRINCIPAL: Final[dict[str, Any]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["principalId"],
}
Assignments = Annotated[
    tuple[Assignment, ...], Field(max_length=50, json_schema_extra=_BY_PRINCIPAL)
]
