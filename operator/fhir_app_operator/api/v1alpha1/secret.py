"""The Secret that the operator writes: its name, and what may be copied onto it from a manifest.

What a label or annotation on a Secret does is decided by other controllers, some of which copy
Secrets into other namespaces or write into them. So only known ones are let through: those by which
a workload's controllers notice a new value, and those by which an author shares the own Secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import ApiModel, DnsName, rule, rules

_ANNOTATIONS: Final = (
    "^(reloader[.]stakater[.]com/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    "|reflector[.]v1[.]k8s[.]emberstack[.]com/reflection-[a-z]([a-z-]{0,40}[a-z])?"
    "|replicator[.]v1[.]mittwald[.]de/(replicate-to(-matching)?|replication-allowed(-namespaces)?)"
    ")$"
)
_LABELS: Final = "^reconcile[.]fluxcd[.]io/watch$"
_LABEL_VALUE: Final = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"


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


class SecretReference(ApiModel):
    """The Secret that the operator writes."""

    name: DnsName | None = Field(
        default=None,
        description="Name of the Secret, in the registration's namespace. Default: "
        "`metadata.name`. Must not change.",
    )
    template: SecretTemplate | None = Field(
        default=None,
        description="What to put on the Secret besides the operator's own labels and annotations. "
        "What is taken out of the template is taken off the Secret; what others put there stays.",
    )
