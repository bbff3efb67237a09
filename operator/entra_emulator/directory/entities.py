"""The resource types `application`, its federated credential, and `servicePrincipal`.

Names, types and nullability are those of the Microsoft Graph v1.0 metadata; lengths are those of
the resource pages and of "Validation differences by supported account types".
"""

from __future__ import annotations

from typing import Final

from entra_emulator.directory.schema import (
    Complex,
    ListOf,
    Property,
    Resource,
    binary,
    choice,
    flag,
    guid,
    integer,
    moment,
    text,
)

AUDIENCES: Final = (
    "AzureADMyOrg",
    "AzureADMultipleOrgs",
    "AzureADandPersonalMicrosoftAccount",
    "PersonalMicrosoftAccount",
)
PERSONAL_AUDIENCES: Final = frozenset(AUDIENCES[2:])

_TEXT = Property(text())
_TEXTS = Property(ListOf(text(nullable=False)))
_FLAG = Property(flag())
_GIVEN = Property(text(), read_only=True)

PASSWORD_CREDENTIAL: Final = Complex(
    "microsoft.graph.passwordCredential",
    {
        "customKeyIdentifier": Property(binary()),
        "displayName": _TEXT,
        "endDateTime": Property(moment()),
        "hint": _GIVEN,
        "keyId": Property(guid()),
        "secretText": _GIVEN,
        "startDateTime": Property(moment()),
    },
)
KEY_CREDENTIAL: Final = Complex(
    "microsoft.graph.keyCredential",
    {
        "customKeyIdentifier": Property(binary()),
        "displayName": _TEXT,
        "endDateTime": Property(moment()),
        "key": Property(binary()),
        "keyId": Property(guid()),
        "startDateTime": Property(moment()),
        "type": _TEXT,
        "usage": _TEXT,
    },
)
APP_ROLE: Final = Complex(
    "microsoft.graph.appRole",
    {
        "allowedMemberTypes": Property(ListOf(choice("User", "Application", nullable=False))),
        "description": _TEXT,
        "displayName": _TEXT,
        "id": Property(guid(nullable=False)),
        "isEnabled": Property(flag(nullable=False, default=True)),
        "origin": Property(choice(default="Application"), read_only=True),
        "value": _TEXT,
    },
    required=frozenset({"id", "allowedMemberTypes", "displayName", "description"}),
)
PERMISSION_SCOPE: Final = Complex(
    "microsoft.graph.permissionScope",
    {
        "adminConsentDescription": _TEXT,
        "adminConsentDisplayName": _TEXT,
        "id": Property(guid(nullable=False)),
        "isEnabled": Property(flag(nullable=False, default=True)),
        "origin": Property(text(), read_only=True, on_create=False),
        "type": Property(choice("User", "Admin", nullable=False, default="User")),
        "userConsentDescription": _TEXT,
        "userConsentDisplayName": _TEXT,
        "value": _TEXT,
    },
    required=frozenset(
        {"id", "adminConsentDescription", "adminConsentDisplayName", "value"},
    ),
)
_PRE_AUTHORIZED = Complex(
    "microsoft.graph.preAuthorizedApplication",
    {"appId": Property(guid(nullable=False)), "delegatedPermissionIds": _TEXTS},
    required=frozenset({"appId"}),
)
_API = Complex(
    "microsoft.graph.apiApplication",
    {
        "acceptMappedClaims": _FLAG,
        "knownClientApplications": Property(ListOf(guid(nullable=False))),
        "requestedAccessTokenVersion": Property(integer()),
        "oauth2PermissionScopes": Property(ListOf(PERMISSION_SCOPE)),
        "preAuthorizedApplications": Property(ListOf(_PRE_AUTHORIZED)),
    },
)
_REQUIRED_RESOURCE_ACCESS = Complex(
    "microsoft.graph.requiredResourceAccess",
    {
        "resourceAppId": Property(guid(nullable=False)),
        "resourceAccess": Property(
            ListOf(
                Complex(
                    "microsoft.graph.resourceAccess",
                    {
                        "id": Property(guid(nullable=False)),
                        "type": Property(choice("Scope", "Role", nullable=False)),
                    },
                    required=frozenset({"id", "type"}),
                )
            )
        ),
    },
    required=frozenset({"resourceAppId"}),
)
_INFO = Complex(
    "microsoft.graph.informationalUrl",
    {
        "logoUrl": _GIVEN,
        "marketingUrl": _TEXT,
        "privacyStatementUrl": _TEXT,
        "supportUrl": _TEXT,
        "termsOfServiceUrl": _TEXT,
    },
)
_IMPLICIT = Complex(
    "microsoft.graph.implicitGrantSettings",
    {
        "enableAccessTokenIssuance": Property(flag(default=False)),
        "enableIdTokenIssuance": Property(flag(default=False)),
    },
)
_WEB = Complex(
    "microsoft.graph.webApplication",
    {
        "homePageUrl": _TEXT,
        "logoutUrl": Property(text(max_length=255)),
        "redirectUris": _TEXTS,
        "implicitGrantSettings": Property(_IMPLICIT),
        "redirectUriSettings": Property(
            ListOf(
                Complex(
                    "microsoft.graph.redirectUriSettings",
                    {"index": Property(integer()), "uri": _TEXT},
                )
            ),
            read_only=True,
        ),
    },
)
_CLAIMS = Property(
    ListOf(
        Complex(
            "microsoft.graph.optionalClaim",
            {
                "additionalProperties": _TEXTS,
                "essential": Property(flag(nullable=False, default=False)),
                "name": Property(text(nullable=False)),
                "source": _TEXT,
            },
            required=frozenset({"name"}),
        )
    )
)
_KEY_VALUE = Complex("microsoft.graph.keyValue", {"key": _TEXT, "value": _TEXT})
_ADD_IN = Complex(
    "microsoft.graph.addIn",
    {
        "id": Property(guid(nullable=False)),
        "properties": Property(ListOf(_KEY_VALUE)),
        "type": Property(text(nullable=False)),
    },
    required=frozenset({"id", "type"}),
)
_CERTIFICATION = Complex("microsoft.graph.certification", {}, nullable=True)
_VERIFIED_PUBLISHER = Complex(
    "microsoft.graph.verifiedPublisher",
    {
        "displayName": _TEXT,
        "verifiedPublisherId": _TEXT,
        "addedDateTime": Property(moment()),
    },
)

