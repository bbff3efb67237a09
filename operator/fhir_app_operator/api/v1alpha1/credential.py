"""How a client proves who it is: the `credential` of a registration and its lifetimes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import (
    DURATION_PATTERN,
    ApiModel,
    Duration,
    NameReference,
    UnmanagedPolicy,
    rule,
    rules,
)


class CredentialType(StrEnum):
    """What a client proves itself with."""

    CLIENT_SECRET = "ClientSecret"  # noqa: S105 - the name of a type, not a secret
    CERTIFICATE = "Certificate"
    FEDERATED_IDENTITY = "FederatedIdentity"


_MALFORMED: Final = " || ".join(
    f"(has(self.{name}) && !self.{name}.matches('{DURATION_PATTERN}'))"
    for name in ("duration", "renewBefore", "overlap")
)
"""Told by a rule of the field itself: `duration()` would only add that it failed."""


def _lifetime(longest: str, in_words: str) -> tuple[dict[str, str], ...]:
    """Return the rules of a lifetime; `longest` is in Go's notation."""
    return (
        _check("duration(self.duration) >= duration('1h') && "
               f"duration(self.duration) <= duration('{longest}')",
               f"`duration` must be between 1h and {longest} ({in_words})", ".duration"),
        _check("!has(self.renewBefore) || duration(self.renewBefore) < duration(self.duration)",
               "`renewBefore` must be shorter than `duration`", ".renewBefore"),
        _check("!has(self.renewBefore) || duration(self.renewBefore) >= duration('5m')",
               "`renewBefore` must be at least 5m: a renewal takes a while", ".renewBefore"),
        _check("!has(self.overlap) || (has(self.renewBefore) ? "
               "duration(self.overlap) <= duration(self.renewBefore) : "
               "duration(self.overlap) + duration(self.overlap) + duration(self.overlap) "
               "<= duration(self.duration))",
               "`overlap` must not exceed `renewBefore` (a third of `duration` if that is "
               "not set)", ".overlap"),
    )  # fmt: skip


def _check(expression: str, message: str, field: str) -> dict[str, str]:
    return rule(f"{_MALFORMED} || ({expression})", message, field=field)


_DURATION: Final = "4320h"


class Lifetime(ApiModel):
    """How long a credential that the operator makes lives, in cert-manager's words."""

    duration: Duration = Field(default=_DURATION, description="Lifetime of a credential.",
                               validate_default=True)  # fmt: skip
    renew_before: Duration | None = Field(
        default=None,
        description="How long before its end a credential is renewed at the latest; up to a tenth "
        "of the lifetime earlier, so that renewals spread. Default: a third of the lifetime that "
        "the directory granted; at most half of it counts.",
    )
    overlap: Duration | None = Field(
        default=None,
        description="How long the old credential stays valid after a new one was published. "
        "Default: 24h, or `renewBefore` if that is shorter.",
    )


class ClientSecret(Lifetime):
    """A client secret that the operator asks Entra for."""

    model_config = ConfigDict(json_schema_extra=rules(*_lifetime("17520h", "two years")))


class IssuedCertificate(Lifetime):
    """A self-signed certificate with a key that the operator makes."""

    # Entra takes no longer ones by PATCH (Microsoft Graph, "Add a certificate to an app").
    model_config = ConfigDict(json_schema_extra=rules(*_lifetime("8760h", "one year")))
    key_size: Literal[2048, 3072, 4096] = Field(
        default=2048, description="Bits of the RSA key; Entra takes no other kind of key."
    )


class Certificate(ApiModel):
    """A certificate; exactly one member says where it comes from."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.issue) != has(self.secretRef)",
                "`certificate` must have exactly one of issue and secretRef",
            )
        )
    )
    issue: IssuedCertificate | None = Field(
        default=None, description="The operator makes key and certificate."
    )
    secret_ref: NameReference | None = Field(
        default=None,
        description="A Secret of type kubernetes.io/tls in the registration's namespace, such as "
        "cert-manager keeps; its certificate is registered, and again whenever it changes. The "
        "key must be RSA.",
    )


_ServiceAccounts = Annotated[
    tuple[NameReference, ...],
    Field(
        min_length=1,
        max_length=20,
        json_schema_extra={
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        },
    ),
]  # fmt: skip


class Federated(ApiModel):
    """Tokens of Kubernetes ServiceAccounts instead of a secret (workload identity federation)."""

    service_accounts: _ServiceAccounts = Field(
        description="The ServiceAccounts, in the registration's namespace, whose Pods are the "
        "client."
    )
    issuer: Annotated[str, Field(pattern=r"^https://\S+$", max_length=600)] | None = Field(
        default=None,
        description="The `iss` claim of their tokens; Entra reads the keys there. Default: what "
        "the API server says.",
    )
    audience: Annotated[str, Field(pattern=r"^\S+$", min_length=1, max_length=600)] | None = Field(
        default=None,
        description="The `aud` claim of their tokens. Default: that of the tenant's cloud, "
        "such as `api://AzureADTokenExchange`.",
    )


class Credential(ApiModel):
    """How a client proves who it is; exactly one type."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.clientSecret), has(self.certificate), has(self.federated)]"
                ".filter(x, x).size() == 1",
                "`credential` must have exactly one of clientSecret, certificate and federated",
            )
        )
    )
    client_secret: ClientSecret | None = Field(default=None, description="A client secret.")
    certificate: Certificate | None = Field(
        default=None, description="A certificate, with whose key the client signs assertions."
    )
    federated: Federated | None = Field(
        default=None, description="ServiceAccount tokens: no secret at all."
    )
    unmanaged: UnmanagedPolicy = Field(
        default=UnmanagedPolicy.REPORT,
        description="Credentials that others made on the application. `Report`: they are "
        "counted in the message of `Synced`. `Remove`: they go once the Secret holds a credential "
        "that works and `overlap` has passed since then and since they were made.",
    )
