"""`metav1.Condition`; what a condition says is decided in `planning.conditions`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fhir_app_operator.api.v1alpha1.schema import ApiModel, Time

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(ApiModel):
    """One observation about the object, in the form of Kubernetes' `metav1.Condition`."""

    type: str = Field(description="What is observed.", max_length=64)
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(description="The cause as one CamelCase word.", max_length=64)
    message: str = Field(description="The cause, and what to do about it.", max_length=4096)
    last_transition_time: Time = Field(description="When `status` changed last.")
    observed_generation: int = Field(
        default=0, ge=0, description="The `metadata.generation` this was observed at."
    )


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        default=(),
        max_length=16,
        description="Ready, Reconciling, Stalled and Synced, as kstatus and Flux read them.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    ),
]