APPLICATION: Final = Resource(
    "application",
    "#microsoft.graph.application",
    {
        "id": _GIVEN,
        "deletedDateTime": _GIVEN,
        "appId": _GIVEN,
        "applicationTemplateId": _GIVEN,
        "disabledByMicrosoftStatus": _GIVEN,
        "createdByAppId": _GIVEN,
        "createdDateTime": _GIVEN,
        "displayName": Property(text(max_length=120)),
        "description": Property(text(max_length=1024)),
        "groupMembershipClaims": _TEXT,
        "identifierUris": _TEXTS,
        "isDeviceOnlyAuthSupported": _FLAG,
        "isDisabled": _FLAG,
        "isFallbackPublicClient": _FLAG,
        "notes": _TEXT,
        "publisherDomain": _GIVEN,
        "serviceManagementReference": _TEXT,
        "signInAudience": Property(choice(*AUDIENCES, nullable=False, default="AzureADMyOrg")),
        "tags": _TEXTS,
        "tokenEncryptionKeyId": Property(guid()),
        "uniqueName": _TEXT,
        "samlMetadataUrl": _TEXT,
        "defaultRedirectUri": _TEXT,
        "certification": Property(_CERTIFICATION, read_only=True),
        "optionalClaims": Property(
            Complex(
                "microsoft.graph.optionalClaims",
                {"accessToken": _CLAIMS, "idToken": _CLAIMS, "saml2Token": _CLAIMS},
                nullable=True,
            )
        ),
        "servicePrincipalLockConfiguration": Property(
            Complex(
                "microsoft.graph.servicePrincipalLockConfiguration",
                {
                    "allProperties": _FLAG,
                    "credentialsWithUsageSign": _FLAG,
                    "credentialsWithUsageVerify": _FLAG,
                    "isEnabled": Property(flag(nullable=False, default=False)),
                    "tokenEncryptionKeyId": _FLAG,
                },
                nullable=True,
            )
        ),
        "requestSignatureVerification": Property(
            Complex(
                "microsoft.graph.requestSignatureVerification",
                {
                    "allowedWeakAlgorithms": _TEXT,
                    "isSignedRequestRequired": Property(flag(nullable=False, default=False)),
                },
                nullable=True,
            )
        ),
        "addIns": Property(ListOf(_ADD_IN)),
        "api": Property(_API),
        "appRoles": Property(ListOf(APP_ROLE)),
        "info": Property(_INFO),
        "keyCredentials": Property(ListOf(KEY_CREDENTIAL)),
        "parentalControlSettings": Property(
            Complex(
                "microsoft.graph.parentalControlSettings",
                {
                    "countriesBlockedForMinors": _TEXTS,
                    "legalAgeGroupRule": Property(choice("Allow", default="Allow")),
                },
            )
        ),
        "passwordCredentials": Property(ListOf(PASSWORD_CREDENTIAL)),
        "publicClient": Property(
            Complex("microsoft.graph.publicClientApplication", {"redirectUris": _TEXTS})
        ),
        "requiredResourceAccess": Property(ListOf(_REQUIRED_RESOURCE_ACCESS)),
        "verifiedPublisher": Property(_VERIFIED_PUBLISHER, read_only=True),
        "web": Property(_WEB),
        "spa": Property(Complex("microsoft.graph.spaApplication", {"redirectUris": _TEXTS})),
    },
)

