"""An Entra application: as Graph shows it, as a manifest wants it, and what a write changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from fhir_app_operator.planning.model.credential import (
    DatedCredential,
    FederatedIdentityCredential,
    KeyCredential,
    PasswordCredential,
)

MemberType = Literal["Application", "User"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRole:
    """An entry of `application.appRoles`."""

    id: str
    value: str
    display_name: str
    description: str
    allowed_member_types: frozenset[str]
    """`User`, `Application`, or what Microsoft adds to them."""
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionScope:
    """An entry of `application.api.oauth2PermissionScopes`."""

    id: str
    value: str
    type: str
    """`User`, `Admin`, or what Microsoft adds to them."""
    admin_consent_display_name: str
    admin_consent_description: str
    user_consent_display_name: str
    user_consent_description: str
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What an application exposes to others; the order means nothing."""

    app_roles: tuple[AppRole, ...] = ()
    scopes: tuple[PermissionScope, ...] = ()

    @property
    def entries(self) -> tuple[AppRole | PermissionScope, ...]:
        """Both lists in one."""
        return (*self.app_roles, *self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ResourceAccess:
    """One permission asked for in `application.requiredResourceAccess`."""

    resource_app_id: str
    type: str
    """`Scope`, `Role`, or what Microsoft adds to them."""
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreAuthorized:
    """An entry of `application.api.preAuthorizedApplications`: no consent is needed for these."""

    app_id: str
    """The client's."""
    scope_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreAuthorization:
    """Which clients are to get which scopes without anybody's consent."""

    clients: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Values of scopes as the application exposes them, by client id."""
    barred: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The same against the tenant's policy: they stay where there are, and are not added."""
    unsure: frozenset[str] = frozenset()
    """Client ids of clients that the directory does not show: their entries stay as they are."""
    absent: tuple[str, ...] = ()
    """What is declared and cannot be yet, each with its reason."""
    remove_unmanaged: bool = False
    """Whether entries of others go, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectUris:
    """Redirect URIs by platform; order means nothing."""

    web: frozenset[str] = frozenset()
    spa: frozenset[str] = frozenset()
    public_client: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An Entra application as Graph shows it."""

    object_id: str
    app_id: str
    display_name: str = ""
    notes: str | None = None
    tags: frozenset[str] = frozenset()
    sign_in_audience: str | None = None
    identifier_uris: frozenset[str] = frozenset()
    redirect_uris: RedirectUris = field(default_factory=RedirectUris)
    is_fallback_public_client: bool = False
    id_token_issuance: bool = False
    """The authorization endpoint gives id tokens, too (hybrid flow)."""
    token_version: int | None = None
    app_roles: tuple[AppRole, ...] = ()
    scopes: tuple[PermissionScope, ...] = ()
    pre_authorized: frozenset[PreAuthorized] = frozenset()
    resource_access: frozenset[ResourceAccess] = frozenset()
    service_management_reference: str | None = None
    passwords: tuple[PasswordCredential, ...] = ()
    keys: tuple[KeyCredential, ...] = ()
    """Read only where some of them may be ours: Graph limits that read."""
    federated: tuple[FederatedIdentityCredential, ...] = ()
    """Read only where some of them may be ours."""
    created_at: datetime | None = None

    @property
    def exposure(self) -> Exposure:
        """App roles and scopes."""
        return Exposure(app_roles=self.app_roles, scopes=self.scopes)

    @property
    def credentials(self) -> tuple[DatedCredential, ...]:
        """Client secrets and certificates."""
        return (*self.passwords, *self.keys)

    def with_credential(self, credential: DatedCredential) -> Application:
        """Return the application as it is once `credential` was registered."""
        if isinstance(credential, PasswordCredential):
            return replace(self, passwords=(*self.passwords, credential))
        return replace(self, keys=(*self.keys, credential))

    def without_credential(self, key_id: str) -> Application:
        """Return the application as it is once the credential with that key id was removed."""
        return replace(
            self,
            passwords=tuple(p for p in self.passwords if p.key_id != key_id),
            keys=tuple(k for k in self.keys if k.key_id != key_id),
            federated=tuple(f for f in self.federated if f.name != key_id),
        )

    def with_federated(self, credential: FederatedIdentityCredential) -> Application:
        """Return the application as it is once `credential` was made or changed."""
        others = tuple(f for f in self.federated if f.name != credential.name)
        return replace(self, federated=(*others, credential))

    def with_changes(self, changes: ApplicationChanges) -> Application:
        """Return the application as it is once Graph accepted `changes`.

        The answer of a write is trusted over a later read, which may come from a replica behind.
        """
        uris = {
            platform: value
            for platform in ("web", "spa", "public_client")
            if (value := getattr(changes, f"{platform}_redirect_uris")) is not None
        }
        plain = {
            name: value for name in _CHANGEABLE if (value := getattr(changes, name)) is not None
        }
        return replace(self, redirect_uris=replace(self.redirect_uris, **uris), **plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationChanges:
    """What a create or a PATCH sends; None leaves a property as it is.

    A collection replaces the whole collection (Graph, "Update application").
    """

    display_name: str | None = None
    notes: str | None = None
    tags: frozenset[str] | None = None
    sign_in_audience: str | None = None
    identifier_uris: frozenset[str] | None = None
    web_redirect_uris: frozenset[str] | None = None
    spa_redirect_uris: frozenset[str] | None = None
    public_client_redirect_uris: frozenset[str] | None = None
    is_fallback_public_client: bool | None = None
    id_token_issuance: bool | None = None
    token_version: int | None = None
    app_roles: tuple[AppRole, ...] | None = None
    scopes: tuple[PermissionScope, ...] | None = None
    pre_authorized: frozenset[PreAuthorized] | None = None
    resource_access: frozenset[ResourceAccess] | None = None
    service_management_reference: str | None = None


_CHANGEABLE: Final = tuple(
    name for name in ApplicationChanges.__dataclass_fields__ if not name.endswith("redirect_uris")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredApplication:
    """The application that a manifest asks for."""

    display_name: str
    notes: str
    tags: frozenset[str]
    identifier_uri: str | None = None
    """May hold the literal `{appId}`. None: the application has no identifier URI."""
    redirect_uris: RedirectUris = field(default_factory=RedirectUris)
    is_fallback_public_client: bool = False
    id_token_issuance: bool | None = None
    """None: left alone."""
    token_version: int | None = None
    """None: the type has no tokens of its own, the property is left alone."""
    exposure: Exposure = field(default_factory=Exposure)
    remove_unmanaged_app_roles: bool = False
    """Whether app roles that others made go, too."""
    remove_unmanaged_scopes: bool = False
    """Whether scopes that others made go, too."""
    pre_authorization: PreAuthorization = field(default_factory=PreAuthorization)
    resource_access: frozenset[ResourceAccess] = frozenset()
    service_management_reference: str | None = None
    """None: left alone."""
    owners: frozenset[str] = frozenset()
    """Bound at creation only: later owners are people's business."""
