"""Clients that a FHIR server lets have scopes without anybody's consent: `resource`'s part.

What it comes to in Entra is in `planning.pre_authorization`.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import (
    LIST_SET,
    ApiModel,
    NameReference,
    UnmanagedPolicy,
    Uuid,
    rule,
    rules,
)
from fhir_app_operator.api.v1alpha1.smart_grammar import MAX_VALUE, UNMIXED

# Its grammar is not checked here, for the rules would cost more than the API server grants: it must
# be one of the scopes that the server declares.
_Value = Annotated[str, Field(min_length=1, max_length=MAX_VALUE)]
_SAME: Final = (
    "(has(x.appId) && has(y.appId) && x.appId == y.appId) || "
    "(has(x.registrationRef) && has(y.registrationRef) && "
    "x.registrationRef.name == y.registrationRef.name)"
)


class PreAuthorizedClient(ApiModel):
    """One client, and what it may have."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.registrationRef) != has(self.appId)",
                "must have exactly one of registrationRef and appId",
                field=".registrationRef",
            ),
            rule(
                "has(self.registrationRef) || has(self.scopes)",
                "`scopes` must be set beside `appId`: nothing else tells what that client asks for",
                field=".scopes",
                reason="FieldValueRequired",
            ),
        )
    )
    registration_ref: NameReference | None = Field(
        default=None, description="A Confidential or Public registration in this namespace."
    )
    app_id: Uuid | None = Field(default=None, description="Client id of any other client.")
    scopes: Annotated[
        tuple[_Value, ...],
        Field(min_length=1, max_length=20, json_schema_extra=rules(*UNMIXED, **LIST_SET)),
    ] | None = Field(
        default=None,
        description="Scopes of this server. Default: those that the registration asks for.",
    )  # fmt: skip


class PreAuthorizedClients(ApiModel):
    """The clients whose users are not asked for consent."""

    clients: Annotated[
        tuple[PreAuthorizedClient, ...],
        Field(
            max_length=50,
            json_schema_extra=rules(
                rule(
                    f"self.all(x, self.exists_one(y, {_SAME}))",
                    "each client must be named once: put its scopes together",
                ),
                **{"x-kubernetes-list-type": "atomic"},
            ),
        ),
    ] = Field(default=(), description="Each by its registration or its client id.")
    unmanaged: UnmanagedPolicy = Field(
        default=UnmanagedPolicy.REPORT,
        description="Clients that others pre-authorized. `Report`: they are counted in the message "
        "of `Synced`. `Remove`: they are taken off.",
    )
