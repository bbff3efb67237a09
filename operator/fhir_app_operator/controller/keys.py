"""What the queue holds: the names of registrations and tenants, and who depends on whom.

The index is a hint only: a missing entry delays a reaction until the resync, a stale one costs a
pass that finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class RegistrationKey:
    """A FhirAppRegistration."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class TenantKey:
    """An EntraTenant."""

    name: str

    @override
    def __str__(self) -> str:
        return self.name


Key = RegistrationKey | TenantKey


@dataclass(frozen=True, slots=True, kw_only=True)
class _References:
    uid: str
    tenant: str
    server: RegistrationKey | None


class Index:
    """Which registrations refer to a server or tenant, live in a namespace, or own a Secret."""

    def __init__(self) -> None:
        self._references: dict[RegistrationKey, _References] = {}

    def update(self, key: RegistrationKey, body: Mapping[str, Any]) -> None:
        """Remember what the registration in `body` refers to."""
        spec = body.get("spec") or {}
        server = (spec.get("fhirServerRef") or {}).get("name")
        self._references[key] = _References(
            uid=(body.get("metadata") or {}).get("uid", ""),
            tenant=(spec.get("tenantRef") or {}).get("name", "default"),
            server=RegistrationKey(key.namespace, server) if server else None,
        )

    def forget(self, key: RegistrationKey) -> None:
        """Drop a registration that is gone."""
        self._references.pop(key, None)

    def tenant_of(self, key: RegistrationKey) -> str | None:
        """Return the name of the tenant that `key` refers to, if it is known."""
        known = self._references.get(key)
        return known.tenant if known else None

    def clients_of(self, server: RegistrationKey) -> list[RegistrationKey]:
        """Return the registrations that refer to `server`."""
        return [key for key, refs in self._references.items() if refs.server == server]

    def of_tenant(self, tenant: str) -> list[RegistrationKey]:
        """Return the registrations that refer to `tenant`."""
        return [key for key, refs in self._references.items() if refs.tenant == tenant]

    def in_namespace(self, namespace: str) -> list[RegistrationKey]:
        """Return the registrations in `namespace`."""
        return [key for key in self._references if key.namespace == namespace]

    def by_uid(self, uid: str) -> RegistrationKey | None:
        """Return the registration with that UID."""
        return next((key for key, refs in self._references.items() if refs.uid == uid), None)
