"""What a FHIR server's application exposes: the presets' entries, custom ones, and their ids.

How a list in the directory becomes this is in `permissions`, SMART's syntax in `smart`. Sources:
the open-source FHIR server's `roles.json` and New-FhirServerApiApplicationRegistration.ps1,
fhir-proxy's `scripts/fhirroles.json`, Microsoft's SMART on FHIR samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from fhir_app_operator.api.v1alpha1 import (
    AppRolePreset,
    CustomAppRole,
    CustomScope,
    Resource,
    ScopePreset,
)
from fhir_app_operator.api.v1alpha1.exposure import SMART_CONTEXT, USER_IMPERSONATION
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning import smart
from fhir_app_operator.planning.model import AppRole, Exposure, PermissionScope

MOST: Final = 950
"""Items of both lists: Entra takes about 1000 in all collections of one application together."""
_FHIR_SERVER: Final = {
    "globalAdmin": "Everything, including hard delete and profile changes",
    "globalConverter": "Read FHIR data and use $convert-data",
    "globalExporter": "Read FHIR data and use bulk $export",
    "globalImporter": "Read FHIR data and use bulk $import",
    "globalReader": "Read and search all FHIR data",
    "globalWriter": "Read, write and soft-delete FHIR data",
    "smartUser": "Access limited by SMART scopes and the fhirUser claim",
}
_FHIR_PROXY: Final = {
    "Administrator": ("ef3fd1c8-82cc-4619-a484-2cbcf97eefc1", "Everything the proxy can do"),
    "DataScientist": ("b90c2f1a-6a2c-4d1e-9ee6-d97cd5632307", "Analyses FHIR data"),
    "Patient": ("94b4402c-ea4a-43ac-a8f2-85a482e303a9", "A patient, for the own record"),
    "Practitioner": ("8796299c-9039-4eb0-a93d-6eda41763238", "A practitioner, for own patients"),
    "Reader": ("24c50db1-1e11-4273-b6a0-b697f734bcb4", "Reads FHIR data through the proxy"),
    "RelatedPerson": ("75f86d84-27b6-4740-bd3d-4ec763c36144", "Acts for a related patient"),
    "Writer": ("2d1c681b-71e0-4f12-9040-d0f42884be86", "Writes FHIR data through the proxy"),
}
_OF_PROXY_SERVICES: Final = ("Reader", "Writer")
_CONTEXT: Final = {
    "fhirUser": "Know which FHIR resource the signed-in user is",
    "launch": "Be launched from within a health record",
    "launch/encounter": "Ask for an encounter at the launch",
    "launch/patient": "Ask for a patient at the launch",
    "online_access": "Stay signed in while the user is online",
}
_V1_ACCESS: Final = ("read", "write")
_V2_ACCESS: Final = ("cruds", "r", "rs", "s")
_BACKEND_ACCESS: Final = ("read", "*", "rs")
PermissionIdOf = Callable[[str], str]


def exposure(resource: Resource, id_of: PermissionIdOf) -> Exposure:
    """Return the app roles and scopes that `resource` declares, each sorted by value.

    Args:
        resource: `spec.resource` of a manifest.
        id_of: the id of a role or scope with that value, unless the manifest or a preset names one.

    Raises:
        Invalid: a SMART scope breaks SMART's rules or Entra's bounds, or two entries collide.
    """
    roles = tuple(_roles(resource, id_of))
    scopes = tuple(_scopes(resource, id_of))
    _refuse_collisions("resource.appRoles", roles)
    _refuse_collisions("resource.scopes", scopes)
    _refuse_unequal_twins(roles, scopes)
    if len(scopes) + sum(1 + len(role.allowed_member_types) for role in roles) > MOST:
        raise Invalid(
            f"`resource`: {len(roles)} app roles and {len(scopes)} scopes are more than fit into "
            "one application; shorten `smart.resourceTypes`, `presets` or `custom`"
        )
    return Exposure(
        app_roles=tuple(sorted(roles, key=lambda role: role.value)),
        scopes=tuple(sorted(scopes, key=lambda scope: scope.value)),
    )


def _roles(resource: Resource, id_of: PermissionIdOf) -> Iterator[AppRole]:
    declared = [role for preset in resource.app_roles.presets for role in _of(preset, resource)]
    custom = resource.app_roles.custom
    for index, role in enumerate((*custom, *declared)):
        where = f"resource.appRoles.custom[{index}]" if index < len(custom) else "resource.smart"
        value = _encoded(role.value, resource, where)
        yield AppRole(
            id=role.id or id_of(value),
            value=value,
            display_name=role.display_name,
            description=role.description,
            allowed_member_types=frozenset(role.allowed_member_types),
        )


def _of(preset: AppRolePreset, resource: Resource) -> Iterator[CustomAppRole]:
    match preset:
        case AppRolePreset.FHIR_SERVER:
            for value, text in _FHIR_SERVER.items():
                yield CustomAppRole(value=value, display_name=value, description=text)
        case AppRolePreset.FHIR_PROXY:
            for value, (role_id, text) in _FHIR_PROXY.items():
                services = value in _OF_PROXY_SERVICES
                yield CustomAppRole(
                    value=value, display_name=value, description=text, id=role_id,
                    allowed_member_types=("Application", "User") if services else ("User",),
                )  # fmt: skip
        case AppRolePreset.SMART_BACKEND:
            for kind in resource.smart.resource_types:
                for access in _BACKEND_ACCESS if kind == "*" else ("rs",):
                    scope = smart.Clinical(context="system", type=kind, access=access)
                    yield CustomAppRole(
                        value=scope.value, display_name=scope.value, description=scope.meaning,
                        allowed_member_types=("Application",),
                    )  # fmt: skip


def _scopes(resource: Resource, id_of: PermissionIdOf) -> Iterator[PermissionScope]:
    declared = [scope for preset in resource.scopes.presets for scope in _in(preset, resource)]
    custom = resource.scopes.custom
    for index, scope in enumerate((*custom, *declared)):
        where = f"resource.scopes.custom[{index}]" if index < len(custom) else "resource.smart"
        value = _encoded(scope.value, resource, where)
        title, text = scope.admin_consent_display_name, scope.admin_consent_description
        yield PermissionScope(
            id=scope.id or id_of(value),
            value=value,
            type=scope.type,
            admin_consent_display_name=title,
            admin_consent_description=text,
            user_consent_display_name=scope.user_consent_display_name or title,
            user_consent_description=scope.user_consent_description or text,
        )


def _in(preset: ScopePreset, resource: Resource) -> Iterator[CustomScope]:
    match preset:
        case ScopePreset.USER_IMPERSONATION:
            # Without the URL: a change of an enabled scope disables it for a moment.
            yield _scope(
                USER_IMPERSONATION,
                "Access the FHIR server",
                "Access the FHIR server on behalf of the signed-in user",
            )
        case ScopePreset.SMART_CONTEXT:
            for value in SMART_CONTEXT:
                yield _scope(value, value, _CONTEXT[value])
        case ScopePreset.SMART_V1 | ScopePreset.SMART_V2:
            accesses = _V1_ACCESS if preset is ScopePreset.SMART_V1 else _V2_ACCESS
            for context in ("patient", "user"):
                for kind in resource.smart.resource_types:
                    for access in accesses:
                        found = smart.Clinical(context=context, type=kind, access=access)
                        yield _scope(found.value, found.value, found.meaning)


def _scope(value: str, title: str, text: str) -> CustomScope:
    return CustomScope(
        value=value, admin_consent_display_name=title, admin_consent_description=text
    )


def _encoded(value: str, resource: Resource, where: str) -> str:
    try:
        return smart.encode(value, resource.smart.scope_encoding)
    except smart.InvalidScopeError as error:
        raise Invalid(f"`{where}`: '{value}': {error}") from None


def _refuse_collisions(where: str, entries: Sequence[AppRole] | Sequence[PermissionScope]) -> None:
    by_value: dict[str, str] = {}
    by_id: dict[str, str] = {}
    for entry in entries:
        if entry.value in by_value:
            raise Invalid(
                f"`{where}`: '{entry.value}' is there twice; take it out of `custom`, or its "
                "preset out of `presets`"
            )
        if entry.id in by_id:
            raise Invalid(
                f"`{where}`: '{entry.value}' and '{by_id[entry.id]}' have the same id {entry.id}; "
                "each needs its own"
            )
        by_value[entry.value] = entry.id
        by_id[entry.id] = entry.value


def _refuse_unequal_twins(roles: Sequence[AppRole], scopes: Sequence[PermissionScope]) -> None:
    """A role and a scope with one value are one permission: Entra wants id and texts the same."""
    by_value = {role.value: role for role in roles}
    by_id = {role.id: role for role in roles}
    for scope in scopes:
        role = by_value.get(scope.value) or by_id.get(scope.id)
        if role is None:
            continue
        texts = (scope.admin_consent_display_name, scope.admin_consent_description)
        same = (role.id, role.value) == (scope.id, scope.value)
        if not same or (role.display_name, role.description) != texts:
            raise Invalid(
                f"`resource`: the app role '{role.value}' and the scope '{scope.value}' share a "
                "value or an id, so they are one permission in Entra: both must have the same "
                "value, id, display name and description"
            )
