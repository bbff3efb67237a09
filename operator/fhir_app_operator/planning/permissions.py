"""App roles and scopes: the presets, their ids, and how a list in the directory becomes ours.

Sources: the open-source FHIR server's `roles.json`; Graph, "Update application" for the rule that
an enabled entry can neither be changed nor removed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from fhir_app_operator.api.v1alpha1 import CustomAppRole, CustomScope, Resource
from fhir_app_operator.api.v1alpha1.resource import USER_IMPERSONATION
from fhir_app_operator.planning.model import AppRole, PermissionScope

_NAMESPACE: Final = uuid.UUID("7f0ad3de-2f5c-5d0e-9a35-5a5b1f0c3c7a")
"""Never change it: permission ids are derived from it."""

_FHIR_SERVER: Final = {
    "globalAdmin": "Everything, including hard delete and profile changes",
    "globalConverter": "Read FHIR data and use $convert-data",
    "globalExporter": "Read FHIR data and use bulk $export",
    "globalImporter": "Read FHIR data and use bulk $import",
    "globalReader": "Read and search all FHIR data",
    "globalWriter": "Read, write and soft-delete FHIR data",
    "smartUser": "Access limited by SMART scopes and the fhirUser claim",
}

Entry = TypeVar("Entry", AppRole, PermissionScope)


def permission_id(tenant_id: str, namespace: str, name: str, value: str) -> str:
    """Return the id of a role or scope: the same for a registration made again by this name."""
    return str(uuid.uuid5(_NAMESPACE, f"{tenant_id}/{namespace}/{name}/{value}"))


def app_roles(resource: Resource, tenant_id: str, namespace: str, name: str) -> tuple[AppRole, ...]:
    """Return the app roles that `resource` declares, sorted by value."""
    preset = _FHIR_SERVER if resource.app_roles.preset == "FhirServer" else {}
    declared = [
        CustomAppRole(value=value, display_name=value, description=text)
        for value, text in preset.items()
    ]
    roles = [
        AppRole(
            id=permission_id(tenant_id, namespace, name, role.value),
            value=role.value,
            display_name=role.display_name,
            description=role.description,
            allowed_member_types=frozenset(role.allowed_member_types),
        )
        for role in (*declared, *resource.app_roles.custom)
    ]
    return tuple(sorted(roles, key=lambda role: role.value))


def scopes(
    resource: Resource, tenant_id: str, namespace: str, name: str
) -> tuple[PermissionScope, ...]:
    """Return the delegated permissions that `resource` declares, sorted by value."""
    declared = list(resource.scopes.custom)
    if resource.scopes.preset == "UserImpersonation":
        # Without the URL: a change of an enabled scope disables it for a moment.
        text = "Access the FHIR server on behalf of the signed-in user"
        declared.append(
            CustomScope(
                value=USER_IMPERSONATION,
                admin_consent_display_name="Access the FHIR server",
                admin_consent_description=text,
            )
        )
    entries = [_scope(scope, permission_id(tenant_id, namespace, name, scope.value))
               for scope in declared]  # fmt: skip
    return tuple(sorted(entries, key=lambda scope: scope.value))


def _scope(scope: CustomScope, scope_id: str) -> PermissionScope:
    return PermissionScope(
        id=scope_id,
        value=scope.value,
        type=scope.type,
        admin_consent_display_name=scope.admin_consent_display_name,
        admin_consent_description=scope.admin_consent_description,
        user_consent_display_name=scope.user_consent_display_name
        or scope.admin_consent_display_name,
        user_consent_description=scope.user_consent_description or scope.admin_consent_description,
    )


def merged(
    desired: Sequence[Entry], live: Sequence[Entry], ours: frozenset[str]
) -> tuple[Entry, ...] | None:
    """Return the next list to send, or None if `live` is already right.

    Args:
        desired: the declared entries, with derived ids.
        live: the directory's entries.
        ours: ids that this registration derives for the values in `live`.

    An entry that the directory has under a declared value keeps its id, since grants hang on it.
    Entries of others are kept. An enabled entry that must change or go is disabled first (Graph
    answers 400 `CannotDeleteOrUpdateEnabledEntitlement` otherwise): the list after that is the
    next plan's business.
    """
    wanted = _with_live_ids(desired, live)
    target = _final(wanted, live, ours)
    if _same(target, live):
        return None
    frozen = _to_disable(target, live)
    if not frozen:
        return target
    return tuple(replace(e, is_enabled=False) if e.id in frozen else e for e in live)


def _with_live_ids(desired: Sequence[Entry], live: Iterable[Entry]) -> dict[str, Entry]:
    live_ids = {entry.value: entry.id for entry in live}
    wanted = [replace(entry, id=live_ids.get(entry.value, entry.id)) for entry in desired]
    return {entry.id: entry for entry in wanted}


def _final(
    wanted: dict[str, Entry], live: Sequence[Entry], ours: frozenset[str]
) -> tuple[Entry, ...]:
    kept: list[Entry] = [
        wanted.get(entry.id, entry) for entry in live if entry.id in wanted or entry.id not in ours
    ]
    known = {entry.id for entry in kept}
    added: list[Entry] = [entry for entry_id, entry in wanted.items() if entry_id not in known]
    return tuple(kept + added)


def _same(one: Iterable[Entry], other: Iterable[Entry]) -> bool:
    return {entry.id: entry for entry in one} == {entry.id: entry for entry in other}


def _to_disable(target: Iterable[Entry], live: Iterable[Entry]) -> frozenset[str]:
    """Ids of enabled live entries that the target changes or drops."""
    after = {entry.id: entry for entry in target}
    return frozenset(e.id for e in live if e.is_enabled and after.get(e.id) != e)
