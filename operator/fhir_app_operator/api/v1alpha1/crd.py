"""Renders the CustomResourceDefinitions from the models; `crds/` holds the result.

A structural schema (Kubernetes, "CustomResourceDefinitions: Specifying a structural schema") knows
no `$ref`, no `anyOf` with null and no `const`: this module turns what pydantic emits into that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1.registration import FhirAppRegistration
from fhir_app_operator.api.v1alpha1.schema import RULES, rule
from fhir_app_operator.api.v1alpha1.tenant import EntraTenant

_DROPPED: Final = ("title", "uniqueItems", "additionalProperties", "propertyNames", "examples")
_LABELS: Final[Mapping[str, dict[str, str]]] = {
    names.REGISTRATION_KIND: {"servicebinding.io/provisioned-service": "true"},
}
"""By kind; service binding controllers look for that one, and then for `status.binding`."""

_NAME_RULE: Final = rule(
    "size(self.metadata.name) <= 63",
    "`metadata.name` must not be longer than 63 characters",
)
_SECRET_NAME_RULE: Final = rule(
    "(has(self.spec.secret) && has(self.spec.secret.name) ? self.spec.secret.name "
    ": self.metadata.name) == (has(oldSelf.spec.secret) && has(oldSelf.spec.secret.name) "
    "? oldSelf.spec.secret.name : oldSelf.metadata.name)",
    "`secret.name` must not change: delete the registration and create a new one",
    field=".spec.secret",
)


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"priority": 1} if wide else {})


def _condition(kind: str, member: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{member}'


_READY: Final = (
    _column("Ready", _condition("Ready", "status")),
    _column("Reason", _condition("Ready", "reason")),
)
_AGE: Final = _column("Age", ".metadata.creationTimestamp", "date")
_REGISTRATION_COLUMNS: Final = (
    _column("Type", ".spec.type"),
    *_READY,
    _column("Client-ID", ".status.appId"),
    _column("Secret", ".status.secretName"),
    _column("Expires", '.status.credentials[?(@.state=="Active")].endTime'),
    _AGE,
    _column("Tenant", ".spec.tenantRef.name", wide=True),
    _column("Object-ID", ".status.objectId", wide=True),
    _column("Clients", ".status.clients", "integer", wide=True),
    _column("Message", _condition("Ready", "message"), wide=True),
)
_TENANT_COLUMNS: Final = (
    _column("Tenant-ID", ".spec.tenantId"),
    _column("Cloud", ".spec.cloud"),
    *_READY,
    _AGE,
    _column("Registrations", ".status.registrations", "integer", wide=True),
    _column("Message", _condition("Ready", "message"), wide=True),
)


def custom_resource_definitions() -> tuple[dict[str, Any], ...]:
    """Return the CRDs of both kinds, ready to be written as YAML or applied."""
    return (
        _definition(
            FhirAppRegistration, names.REGISTRATION_KIND, names.REGISTRATION_PLURAL, "Namespaced",
            short=("fhirapp", "fhirapps"), columns=_REGISTRATION_COLUMNS,
            root=(_NAME_RULE, _SECRET_NAME_RULE),
            selectable=(".spec.type", ".spec.tenantRef.name", ".status.appId"),
        ),
        _definition(
            EntraTenant, names.TENANT_KIND, names.TENANT_PLURAL, "Cluster",
            short=(), columns=_TENANT_COLUMNS, root=(_NAME_RULE,), selectable=(),
        ),
    )  # fmt: skip


def _definition(
    model: type[BaseModel], kind: str, plural: str, scope: str, *, short: tuple[str, ...],
    columns: tuple[dict[str, Any], ...], root: tuple[dict[str, str], ...],
    selectable: tuple[str, ...],
) -> dict[str, Any]:  # fmt: skip
    version: dict[str, Any] = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": list(columns),
        "schema": {"openAPIV3Schema": _root_schema(model, root)},
    }
    if selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{names.GROUP}",
            "annotations": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"},
            **({"labels": _LABELS[kind]} if kind in _LABELS else {}),
        },
        "spec": {
            "group": names.GROUP,
            "scope": scope,
            "names": {
                "kind": kind, "listKind": f"{kind}List", "plural": plural,
                "singular": kind.lower(), "shortNames": list(short),
                "categories": ["fhir"],
            },
            "versions": [version],
        },
    }  # fmt: skip


def _root_schema(model: type[BaseModel], root: tuple[dict[str, str], ...]) -> dict[str, Any]:
    schema = structural_schema(model)
    properties = schema["properties"]
    properties["metadata"] = {"type": "object"}
    properties["status"]["default"] = {"observedGeneration": -1}
    properties["status"]["description"] = "What the operator observed."
    properties["spec"].setdefault("description", "The declared state.")
    head = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    return {
        "type": "object",
        "description": schema["description"],
        "required": ["spec"],
        "properties": head | properties,
        RULES: list(root),
    }


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema of `model`: inlined, without nulls, every node typed."""
    raw = model.model_json_schema(by_alias=True)
    return _structural(raw, raw.get("$defs", {}))


def _structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    node = _without_null(_inlined(node, definitions), definitions)
    result = {key: value for key, value in node.items() if key not in {*_DROPPED, "$defs"}}
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if result.get("default", ...) in (None, [], {}) and not _explicit_default(result):
        result.pop("default", None)
    if "properties" in node:
        result["properties"] = {
            name: _structural(child, definitions) for name, child in node["properties"].items()
        }
    elif isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if "items" in node:
        result["items"] = _structural(node["items"], definitions)
    return result


def _explicit_default(node: dict[str, Any]) -> bool:
    """Whether an empty default was asked for: only objects that hold defaults themselves do."""
    return node.get("default") == {} and "properties" in node


def _inlined(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    if reference is None:
        return node
    target = _inlined(definitions[reference.rpartition("/")[2]], definitions)
    own = {key: value for key, value in node.items() if key != "$ref"}
    merged = target | own
    if RULES in target and RULES in own:
        merged[RULES] = [*target[RULES], *own[RULES]]
    return merged


def _without_null(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Replace `anyOf: [X, null]` by X; what stands beside the `anyOf` wins over X's own."""
    options = node.get("anyOf")
    if options is None:
        return node
    (option,) = [each for each in options if each.get("type") != "null"]
    own = {key: value for key, value in node.items() if key != "anyOf"}
    return _inlined(option, definitions) | own
