"""The Secret that the operator writes: its name, its keys, and what may be copied onto it.

What a label or annotation on a Secret does is decided by other controllers, some of which copy
Secrets into other namespaces or write into them. So only known ones are let through: those by which
a workload's controllers notice a new value, and those by which an author shares the own Secret.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import LIST_SET, ApiModel, DnsName, rule, rules

_ANNOTATIONS: Final = (
    "^(reloader[.]stakater[.]com/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    "|reflector[.]v1[.]k8s[.]emberstack[.]com/reflection-[a-z]([a-z-]{0,40}[a-z])?"
    "|replicator[.]v1[.]mittwald[.]de/(replicate-to(-matching)?|replication-allowed(-namespaces)?)"
    ")$"
)
_LABELS: Final = "^reconcile[.]fluxcd[.]io/watch$"
_LABEL_VALUE: Final = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_KEY: Final = "^([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]*$"
"""What the API server takes as a key of a Secret (`IsConfigMapKey`); never `.` or `..`."""


class SecretPreset(StrEnum):
    """For whom the Secret's keys are named."""

    AZURE_SDK = "AzureSdk"
    FHIR_SERVER = "FhirServer"
    SPRING = "Spring"
    SERVICE_BINDING = "ServiceBinding"


DEFAULT_PRESETS: Final = (SecretPreset.AZURE_SDK,)


def is_allowed_annotation(key: str) -> bool:
    """Whether `secret.template` may put an annotation of that name on the Secret."""
    return re.fullmatch(_ANNOTATIONS, key) is not None


def is_allowed_label(key: str) -> bool:
    """Whether `secret.template` may put a label of that name on the Secret."""
    return re.fullmatch(_LABELS, key) is not None


class SecretTemplate(ApiModel):
    """Labels and annotations for the Secret, for the controllers that look at them."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(f"!has(self.labels) || self.labels.all(k, k.matches('{_LABELS}'))",
                 "`secret.template.labels` must not hold others than reconcile.fluxcd.io/watch",
                 field=".labels", reason="FieldValueForbidden"),
            rule(f"!has(self.annotations) || self.annotations.all(k, k.matches('{_ANNOTATIONS}'))",
                 "`secret.template.annotations` must not hold others than "
                 "reloader.stakater.com/*, reflector.v1.k8s.emberstack.com/reflection-*, and "
                 "replicator.v1.mittwald.de/ with replicate-to, replicate-to-matching, "
                 "replication-allowed and replication-allowed-namespaces",
                 field=".annotations", reason="FieldValueForbidden"),
        )
    )  # fmt: skip
    labels: dict[str, Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE)]] = Field(
        default={}, max_length=4,
        description="`reconcile.fluxcd.io/watch: Enabled` lets Flux apply anew what refers to the "
        "Secret when it changes.",
    )  # fmt: skip
    annotations: dict[str, Annotated[str, Field(max_length=1024)]] = Field(
        default={}, max_length=16,
        description="For Reloader (`reloader.stakater.com/*`), reflector "
        "(`reflector.v1.k8s.emberstack.com/reflection-*`) and kubernetes-replicator "
        "(`replicator.v1.mittwald.de/replicate-to`, `/replicate-to-matching`, "
        "`/replication-allowed`, `/replication-allowed-namespaces`). The last two copy the Secret "
        "into other namespaces.",
    )  # fmt: skip


_DataKey = Annotated[str, Field(min_length=1, max_length=128, pattern=_KEY)]


class SecretKey(ApiModel):
    """Another name for one value of the Secret, or none."""

    source: _DataKey = Field(
        alias="from",
        description="A key that a preset writes, or one of the preset `AzureSdk` whether it is "
        "listed or not. It is only written under the names that `to` gives it.",
    )
    to: _DataKey | None = Field(
        default=None, description="The key to write it under. Absent: it is left out."
    )


_SecretKeys = Annotated[
    tuple[SecretKey, ...],
    Field(
        max_length=64,
        json_schema_extra=rules(
            rule(
                "self.all(k, !has(k.to) || self.filter(o, has(o.to) && o.to == k.to).size() == 1)",
                "`secret.keys` must not give two values one name in `to`",
            ),
            rule(
                "self.all(k, has(k.to) || self.filter(o, o.from == k.from).size() == 1)",
                "`secret.keys` must not leave out a key that another entry renames",
            ),
            **{"x-kubernetes-list-type": "atomic"},
        ),
    ),
]


class ConfigMapReference(ApiModel):
    """A ConfigMap with all that is in the Secret but the credential."""

    name: DnsName = Field(
        description="Its name, in the registration's namespace. One that is there already and not "
        "of this registration is left untouched."
    )


class SecretReference(ApiModel):
    """The Secret that the operator writes."""

    name: DnsName | None = Field(
        default=None,
        description="Name of the Secret, in the registration's namespace. Default: "
        "`metadata.name`. Must not change.",
    )
    presets: Annotated[
        tuple[SecretPreset, ...], Field(max_length=4, json_schema_extra=LIST_SET)
    ] = Field(
        default=DEFAULT_PRESETS,
        description="For whom the keys are named. `AzureSdk`: azure-identity, and `FHIR_*`. "
        "`FhirServer`: the open-source FHIR server; type Resource only. `Spring`: Spring Boot's "
        "OAuth2 client or resource server. `ServiceBinding`: the Service Binding specification. "
        "Empty: only what `keys` names.",
    )
    keys: _SecretKeys = Field(
        default=(),
        description="Renames keys, leaves them out, or writes them under several names.",
    )
    config_map: ConfigMapReference | None = Field(
        default=None,
        description="Writes everything but the credential to a ConfigMap as well, under the same "
        "keys. It needs the rights of `deploy/config-maps`.",
    )
    template: SecretTemplate | None = Field(
        default=None,
        description="What to put on the Secret besides the operator's own labels and annotations. "
        "What is taken out of the template is taken off the Secret; what others put there stays.",
    )
