"""How a client names its FHIR server, and how a server says whose clients may.

What a reference comes to is found out in `controller.fhir_servers`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import (
    LIST_SET,
    ApiModel,
    DnsLabel,
    NameReference,
    Uuid,
    rule,
    rules,
)
from fhir_app_operator.api.v1alpha1.selector import LabelSelector
from fhir_app_operator.api.v1alpha1.uris import ServerUrl


class DeletionProtection(StrEnum):
    """Whether a FHIR server may go while registrations refer to it."""

    DISABLED = "Disabled"
    ENABLED = "Enabled"


class ServerReference(NameReference):
    """A Resource registration, in this namespace or in one that allows it."""

    namespace: DnsLabel | None = Field(
        default=None,
        description="Its namespace, if that is another one: the server's "
        "`resource.allowedClients` must allow this namespace. Default: the client's own.",
    )


_GRAPHS: Final = ("00000003-0000-0000-c000-000000000000", "00000002-0000-0000-c000-000000000000")
"""Microsoft Graph and its predecessor, which are no FHIR servers."""


class ServerAddress(ApiModel):
    """A FHIR server that has no registration here: what its clients have to know of it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!(self.appId in {list(_GRAPHS)})",
                "`appId` must be that of the FHIR server's API: Microsoft Graph is none",
                field=".appId",
            )
        )
    )
    url: ServerUrl = Field(description="Base URL of the FHIR server.")
    app_id: Uuid = Field(description="Client id of the server's API in the same tenant.")
    audience: (
        Annotated[
            str,
            Field(
                pattern=r"^([a-z][a-z0-9+.-]*://[^\s?#@\"'<>*{}\\]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$",
                max_length=255,
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Application ID URI of the API, which scopes begin with; the audience of "
        "version 1 tokens. Default: `url`.",
    )
    token_version: Literal[1, 2] = Field(
        default=1,
        description="Version of the access tokens that the server takes (the API's "
        "`requestedAccessTokenVersion`). 2: the audience is `appId`.",
    )


class AllowedClients(ApiModel):
    """The other namespaces whose registrations may refer to a FHIR server."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.namespaces) && size(self.namespaces) > 0) || has(self.selector)",
                "`allowedClients` must have `namespaces`, a `selector`, or both: leave it out to "
                "allow the server's own namespace only",
            )
        )
    )
    namespaces: Annotated[
        tuple[DnsLabel, ...], Field(max_length=100, json_schema_extra=LIST_SET)
    ] = Field(default=(), description="Names of namespaces.")
    selector: LabelSelector | None = Field(
        default=None,
        description="Labels that a namespace must have. Whoever may label namespaces decides "
        "then; the label `kubernetes.io/metadata.name` is always the namespace's name.",
    )

    def allows(self, namespace: str, labels: dict[str, str]) -> bool:
        """Whether registrations in `namespace`, which has these `labels`, may refer to it."""
        named = namespace in self.namespaces
        return named or (self.selector is not None and self.selector.matches(labels))
