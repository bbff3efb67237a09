"""The status of a registration: what the operator observed, and the one intent it keeps."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fhir_app_operator.api.v1alpha1.conditions import Conditions
from fhir_app_operator.api.v1alpha1.credential import CredentialType
from fhir_app_operator.api.v1alpha1.schema import LIST_SET, UUID_PATTERN, ApiModel, Time, Uuid


class CredentialState(StrEnum):
    """Where a credential is in its life."""

    ACTIVE = "Active"
    RETIRING = "Retiring"


class CredentialStatus(ApiModel):
    """One credential of the application that the operator made."""

    type: CredentialType = Field(description="What it is.")
    key_id: str = Field(
        description="Its key id in Entra; the name of a federated credential.", max_length=64
    )
    state: CredentialState = Field(description="`Active`: in the Secret. `Retiring`: replaced.")
    start_time: Time | None = Field(default=None, description="Valid from; not if federated.")
    end_time: Time | None = Field(default=None, description="Valid until; not if federated.")
    retired_at: Time | None = Field(
        default=None, description="When it was first seen not to be in the Secret any more."
    )


class PendingCredential(ApiModel):
    """The intent to issue a credential, written before the directory is asked for it."""

    type: CredentialType = Field(description="What is asked for.")
    nonce: str = Field(description="Marks the credential in the directory.", max_length=64)
    requested_at: Time = Field(description="When the intent was written.")


class GrantStatus(ApiModel):
    """What the operator granted on one API, or is about to grant."""

    resource_id: str = Field(
        pattern=UUID_PATTERN, max_length=36, description="Service principal of the API."
    )
    principal_id: Uuid | None = Field(
        default=None, description="Who was given them. Absent: the registration itself."
    )
    app_roles: Annotated[tuple[Uuid, ...], Field(max_length=100, json_schema_extra=LIST_SET)] = (
        Field(default=(), description="Ids of the app roles that it assigned.")
    )
    scopes: Annotated[
        tuple[Annotated[str, Field(max_length=120)], ...],
        Field(max_length=100, json_schema_extra=LIST_SET),
    ] = Field(default=(), description="The scopes that it consented to for all users.")


class Binding(ApiModel):
    """What makes a registration a Provisioned Service of the Service Binding specification."""

    name: str = Field(description="The Secret to bind to.", max_length=253)


def _object_id(what: str) -> str | None:
    field: str | None = Field(default=None, pattern=UUID_PATTERN, max_length=36, description=what)
    return field


def _identifier(what: str) -> str | None:
    field: str | None = Field(default=None, max_length=512, description=what)
    return field


class RegistrationStatus(ApiModel):
    """What the operator observed: a report, and never an order.

    But for `pendingCredential`, `grants` and `configMapName`: written before what they name, and
    what is taken away later is found by them.
    """

    observed_generation: int = Field(
        default=-1, description="The generation that last ended Ready or Stalled."
    )
    conditions: Conditions = ()
    tenant_id: str | None = _object_id("Directory (tenant) id.")
    app_id: str | None = _object_id("Application (client) id.")
    object_id: str | None = _object_id("Object id of the application.")
    service_principal_id: str | None = _object_id("Object id of the service principal.")
    secret_name: str | None = _identifier("The Secret that was written.")
    config_map_name: str | None = _identifier("The ConfigMap that is, or is about to be, written.")
    binding: Binding | None = Field(
        default=None,
        description="What a service binding controller looks for: set once the Secret holds the "
        "keys of the preset `ServiceBinding`.",
    )
    audience: str | None = _identifier("The `aud` claim of the server's tokens.")
    authority: str | None = _identifier("The authority that signs the server's tokens.")
    clients: int | None = Field(
        default=None, ge=0, description="How many registrations refer to this FHIR server."
    )
    credentials: Annotated[
        tuple[CredentialStatus, ...],
        Field(
            max_length=52,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["keyId"],
            },
        ),
    ] = Field(default=(), description="The credentials that the operator made.")
    credential_types: Annotated[
        tuple[CredentialType, ...], Field(max_length=8, json_schema_extra=LIST_SET)
    ] = Field(
        default=(),
        description="The types of credential that were ever asked for: those are looked for.",
    )
    create_requested_at: Time | None = Field(
        default=None,
        description="When the directory was last asked to create or restore the application.",
    )
    missing_since: Time | None = Field(
        default=None, description="Since when the directory does not show the application."
    )
    last_handled_reconcile_at: str | None = _identifier(
        "The value of the annotation `fhirapps.dev/reconcile-requested-at` that was acted on last."
    )
    last_handled_rotate_at: str | None = _identifier(
        "The value of the annotation `fhirapps.dev/rotate-requested-at` that was acted on last."
    )
    last_handled_revoke_previous_at: str | None = _identifier(
        "The value of the annotation `fhirapps.dev/revoke-previous-requested-at` that was acted "
        "on last."
    )
    grants: Annotated[
        tuple[GrantStatus, ...],
        Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(
        default=(),
        description="What the operator granted: only that is ever withdrawn, and only from the "
        "registration's own service principal, or of its own app roles.",
    )
    pending_credential: PendingCredential | None = Field(
        default=None, description="A credential that was asked for and is not in the Secret yet."
    )