FEDERATED_IDENTITY_CREDENTIAL: Final = Resource(
    "federatedIdentityCredential",
    "#microsoft.graph.federatedIdentityCredential",
    {
        "id": _GIVEN,
        "name": Property(text(nullable=False)),
        "issuer": Property(text(max_length=600, nullable=False)),
        "subject": Property(text(max_length=600)),
        "description": Property(text(max_length=600)),
        "audiences": _TEXTS,
    },
)

SERVICE_PRINCIPAL: Final = Resource(
    "servicePrincipal",
    "#microsoft.graph.servicePrincipal",
    {
        "id": _GIVEN,
        "deletedDateTime": _GIVEN,
        "accountEnabled": Property(flag(default=True)),
        "alternativeNames": _TEXTS,
        "appDisplayName": _GIVEN,
        "appDescription": _GIVEN,
        "appId": _GIVEN,
        "applicationTemplateId": _GIVEN,
        "appOwnerOrganizationId": _GIVEN,
        "appRoleAssignmentRequired": Property(flag(nullable=False, default=False)),
        "createdByAppId": _GIVEN,
        "description": Property(text(max_length=1024)),
        "disabledByMicrosoftStatus": _GIVEN,
        "displayName": Property(text(max_length=120)),
        "homepage": _TEXT,
        "isDisabled": _FLAG,
        "loginUrl": _TEXT,
        "logoutUrl": _TEXT,
        "notes": Property(text(max_length=1024)),
        "notificationEmailAddresses": _TEXTS,
        "preferredSingleSignOnMode": _TEXT,
        "preferredTokenSigningKeyThumbprint": _TEXT,
        "replyUrls": Property(ListOf(text(nullable=False)), read_only=True),
        "servicePrincipalNames": Property(ListOf(text(nullable=False)), read_only=True),
        "servicePrincipalType": Property(text(), read_only=True),
        "signInAudience": _GIVEN,
        "tags": _TEXTS,
        "tokenEncryptionKeyId": Property(guid()),
        "samlSingleSignOnSettings": Property(
            Complex(
                "microsoft.graph.samlSingleSignOnSettings", {"relayState": _TEXT}, nullable=True
            )
        ),
        "addIns": Property(ListOf(_ADD_IN)),
        "appRoles": Property(ListOf(APP_ROLE), read_only=True),
        "info": Property(_INFO, read_only=True),
        "keyCredentials": Property(ListOf(KEY_CREDENTIAL)),
        "oauth2PermissionScopes": Property(ListOf(PERMISSION_SCOPE), read_only=True),
        "passwordCredentials": Property(ListOf(PASSWORD_CREDENTIAL)),
        "resourceSpecificApplicationPermissions": Property(ListOf(text()), read_only=True),
        "verifiedPublisher": Property(_VERIFIED_PUBLISHER, read_only=True),
    },
)
