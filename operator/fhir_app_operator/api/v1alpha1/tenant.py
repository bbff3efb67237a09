"""`EntraTenant`: the cluster-scoped kind that an administrator writes once per directory."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.conditions import Conditions
from fhir_app_operator.api.v1alpha1.grants import Grants
from fhir_app_operator.api.v1alpha1.policy import TenantPolicy
from fhir_app_operator.api.v1alpha1.schema import (
    ApiModel,
    DnsName,
    Metadata,
    NameReference,
    Uuid,
    rule,
    rules,
)
from fhir_app_operator.api.v1alpha1.selector import LabelSelector


class Cloud(StrEnum):
    """The Microsoft cloud that the tenant lives in."""

    PUBLIC = "Public"
    US_GOVERNMENT = "USGovernment"
    US_GOVERNMENT_DOD = "USGovernmentDoD"
    CHINA = "China"
    CUSTOM = "Custom"


_HttpsOrigin = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.:\[\]-]+$", max_length=255)]


class Endpoints(ApiModel):
    """Where a cloud that is not a public one of Microsoft's is found."""

    authority_host: _HttpsOrigin = Field(description="Origin of the sign-in service.")
    graph_url: _HttpsOrigin = Field(description="Origin of Microsoft Graph, without `/v1.0`.")


class SecretKeyReference(ApiModel):
    """A key of a Secret in the operator's own namespace."""

    name: DnsName = Field(description="Name of the Secret.")
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)] = Field(
        default="client-secret", description="Key in the Secret."
    )


class WorkloadIdentity(ApiModel):
    """Sign in with the operator's projected ServiceAccount token."""


class ClientSecretAuth(ApiModel):
    """Sign in with a client secret."""

    secret_ref: SecretKeyReference = Field(
        description="Where the secret is, in the operator's own namespace."
    )


class CertificateAuth(ApiModel):
    """Sign in with a certificate."""

    secret_ref: NameReference = Field(
        description="A Secret of type kubernetes.io/tls in the operator's own namespace."
    )


class TenantAuth(ApiModel):
    """How the operator signs in; exactly one member."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.workloadIdentity), has(self.clientSecret), has(self.certificate)]"
                ".filter(x, x).size() == 1",
                "`auth` must have exactly one of workloadIdentity, clientSecret and certificate",
            )
        )
    )
    workload_identity: WorkloadIdentity | None = Field(
        default=None, description="The ServiceAccount token of the operator's Pod."
    )
    client_secret: ClientSecretAuth | None = Field(
        default=None, description="A client secret kept in a Secret."
    )
    certificate: CertificateAuth | None = Field(
        default=None, description="A certificate and its key, such as cert-manager keeps them."
    )


_Tag = Annotated[str, Field(pattern=r"^\S+$", min_length=1, max_length=256)]


class ApplicationDefaults(ApiModel):
    """What every application in the tenant gets; some tenants refuse creation without it."""

    service_management_reference: Annotated[str, Field(min_length=1, max_length=256)] | None = (
        Field(default=None, description="Reference to the asset in a service management system.")
    )
    owners: Annotated[
        tuple[Uuid, ...],
        Field(max_length=19, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = Field(
        default=(),
        description="Object ids of further owners, set when an application is created.",
    )
    tags: Annotated[
        tuple[_Tag, ...], Field(max_length=20, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = Field(default=(), description="Further tags.")


class AllowedNamespaces(ApiModel):
    """Which namespaces may have registrations in the tenant."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(self.from == 'Selector') == has(self.selector)",
                "`selector` must be set for from: Selector, and must not be set for from: All",
                field=".selector",
            )
        )
    )
    from_: Literal["All", "Selector"] = Field(
        alias="from", description="`All` namespaces, or those a `Selector` finds."
    )
    selector: LabelSelector | None = Field(
        default=None, description="Labels that a namespace must have."
    )


_IMMUTABLE: Final = "must not change: create another EntraTenant and move the registrations to it"


class TenantSpec(ApiModel):
    """One directory, how to reach it, and who may use it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("(self.cloud == 'Custom') == has(self.endpoints)",
                 "`endpoints` must be set for cloud Custom, and must not be set otherwise",
                 field=".endpoints"),
        )
    )  # fmt: skip
    tenant_id: Uuid = Field(
        description="Directory (tenant) id.",
        json_schema_extra=rules(rule("self == oldSelf", f"`tenantId` {_IMMUTABLE}")),
    )
    cloud: Cloud = Field(
        default=Cloud.PUBLIC,
        description="The Microsoft cloud; `Custom` needs `endpoints`.",
        json_schema_extra=rules(rule("self == oldSelf", f"`cloud` {_IMMUTABLE}")),
    )
    endpoints: Endpoints | None = Field(default=None, description="Endpoints of a Custom cloud.")
    client_id: Uuid = Field(description="Client id of the operator's own application.")
    auth: TenantAuth = Field(
        default_factory=lambda: TenantAuth(workload_identity=WorkloadIdentity()),
        description="How the operator signs in. Default: workload identity.",
        json_schema_extra={"default": {"workloadIdentity": {}}},
    )
    ca_bundle: (
        Annotated[
            str, Field(pattern="-----BEGIN CERTIFICATE-----", min_length=27, max_length=131072)
        ]
        | None
    ) = Field(
        default=None, description="PEM certificates, trusted in addition to the system's roots."
    )
    allowed_namespaces: AllowedNamespaces | None = Field(
        default=None,
        description="Which namespaces may have registrations here. Default: none.",
    )

    application_defaults: ApplicationDefaults | None = Field(
        default=None, description="What every application in the tenant gets."
    )
    grants: Grants | None = Field(
        default=None,
        description="What the operator may grant by itself. Default: nothing; an administrator "
        "consents.",
    )

    policy: TenantPolicy | None = Field(
        default=None,
        description="What registrations may ask for at all. Default: everything but app roles of "
        "an administrator's grade.",
    )

    def allows(self, namespace_labels: dict[str, str]) -> bool:
        """Whether a namespace with these labels may have registrations; absent means no."""
        if self.allowed_namespaces is None:
            return False
        if self.allowed_namespaces.from_ == "All":
            return True
        selector = self.allowed_namespaces.selector
        return selector is not None and selector.matches(namespace_labels)


class TenantStatus(ApiModel):
    """What the operator observed about the tenant."""

    observed_generation: int = Field(
        default=-1, description="The generation that last ended Ready or Stalled."
    )
    conditions: Conditions = ()
    registrations: int = Field(default=0, ge=0, description="How many registrations refer to it.")


class EntraTenant(ApiModel):
    """A Microsoft Entra tenant, and the identity the operator has in it."""

    metadata: Metadata
    spec: TenantSpec
    status: TenantStatus = Field(default_factory=TenantStatus)
