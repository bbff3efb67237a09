"""The vocabulary of planning: what is desired, what was observed, what can be done about it.

Frozen values only. Nothing here holds secret material, so every value may be logged and compared.
Decisions are in the sibling modules of this package.
"""

from fhir_app_operator.planning.model.actions import (
    Action,
    CreateApplication,
    CreateServicePrincipal,
    DeleteApplication,
    IssueCredential,
    Purge,
    RecordIntent,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    SetFederatedIdentityCredential,
    UpdateApplication,
    WriteSecret,
)
from fhir_app_operator.planning.model.application import (
    Application,
    ApplicationChanges,
    AppRole,
    DesiredApplication,
    MemberType,
    PermissionScope,
    RedirectUris,
    ResourceAccess,
)
from fhir_app_operator.planning.model.credential import (
    CredentialPolicy,
    DatedCredential,
    FederatedIdentityCredential,
    Federation,
    Intent,
    IssuePolicy,
    KeyCredential,
    PasswordCredential,
    Requests,
)
from fhir_app_operator.planning.model.identity import (
    CREDENTIAL_PREFIX,
    OWNER_TAG_PREFIX,
    REGISTRATION_TAG_PREFIX,
    Registration,
)
from fhir_app_operator.planning.model.state import (
    Desired,
    Observed,
    Policy,
    SecretState,
    SecretTemplate,
)

__all__ = [
    "CREDENTIAL_PREFIX",
    "OWNER_TAG_PREFIX",
    "REGISTRATION_TAG_PREFIX",
    "Action",
    "AppRole",
    "Application",
    "ApplicationChanges",
    "CreateApplication",
    "CreateServicePrincipal",
    "CredentialPolicy",
    "DatedCredential",
    "DeleteApplication",
    "Desired",
    "DesiredApplication",
    "FederatedIdentityCredential",
    "Federation",
    "Intent",
    "IssueCredential",
    "IssuePolicy",
    "KeyCredential",
    "MemberType",
    "Observed",
    "PasswordCredential",
    "PermissionScope",
    "Policy",
    "Purge",
    "RecordIntent",
    "RedirectUris",
    "Registration",
    "Requests",
    "ResourceAccess",
    "RestoreApplication",
    "RestoreServicePrincipal",
    "RevokeCredential",
    "SecretState",
    "SecretTemplate",
    "SetFederatedIdentityCredential",
    "UpdateApplication",
    "WriteSecret",
]
