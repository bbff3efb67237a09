"""Selectors of namespaces by their labels, as Kubernetes has them.

Which field uses one, and what it allows, is said there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import ApiModel, rule, rules

_LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
_LabelValue = Annotated[str, Field(max_length=63)]


class LabelRequirement(ApiModel):
    """One entry of `matchExpressions`, as in `metav1.LabelSelectorRequirement`."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "`values` must be set for In and NotIn, and must not be set otherwise",
                field=".values",
            )
        )
    )
    key: _LabelKey = Field(description="Label key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="Relation.")
    values: Annotated[
        tuple[_LabelValue, ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default=(), description="Label values, for In and NotIn.")

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether `labels` satisfy this requirement, as Kubernetes label selectors define it."""
        present = self.key in labels
        match self.operator:
            case "In":
                return present and labels[self.key] in self.values
            case "NotIn":
                return not present or labels[self.key] not in self.values
            case "Exists":
                return present
            case "DoesNotExist":
                return not present


class LabelSelector(ApiModel):
    """A `metav1.LabelSelector` that must not be empty."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.matchLabels) && size(self.matchLabels) > 0) || "
                "(has(self.matchExpressions) && size(self.matchExpressions) > 0)",
                "`selector` must not be empty: an empty selector would allow every namespace",
            )
        )
    )
    match_labels: Annotated[dict[_LabelKey, _LabelValue], Field(max_length=32)] = Field(
        default={}, description="Labels that must all be there."
    )
    match_expressions: Annotated[
        tuple[LabelRequirement, ...],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default=(), description="Requirements that must all hold.")

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether `labels` satisfy every part; an empty selector matches nothing here."""
        parts = [labels.get(key) == value for key, value in self.match_labels.items()]
        parts += [requirement.matches(labels) for requirement in self.match_expressions]
        return bool(parts) and all(parts)
