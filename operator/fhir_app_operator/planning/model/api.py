"""An API that permissions are asked for on, as the directory shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fhir_app_operator.api.v1alpha1 import ScopeEncoding
from fhir_app_operator.planning.model.application import ResourceAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionIds:
    """The ids of an API's permissions, by value."""

    scopes: Mapping[str, str] = field(default_factory=dict)
    app_roles: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> frozenset[str]:
        """The values of all of them."""
        return frozenset(self.scopes) | frozenset(self.app_roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What can be asked for on one API."""

    app_id: str
    name: str
    """How messages call it."""
    permissions: PermissionIds
    declared: frozenset[str] = frozenset()
    """Values that its manifest declares, whether the directory shows them yet or not."""
    scope_encoding: ScopeEncoding = ScopeEncoding.DOT
    pre_authorized: frozenset[str] = frozenset()
    """Scopes that it lets the client have without anybody's consent."""
    registered: bool = True
    """Whether it is the API of a registration in the tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a manifest asks for on one API: ids by value."""

    app_id: str
    name: str
    """How messages call the API."""
    scopes: Mapping[str, str] = field(default_factory=dict)
    app_roles: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    """Scopes that every sign-in needs, whatever a policy says."""
    pre_authorized: frozenset[str] = frozenset()
    """Scopes that need nobody's consent."""
    server: bool = False
    """It is a FHIR server that is registered in the tenant."""

    @property
    def role_access(self) -> dict[str, ResourceAccess]:
        """The app roles, by value, as `application.requiredResourceAccess` has them."""
        return self._access("Role", self.app_roles)

    @property
    def scope_access(self) -> dict[str, ResourceAccess]:
        """The same of the scopes: one may share value and id with a role."""
        return self._access("Scope", self.scopes)

    def _access(self, kind: str, ids: Mapping[str, str]) -> dict[str, ResourceAccess]:
        return {
            value: ResourceAccess(resource_app_id=self.app_id, type=kind, id=each)
            for value, each in ids.items()
        }
