"""What can be done about a difference: frozen orders, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning.model.application import ApplicationChanges
from fhir_app_operator.planning.model.credential import (
    FederatedIdentityCredential,
    Following,
    IssuePolicy,
)


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
    disables: tuple[str, ...] = ()
    """Values of the roles and scopes that it disables, to be changed or removed."""
    removes: tuple[str, ...] = ()
    """Values of the roles and scopes that are gone after it, and all that was granted on them."""
    reason: str = "ApplicationDiffers"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitDisabled:
    """Read until the roles and scopes that were just disabled are shown as disabled.

    Only then may they be changed or removed: a replica that is behind would refuse that.
    """

    ids: frozenset[str]
    values: tuple[str, ...] = ()
    """For people."""
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
class UpdateServicePrincipal:
    """PATCH whether only who was given an app role gets tokens."""

    assignment_required: bool
    reason: str = "ServicePrincipalDiffers"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordIntent:
    """Write a new nonce to status, durable before the directory is asked."""

    type: CredentialType
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCredential:
    """Register, probe, guarded Secret write: one step, since the value lives only in it."""

    nonce: str
    policy: IssuePolicy
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowCertificate:
    """Register a certificate that others keep, probe, guarded Secret write; may be repeated."""

    certificate: Following
    key_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFederatedIdentityCredential:
    """Upsert by name: a second try can never make a second one."""

    credential: FederatedIdentityCredential
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSecret:
    """Bring the Secret's other data and metadata in order; the credential in it stays.

    With `federated` it goes: from then on the Secret tells what workload identity needs.
    """

    reason: str
    federated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConfigMap:
    """Make the ConfigMap, or bring it in order."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteConfigMap:
    """Delete a ConfigMap of ours that is no longer asked for; one of others stays."""

    name: str
    reason: str = "ConfigMapNotWanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeCredential:
    """Take it off the application; the live Secret is read again just before."""

    type: CredentialType
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
    | AwaitDisabled
    | RestoreServicePrincipal
    | CreateServicePrincipal
    | UpdateServicePrincipal
    | RecordIntent
    | IssueCredential
    | FollowCertificate
    | SetFederatedIdentityCredential
    | WriteSecret
    | WriteConfigMap
    | DeleteConfigMap
    | RevokeCredential
    | DeleteApplication
    | Purge
)
