"""Labels and annotations that a manifest puts on its Secret: told apart from those of others.

An annotation lists the names that we put there. What is in that list and no longer wanted goes;
everything else that others put on the Secret is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1.secret import is_allowed_annotation, is_allowed_label
from fhir_app_operator.planning.model import SecretTemplate

_Changes = dict[str, str | None]


def applied(metadata: Mapping[str, Any]) -> SecretTemplate:
    """Return what we put on the Secret with that metadata, with the values that are there now."""
    listed = _listed(metadata)
    return SecretTemplate(
        labels=_present(metadata.get("labels"), listed["labels"]),
        annotations=_present(metadata.get("annotations"), listed["annotations"]),
    )


def changes(metadata: Mapping[str, Any], template: SecretTemplate) -> tuple[_Changes, _Changes]:
    """Return the labels and annotations that bring a Secret to `template`; None takes one off."""
    listed = _listed(metadata)
    labels: _Changes = {**dict.fromkeys(listed["labels"]), **template.labels}
    annotations: _Changes = {**dict.fromkeys(listed["annotations"]), **template.annotations}
    annotations[names.TEMPLATE_ANNOTATION] = _list(template)
    return labels, annotations


def _list(template: SecretTemplate) -> str | None:
    if not template.labels and not template.annotations:
        return None
    return json.dumps(
        {"annotations": sorted(template.annotations), "labels": sorted(template.labels)}
    )


def _listed(metadata: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names in the list; whoever edits it can make us take off nothing but allowed ones."""
    text = (metadata.get("annotations") or {}).get(names.TEMPLATE_ANNOTATION)
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = {}
    return {
        "labels": _allowed(found, "labels", is_allowed_label),
        "annotations": _allowed(found, "annotations", is_allowed_annotation),
    }


def _allowed(found: Any, kind: str, allowed: Callable[[str], bool]) -> list[str]:
    entries = found.get(kind) if isinstance(found, dict) else None
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, str) and allowed(entry)]


def _present(live: Mapping[str, str] | None, listed: Iterable[str]) -> dict[str, str]:
    return {name: live[name] for name in listed if live and name in live}
