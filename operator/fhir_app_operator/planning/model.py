"""The vocabulary of planning: what is desired, what was observed, what can be done about it.

Frozen values only. Nothing here holds secret material, so every value may be logged and compared.
Decisions are in the sibling modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from fhir_app_operator.api.names import GROUP

CREDENTIAL_PREFIX: Final = "fhirapps"
"""Display names of our password credentials are `fhirapps:<uid>:<nonce>`."""
OWNER_TAG_PREFIX: Final = f"{GROUP}/owner:"
REGISTRATION_TAG_PREFIX: Final = f"{GROUP}/registration:"

MemberType = Literal["Application", "User"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Who a registration is: all that names and marks are made of."""

    namespace: str
    name: str
    uid: str
    cluster_id: str

    @property
    def unique_name(self) -> str:
        """The application's alternate key in Graph; a second create finds the first one."""
        return f"fhirapps-{self.cluster_id}-{self.uid}"

    @property
    def owner_tag(self) -> str:
        """The tag that says whose the application is; checked before every write."""
        return f"{OWNER_TAG_PREFIX}{self.cluster_id}/{self.uid}"

    @property
    def registration_tag(self) -> str:
        """The tag that tells a person in the portal which manifest this is."""
        return f"{REGISTRATION_TAG_PREFIX}{self.namespace}/{self.name}"

    def credential_name(self, nonce: str) -> str:
        """The display name of the password credential that `nonce` stands for."""
        return f"{CREDENTIAL_PREFIX}:{self.uid}:{nonce}"

    def nonce_of(self, display_name: str | None) -> str | None:
        """The nonce in a credential's display name; None for a credential that is not ours."""
        prefix = self.credential_name("")
        if display_name and display_name.startswith(prefix):
            return display_name.removeprefix(prefix)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRole:
    """An entry of `application.appRoles`."""

    id: str
    value: str
    display_name: str
    description: str
    allowed_member_types: frozenset[MemberType]
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionScope:
    """An entry of `application.api.oauth2PermissionScopes`."""

    id: str
    value: str
    type: Literal["User", "Admin"]
    admin_consent_display_name: str
    admin_consent_description: str
    user_consent_display_name: str
    user_consent_description: str
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ResourceAccess:
    """One permission asked for in `application.requiredResourceAccess`."""

    resource_app_id: str
    type: Literal["Scope", "Role"]
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectUris:
    """Redirect URIs by platform; order means nothing."""

    web: frozenset[str] = frozenset()
    spa: frozenset[str] = frozenset()
    public_client: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCredential:
    """A client secret in the directory, without its value."""

    key_id: str
    display_name: str | None
    start: datetime
    end: datetime


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
    token_version: int | None = None
    app_roles: tuple[AppRole, ...] = ()
    scopes: tuple[PermissionScope, ...] = ()
    resource_access: frozenset[ResourceAccess] = frozenset()
    service_management_reference: str | None = None
    passwords: tuple[PasswordCredential, ...] = ()
    created_at: datetime | None = None

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
    token_version: int | None = None
    app_roles: tuple[AppRole, ...] | None = None
    scopes: tuple[PermissionScope, ...] | None = None
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
    token_version: int | None = None
    """None: the type has no tokens of its own, the property is left alone."""
    app_roles: tuple[AppRole, ...] = ()
    scopes: tuple[PermissionScope, ...] = ()
    resource_access: frozenset[ResourceAccess] = frozenset()
    service_management_reference: str | None = None
    """None: left alone."""
    owners: frozenset[str] = frozenset()
    """Bound at creation only: later owners are people's business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPolicy:
    """How long client secrets live; `renew_before` None means a third of the granted lifetime."""

    duration: timedelta
    renew_before: timedelta | None = None
    overlap: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """All that one registration should come to."""

    registration: Registration
    application: DesiredApplication
    credential: SecretPolicy | None
    """None: the type has no credential, its Secret must not hold one."""
    connection: Mapping[str, str]
    """The Secret's data without the credential; `{appId}` stands for the own client id."""
    secret_name: str
    secret_owned: bool = True
    """False while the policy is Orphan: the Secret must outlive the registration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretState:
    """The Secret of that name, as far as planning may know it."""

    ours: bool
    """It carries our label with the registration's UID."""
    leftover: bool = False
    """It belongs to a deleted registration of the same name: the garbage collector has it."""
    current: bool = True
    """Labels, owner reference and digests are what they should be for `secret_owned`."""
    owner_reference: bool = True
    data: Mapping[str, str] = field(default_factory=dict)
    """Decoded data without the credential's value."""
    holds_credential: bool = False
    credential_intact: bool = False
    """The credential's value is the one that we wrote."""
    key_id: str | None = None
    nonce: str | None = None
    expires_at: datetime | None = None
    written_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A pending credential. `fresh`: written in this pass, so nobody asked for it before."""

    nonce: str
    requested_at: datetime
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The world as one pass sees it; answers of writes are folded in."""

    secret: SecretState | None = None
    application: Application | None = None
    deleted_application_id: str | None = None
    """Object id of our application in Entra's bin."""
    service_principal_id: str | None = None
    deleted_service_principal_id: str | None = None
    recorded_object_id: str | None = None
    """The application that status names; a negative read never overrules it."""
    recorded_app_id: str | None = None
    missing_since: datetime | None = None
    """Since when an application that may exist is not seen."""
    missing_for_sure: bool = False
    """It was not found for so long, in so many reads, that it can only be gone."""
    retired: Mapping[str, datetime] = field(default_factory=dict)
    """Since when credentials of ours, by key id, are known not to be in the Secret."""
    intent: Intent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Operator-wide times that decisions need."""

    sweep_after: timedelta = timedelta(hours=24)
    """When a credential of ours that no Secret holds is removed."""
    replication_window: timedelta = timedelta(minutes=15)
    """How long the directory may not show what we made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApplication:
    """Upsert by `uniqueName`: a second try can never make a second application.

    `owners` are object ids that are bound with it; empty leaves that to the directory.
    """

    changes: ApplicationChanges
    owners: frozenset[str] = frozenset()
    reason: str = "ApplicationMissing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreApplication:
    """Take the application out of Entra's bin."""

    object_id: str
    reason: str = "ApplicationDeleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateApplication:
    """PATCH only what differs."""

    changes: ApplicationChanges
    reason: str = "ApplicationDiffers"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreServicePrincipal:
    """Take the service principal out of Entra's bin, with its grants."""

    object_id: str
    reason: str = "ServicePrincipalDeleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateServicePrincipal:
    """Upsert by `appId`."""

    reason: str = "ServicePrincipalMissing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordIntent:
    """Write a new nonce to status, durable before the directory is asked."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCredential:
    """addPassword, probe, guarded Secret write: one step, since the value lives only in it."""

    nonce: str
    duration: timedelta
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSecret:
    """Bring the Secret's other data and metadata in order; the credential in it stays."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeCredential:
    """removePassword; the live Secret is read again just before."""

    key_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteApplication:
    """Soft-delete the application; its service principal goes along."""

    reason: str = "RegistrationDeleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Delete an object of ours that is in Entra's bin, for good."""

    object_id: str
    what: Literal["application", "service principal"]
    reason: str = "RegistrationDeleted"


Action = (
    CreateApplication
    | RestoreApplication
    | UpdateApplication
    | RestoreServicePrincipal
    | CreateServicePrincipal
    | RecordIntent
    | IssueCredential
    | WriteSecret
    | RevokeCredential
    | DeleteApplication
    | Purge
)
