"""Version v1alpha1: the two kinds as pydantic models, their CEL rules and the CRD renderer.

The models read what the API server returns: defaults are filled in, unknown fields are ignored.
Validation for people happens in the API server, by the schema and the rules rendered from here.
"""

from fhir_app_operator.api.v1alpha1.additional_permissions import AdditionalPermissions
from fhir_app_operator.api.v1alpha1.app_type import AppType
from fhir_app_operator.api.v1alpha1.conditions import Condition
from fhir_app_operator.api.v1alpha1.credential import (
    Certificate,
    ClientSecret,
    Credential,
    CredentialType,
    Federated,
    IssuedCertificate,
)
from fhir_app_operator.api.v1alpha1.exposure import (
    AppRolePreset,
    AppRoles,
    CustomAppRole,
    CustomScope,
    ScopeEncoding,
    ScopePreset,
    Scopes,
    Smart,
)
from fhir_app_operator.api.v1alpha1.grants import Consent, Grants
from fhir_app_operator.api.v1alpha1.managed import AzureRole, Product, ServerApplication
from fhir_app_operator.api.v1alpha1.policy import TenantPolicy
from fhir_app_operator.api.v1alpha1.pre_authorized import PreAuthorizedClient, PreAuthorizedClients
from fhir_app_operator.api.v1alpha1.registration import (
    DeletionPolicy,
    FhirAppRegistration,
    RedirectUris,
    RegistrationSpec,
)
from fhir_app_operator.api.v1alpha1.resource import Resource
from fhir_app_operator.api.v1alpha1.schema import UnmanagedPolicy
from fhir_app_operator.api.v1alpha1.secret import SecretKey, SecretPreset
from fhir_app_operator.api.v1alpha1.selector import LabelSelector
from fhir_app_operator.api.v1alpha1.server_reference import (
    AllowedClients,
    DeletionProtection,
    ServerAddress,
    ServerReference,
)
from fhir_app_operator.api.v1alpha1.status import (
    Binding,
    CredentialState,
    CredentialStatus,
    GrantStatus,
    PendingCredential,
    RegistrationStatus,
)
from fhir_app_operator.api.v1alpha1.tenant import (
    Cloud,
    EntraTenant,
    TenantSpec,
    TenantStatus,
)

__all__ = [
    "AdditionalPermissions",
    "AllowedClients",
    "AppRolePreset",
    "AppRoles",
    "AppType",
    "AzureRole",
    "Binding",
    "Certificate",
    "ClientSecret",
    "Cloud",
    "Condition",
    "Consent",
    "Credential",
    "CredentialState",
    "CredentialStatus",
    "CredentialType",
    "CustomAppRole",
    "CustomScope",
    "DeletionPolicy",
    "DeletionProtection",
    "EntraTenant",
    "Federated",
    "FhirAppRegistration",
    "GrantStatus",
    "Grants",
    "IssuedCertificate",
    "LabelSelector",
    "PendingCredential",
    "PreAuthorizedClient",
    "PreAuthorizedClients",
    "Product",
    "RedirectUris",
    "RegistrationSpec",
    "RegistrationStatus",
    "Resource",
    "ScopeEncoding",
    "ScopePreset",
    "Scopes",
    "SecretKey",
    "SecretPreset",
    "ServerAddress",
    "ServerApplication",
    "ServerReference",
    "Smart",
    "TenantPolicy",
    "TenantSpec",
    "TenantStatus",
    "UnmanagedPolicy",
]
