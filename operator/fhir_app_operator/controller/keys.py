"""What the queue holds: the names of registrations and tenants, and who depends on whom.

The index is a hint only: a missing entry delays a reaction until the resync, a stale one costs a
pass that finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class RegistrationKey:
    """A FhirAppRegistration."""

    controller: ClassVar[str] = "fhirappregistration"
    """Who works on it, in metrics and logs."""
    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class TenantKey:
    """An EntraTenant."""

    controller: ClassVar[str] = "entratenant"
    """Who works on it, in metrics and logs."""
    name: str

    @override
    def __str__(self) -> str:
        return self.name


Key = RegistrationKey | TenantKey
Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class _References:
    uid: str
    tenant: str
    server: RegistrationKey | None
    clients: tuple[RegistrationKey, ...] = ()
    """Those that a server pre-authorizes."""


class _Groups(Generic[Group]):
    """Registrations by what they have in common, in the order in which they came."""

    def __init__(self) -> None:
        self._members: dict[Group, dict[RegistrationKey, None]] = {}

    def add(self, group: Group, key: RegistrationKey) -> None:
        self._members.setdefault(group, {})[key] = None

    def remove(self, group: Group, key: RegistrationKey) -> None:
        members = self._members.get(group, {})
        members.pop(key, None)
        if not members:
            self._members.pop(group, None)

    def of(self, group: Group) -> list[RegistrationKey]:
        return list(self._members.get(group, ()))

    def size(self, group: Group) -> int:
        return len(self._members.get(group, ()))


class Index:
    """Which registrations refer to a server, client or tenant, live in a namespace, own a Secret.

    Every answer costs as much as it is long, however many registrations there are.

    Args:
        on_forgotten: called with the UID of each registration that goes.
    """

    def __init__(self, on_forgotten: Callable[[str], None] = lambda _uid: None) -> None:
        self._on_forgotten = on_forgotten
        self._references: dict[RegistrationKey, _References] = {}
        self._by_uid: dict[str, RegistrationKey] = {}
        self._by_server: _Groups[RegistrationKey] = _Groups()
        self._by_client: _Groups[RegistrationKey] = _Groups()
        self._by_tenant: _Groups[str] = _Groups()
        self._by_namespace: _Groups[str] = _Groups()
        self._labels: dict[str, dict[str, str]] = {}

    def label(self, namespace: str, labels: Mapping[str, str] | None) -> None:
        """Remember the labels of `namespace`; None: it is gone."""
        if labels is None:
            self._labels.pop(namespace, None)
        else:
            self._labels[namespace] = dict(labels)

    def labels_of(self, namespace: str) -> dict[str, str] | None:
        """Return the labels of `namespace`, if it is known."""
        return self._labels.get(namespace)

    def __contains__(self, key: RegistrationKey) -> bool:
        return key in self._references

    def update(self, key: RegistrationKey, body: Mapping[str, Any]) -> None:
        """Remember what the registration in `body` refers to."""
        spec = body.get("spec") or {}
        server = spec.get("fhirServerRef") or {}
        references = _References(
            uid=(body.get("metadata") or {}).get("uid", ""),
            tenant=(spec.get("tenantRef") or {}).get("name", "default"),
            server=RegistrationKey(server.get("namespace") or key.namespace, server["name"])
            if server.get("name")
            else None,
            clients=tuple(_clients_in(key, spec)),
        )
        if self._references.get(key) == references:
            return
        self.forget(key)
        self._references[key] = references
        self._by_uid[references.uid] = key
        self._by_tenant.add(references.tenant, key)
        self._by_namespace.add(key.namespace, key)
        if references.server is not None:
            self._by_server.add(references.server, key)
        for client in references.clients:
            self._by_client.add(client, key)

    def forget(self, key: RegistrationKey, uid: str | None = None) -> None:
        """Drop a registration that is gone.

        Args:
            key: its name.
            uid: drop it only if it is this one, not one that has taken the name since.
        """
        known = self._references.get(key)
        if known is None or uid not in (None, known.uid):
            return
        del self._references[key]
        if self._by_uid.get(known.uid) == key:
            del self._by_uid[known.uid]
        self._by_tenant.remove(known.tenant, key)
        self._by_namespace.remove(key.namespace, key)
        if known.server is not None:
            self._by_server.remove(known.server, key)
        for client in known.clients:
            self._by_client.remove(client, key)
        self._on_forgotten(known.uid)

    def tenant_of(self, key: RegistrationKey) -> str | None:
        """Return the name of the tenant that `key` refers to, if it is known."""
        known = self._references.get(key)
        return known.tenant if known else None

    def server_of(self, key: RegistrationKey) -> RegistrationKey | None:
        """Return the FHIR server that `key` refers to, if it is known."""
        known = self._references.get(key)
        return known.server if known else None

    def clients_of(self, server: RegistrationKey) -> list[RegistrationKey]:
        """Return the registrations that refer to `server`."""
        return self._by_server.of(server)

    def pre_authorizing(self, client: RegistrationKey) -> list[RegistrationKey]:
        """Return the FHIR servers that pre-authorize `client`."""
        return self._by_client.of(client)

    def of_tenant(self, tenant: str) -> list[RegistrationKey]:
        """Return the registrations that refer to `tenant`."""
        return self._by_tenant.of(tenant)

    def count_of_tenant(self, tenant: str) -> int:
        """Return how many registrations refer to `tenant`."""
        return self._by_tenant.size(tenant)

    def all(self) -> list[RegistrationKey]:
        """Return all registrations."""
        return list(self._references)

    def in_namespace(self, namespace: str) -> list[RegistrationKey]:
        """Return the registrations in `namespace`."""
        return self._by_namespace.of(namespace)

    def by_uid(self, uid: str) -> RegistrationKey | None:
        """Return the registration with that UID."""
        return self._by_uid.get(uid)


def _clients_in(key: RegistrationKey, spec: Mapping[str, Any]) -> Iterable[RegistrationKey]:
    declared = (spec.get("resource") or {}).get("preAuthorizedClients") or {}
    for entry in declared.get("clients") or ():
        name = (entry.get("registrationRef") or {}).get("name")
        if name:
            yield RegistrationKey(key.namespace, name)
