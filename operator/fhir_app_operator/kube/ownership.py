"""Whose an object is that a registration has made: its label, and its owner references.

Shared by Secrets and ConfigMaps. An owner reference of ours never blocks the owner's deletion;
those of others stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_app_operator.api import names
from fhir_app_operator.planning.model import Registration

Metadata = Mapping[str, Any]


def labels_of(registration: Registration) -> dict[str, str]:
    """Return the labels that mark what `registration` has made."""
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.REGISTRATION_LABEL: registration.uid,
    }


def is_ours(metadata: Metadata, registration: Registration) -> bool:
    """Whether the object carries the registration's label."""
    return bool((metadata.get("labels") or {}).get(names.REGISTRATION_LABEL) == registration.uid)


def is_owned(metadata: Metadata, registration: Registration) -> bool:
    """Whether the object goes with the registration."""
    return any(ref.get("uid") == registration.uid for ref in _owners(metadata))


def has_predecessor(metadata: Metadata, registration: Registration) -> bool:
    """Whether an owner is a registration of our name with another UID, which can only be gone."""
    return any(
        ref.get("kind") == names.REGISTRATION_KIND
        and ref.get("name") == registration.name
        and ref.get("uid") != registration.uid
        for ref in _owners(metadata)
    )


def owner_references(
    metadata: Metadata, registration: Registration, *, owned: bool
) -> list[dict[str, Any]]:
    """Return the owner references that the object should have.

    Args:
        metadata: what it has now; empty for a new one.
        registration: whose it is.
        owned: whether it goes with the registration.
    """
    others = [ref for ref in _owners(metadata) if ref.get("uid") != registration.uid]
    ours = {
        "apiVersion": names.API_VERSION, "kind": names.REGISTRATION_KIND,
        "name": registration.name, "uid": registration.uid,
    }  # fmt: skip
    return [*others, ours] if owned else others


def _owners(metadata: Metadata) -> list[dict[str, Any]]:
    return list(metadata.get("ownerReferences") or ())
