"""The two sides that a plan compares, what is desired and what was observed, and its times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning.model.api import Asked
from fhir_app_operator.planning.model.application import Application, DesiredApplication
from fhir_app_operator.planning.model.credential import CredentialPolicy, Intent, Requests
from fhir_app_operator.planning.model.data_plane import DataPlane
from fhir_app_operator.planning.model.grant import DesiredGrants
from fhir_app_operator.planning.model.identity import Registration
from fhir_app_operator.planning.model.secret import OWN_NAMES, CredentialKeys, SecretShape
from fhir_app_operator.planning.model.violation import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretTemplate:
    """Labels and annotations on the Secret that the manifest asks for."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


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
    template: SecretTemplate = field(default_factory=SecretTemplate)
    """What we put there, with the values that are there now."""
    data: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Decoded data without the credential's values."""
    type: CredentialType | None = None
    """What was published in it last; None: nothing that we know of."""
    credential_keys: Mapping[str, str] | None = None
    """Which part of the credential each of its keys holds; None: each is called as its part."""
    holds_credential: bool = False
    credential_intact: bool = False
    """The credential is the one that we wrote; true without one, if it is federated."""
    key_id: str | None = None
    nonce: str | None = None
    expires_at: datetime | None = None
    written_at: datetime | None = None

    @property
    def places(self) -> Mapping[str, str]:
        """Which part of the credential each of its keys holds; empty if we know of none."""
        if self.type is not None and self.credential_keys is None:
            return OWN_NAMES[self.type]
        return self.credential_keys or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMapState:
    """The ConfigMap of the name that is asked for."""

    ours: bool
    """It carries our label with the registration's UID."""
    leftover: bool = False
    """It belongs to a deleted registration of the same name: the garbage collector has it."""
    current: bool = True
    """It has our labels, and no binary data."""
    owner_reference: bool = True
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """All that one registration should come to."""

    registration: Registration
    application: DesiredApplication
    credential: CredentialPolicy | None
    """None: the type has no credential, its Secret must not hold one."""
    connection: Mapping[str, str]
    """What a workload must know, without the credential; `{appId}` is the own client id,
    `{servicePrincipalId}` the object id of the own service principal."""
    secret_name: str
    secret_shape: SecretShape = field(default_factory=SecretShape)
    credential_keys: CredentialKeys = field(default_factory=lambda: OWN_NAMES)
    """Where the credential stands in the Secret, by its type."""
    own_application: bool = True
    """False: nothing is made in the directory, tokens are for Microsoft's application."""
    data_plane: DataPlane | None = None
    secret_owned: bool = True
    """False while the policy is Orphan: Secret and ConfigMap must outlive the registration."""
    secret_template: SecretTemplate = field(default_factory=SecretTemplate)
    config_map: str | None = None
    """The ConfigMap that is to hold the Secret's data without the credential."""
    requests: Requests = field(default_factory=Requests)
    remove_unmanaged: bool = False
    """Whether credentials that others made go, too."""
    assignment_required: bool | None = None
    """Whether only who was given an app role gets tokens for it; None: left as it is."""
    asked: tuple[Asked, ...] = ()
    """The permissions that the manifest asks for, by API."""
    grants: DesiredGrants = field(default_factory=DesiredGrants)
    violations: tuple[Violation, ...] = ()
    """What the manifest asks for although the tenant's policy does not allow it."""
    withdraws: bool = False
    """Whether `violations` are left out of all the rest; if not, they stay where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The world as one pass sees it; answers of writes are folded in."""

    secret: SecretState | None = None
    config_map: ConfigMapState | None = None
    """The one that is asked for."""
    recorded_config_map: str | None = None
    """The one that status names: it goes if another or none is asked for."""
    application: Application | None = None
    deleted_application_id: str | None = None
    """Object id of our application in Entra's bin."""
    service_principal_id: str | None = None
    assignment_required: bool | None = None
    """What the service principal says; None: it was not read."""
    deleted_service_principal_id: str | None = None
    recorded_object_id: str | None = None
    """The application that status names; a negative read never overrules it."""
    recorded_app_id: str | None = None
    missing_since: datetime | None = None
    """Since when an application that may exist is not seen."""
    missing_for_sure: bool = False
    """It was not found for so long, in so many reads, that it can only be gone."""
    unseen_disabled: frozenset[str] = frozenset()
    """Ids of roles and scopes that we disabled and that no read has shown as disabled yet."""
    retired: Mapping[str, datetime] = field(default_factory=dict)
    """Since when credentials of ours, by key id, are known not to be in the Secret.

    Without the one that was in it when the pass began, should the pass replace it.
    """
    intent: Intent | None = None
    clock_skew: timedelta | None = None
    """How far the local clock is ahead of the directory's; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Operator-wide times that decisions need."""

    sweep_after: timedelta = timedelta(hours=24)
    """When a credential of ours that no Secret holds is removed."""
    replication_window: timedelta = timedelta(minutes=15)
    """How long the directory may not show what we made."""
    in_flight: timedelta = timedelta(minutes=15)
    """How long a credential may be in the hands of a pass, dead or alive; longer than any pass."""
    max_skew: timedelta = timedelta(minutes=5)
    """How far the clocks may differ while credentials are issued and retired."""

    @property
    def doubt(self) -> timedelta:
        """How long reads that contradict what we know are not believed: lag may take longer."""
        return 2 * self.replication_window
