"""What is granted to a service principal, what should be, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoleAssignment:
    """An app role of an API (`resource_id`) that `principal_id` holds; both are object ids."""

    id: str
    principal_id: str
    resource_id: str
    app_role_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionGrant:
    """An `oAuth2PermissionGrant` for all users: the scopes of an API that a client may use."""

    id: str
    resource_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedGrant:
    """What the operator granted on one API by its own account, or was about to grant."""

    resource_id: str
    principal_id: str | None = None
    """Who was given it; None: the registration's own service principal."""
    app_roles: frozenset[str] = frozenset()
    """Ids."""
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedGrants:
    """What a manifest asks for on one API, and how much of that the operator may grant itself."""

    app_id: str
    name: str
    """How messages call the API."""
    app_roles: Mapping[str, str] = field(default_factory=dict)
    """Ids by value."""
    scopes: frozenset[str] = frozenset()
    """Those that are to be consented to for all users."""
    grantable_roles: frozenset[str] = frozenset()
    grantable_scopes: frozenset[str] = frozenset()
    barred_roles: frozenset[str] = frozenset()
    """Values that the tenant's policy does not allow: not granted, and not taken back either."""
    barred_scopes: frozenset[str] = frozenset()
    pre_authorized: frozenset[str] = frozenset()
    """Scopes that the API lets the client have without: the same, and not missing."""

    @property
    def kept_role_ids(self) -> frozenset[str]:
        """The ids of the app roles that are not taken back."""
        kept = self.grantable_roles | self.barred_roles
        return frozenset(each for value, each in self.app_roles.items() if value in kept)

    @property
    def kept_scopes(self) -> frozenset[str]:
        """The scopes that are not taken back."""
        return self.grantable_scopes | (self.scopes & (self.barred_scopes | self.pre_authorized))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAssignment:
    """An app role of a server that its manifest gives to somebody."""

    principal_id: str
    value: str
    grantable: bool
    """The operator may assign it."""
    barred: bool = False
    """The tenant's policy does not allow it: not assigned, and not taken back either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredGrants:
    """What should be granted to one registration."""

    apis: tuple[WantedGrants, ...] = ()
    assigns: bool = False
    """The tenant lets the operator assign app roles, and take back those that it assigned."""
    consents: bool = False
    """The same for scopes, for all users."""
    asks_users: bool = False
    """There are scopes that each user consents to."""
    assignments: tuple[WantedAssignment, ...] = ()
    """What others are given of the registration's own app roles."""
    pre_authorized: bool = False
    """There are none, since the server lets the client have them without."""

    @property
    def concerns_users(self) -> bool:
        """There are scopes for which no administrator's consent is asked."""
        return self.asks_users or self.pre_authorized


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedGrants:
    """What is granted to one service principal, by whomever."""

    resources: Mapping[str, str] = field(default_factory=dict)
    """Service principals of APIs, by the API's client id; one that is not there was not found."""
    assignments: tuple[AppRoleAssignment, ...] = ()
    consents: tuple[PermissionGrant, ...] = ()
    recorded: tuple[RecordedGrant, ...] = ()
    own_app_id: str = ""
    """Client id of the registration itself."""
    own_roles: Mapping[str, str] = field(default_factory=dict)
    """Ids of its own app roles, by value: those that are enabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignAppRole:
    """Assign a role; what already holds it is a success."""

    app_id: str
    resource_id: str
    app_role_id: str
    value: str
    principal_id: str | None = None
    """Who is given it; None: the registration's own service principal."""
    reason: str = "AppRoleNotAssigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnassignAppRole:
    """Take back a role that the operator assigned."""

    assignment: AppRoleAssignment
    reason: str = "AppRoleNotWanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentToScopes:
    """Consent to `added` for all users, beside what there is."""

    app_id: str
    resource_id: str
    grant_id: str | None
    """None: there is no grant to change."""
    added: frozenset[str]
    reason: str = "ConsentMissing"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawScopes:
    """Take back scopes that the operator consented to; the rest stays."""

    grant_id: str
    resource_id: str
    removed: frozenset[str]
    reason: str = "ScopesNotWanted"


GrantAction = AssignAppRole | UnassignAppRole | ConsentToScopes | WithdrawScopes
