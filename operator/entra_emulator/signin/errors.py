"""Refusals of clients and permissions: OAuth error, AADSTS code, HTTP status, text.

Those of the code flow are in `flow_errors`.

Source: "Microsoft Entra authentication and authorization error codes" and recorded answers of the
real service. `error_uri` is part of the answers that were recorded with one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

CONSENT_MISSING: Final = 65001
NOT_REQUESTED: Final = 650057
_ERROR_PAGE = "https://login.microsoftonline.com/error?code="


class SignInError(Exception):
    """A refusal. `code` is the number behind AADSTS."""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.code = code
        self.text = text

    def body(self, now: datetime, correlation_id: str | None = None) -> Mapping[str, Any]:
        """The JSON of the answer."""
        trace, correlation = str(uuid4()), correlation_id or str(uuid4())
        stamp = now.strftime("%Y-%m-%d %H:%M:%SZ")
        description = (
            f"AADSTS{self.code}: {self.text} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {stamp}"
        )
        return {
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{_ERROR_PAGE}{self.code}",
        }


def missing_parameter(name: str) -> SignInError:
    """A required parameter is not there."""
    text = (
        f"The request body must contain the following parameter: '{name}'."
        if name == "grant_type"
        else f"The required field '{name}' is missing from the credential. Ensure that you have "
        "all the necessary parameters for the login request."
    )
    return SignInError(400, "invalid_request", 900144 if name == "grant_type" else 90014, text)


def malformed(why: str) -> SignInError:
    """The request cannot be read."""
    return SignInError(400, "invalid_request", 900561, why)


def unknown_tenant(tenant: str) -> SignInError:
    """The path names another tenant."""
    return SignInError(
        400,
        "invalid_request",
        90002,
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
        "signing into the correct cloud.",
    )


def unsupported_grant(grant: str) -> SignInError:
    """A grant type that is not served."""
    text = f"The app requested an unsupported grant type '{grant}'."
    return SignInError(400, "unsupported_grant_type", 70003, text)


def invalid_client_id(client_id: str) -> SignInError:
    """`client_id` is no GUID."""
    text = f"'{client_id}' is not a valid application identifier."
    return SignInError(400, "unauthorized_client", 700038, text)


def unknown_client(client_id: str, tenant: str) -> SignInError:
    """No such application in the tenant, or not yet visible there."""
    return SignInError(
        400,
        "unauthorized_client",
        700016,
        f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. "
        "This can happen if the application has not been installed by the administrator of the "
        "tenant or consented to by any user in the tenant. You may have sent your authentication "
        "request to the wrong tenant.",
    )


def disabled_client(client_id: str) -> SignInError:
    """The service principal is switched off."""
    text = f"Application '{client_id}' is disabled."
    return SignInError(400, "unauthorized_client", 7000112, text)


def wrong_secret(client_id: str) -> SignInError:
    """No credential has that secret, or it has not reached the token service."""
    return SignInError(
        401,
        "invalid_client",
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the "
        "client secret value, not the client secret ID, for a secret added to app "
        f"'{client_id}'.",
    )


def expired_secret(client_id: str) -> SignInError:
    """The credential's lifetime is over."""
    return SignInError(
        401,
        "invalid_client",
        7000222,
        f"The provided client secret keys for app '{client_id}' are expired. Visit the Azure "
        "portal to create new keys for your app.",
    )


def secret_missing() -> SignInError:
    """A confidential client shows no credential."""
    return SignInError(
        401,
        "invalid_client",
        7000218,
        "The request body must contain the following parameter: 'client_assertion' or "
        "'client_secret'.",
    )


def secret_from_public() -> SignInError:
    """A public client shows a credential."""
    return SignInError(
        401,
        "invalid_client",
        700025,
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    )


def assertion_type() -> SignInError:
    """An assertion of a type that is not served."""
    return SignInError(
        400,
        "invalid_request",
        50027,
        "The 'client_assertion_type' must be "
        "'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'.",
    )


def assertion_malformed() -> SignInError:
    """The assertion is no JWT."""
    return SignInError(401, "invalid_client", 50027, "JWT token is invalid or malformed.")


def assertion_key_unknown(client_id: str) -> SignInError:
    """An assertion that the client signed with a key it does not have registered."""
    return SignInError(
        401,
        "invalid_client",
        700027,
        "The certificate with identifier used to sign the client assertion is not registered on "
        f"application '{client_id}'. [Reason - The key was not found.]",
    )


def certificate_expired(client_id: str) -> SignInError:
    """The registered certificate's time has passed, or has not come."""
    return SignInError(
        401,
        "invalid_client",
        700027,
        "The certificate with identifier used to sign the client assertion is expired on "
        f"application '{client_id}'. [Reason - The key used is expired.]",
    )


def certificate_signature(thumbprint: str) -> SignInError:
    """The assertion names a registered certificate, but another key signed it."""
    return SignInError(
        401,
        "invalid_client",
        700027,
        "Client assertion failed signature validation. [Reason - The key was found, but use of the "
        "key to verify the signature failed., Thumbprint of key used by client: "
        f"'{thumbprint}']",
    )


def assertion_of_another() -> SignInError:
    """Issuer and subject of an own assertion are the client."""
    text = "Client assertion application identifier doesn't match 'client_id' parameter."
    return SignInError(401, "invalid_client", 700021, text)


def assertion_audience() -> SignInError:
    """The assertion was made for something else than the token endpoint."""
    text = "Client assertion audience claim does not match Realm issuer."
    return SignInError(401, "invalid_client", 700023, text)


def assertion_audiences(count: int) -> SignInError:
    """An own assertion has one audience."""
    return SignInError(
        401,
        "invalid_client",
        5002741,
        "Number of audience values in the provided client credential exceed maximum allowed. "
        f"{count} audience values provided, maximum allowed is 1.",
    )


def assertion_signature() -> SignInError:
    """The issuer's key does not fit."""
    text = "Assertion failed signature validation. [Reason - The key was not found.]"
    return SignInError(401, "invalid_client", 50013, text)


def assertion_expired(now: datetime) -> SignInError:
    """The assertion's time has passed, or has not come."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    text = f"Client assertion is not within its valid time range. Current time: {stamp}."
    return SignInError(401, "invalid_client", 700024, text)


_TRUST_PAGE = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"


def no_federation(issuer: str, subject: str, audience: str) -> SignInError:
    """The application trusts nobody, or none of its credentials has reached the token service."""
    return SignInError(
        400,
        "invalid_request",
        70021,
        "No matching federated identity record found for presented assertion. Assertion Issuer: "
        f"'{issuer}'. Assertion Subject: '{subject}'. Assertion Audience: '{audience}'. "
        f"{_TRUST_PAGE}",
    )


def federation_mismatch(code: int, what: str, value: str) -> SignInError:
    """Issuer (700211), audience (700212) or subject (700213) fit no federated credential."""
    return SignInError(
        401,
        "invalid_client",
        code,
        f"No matching federated identity record found for presented assertion {what} '{value}'. "
        "Check your federated identity credential Subject, Audience and Issuer against the "
        f"presented assertion. {_TRUST_PAGE}",
    )


def unknown_resource(resource: str, tenant: str) -> SignInError:
    """The scope names no service principal of the tenant."""
    return SignInError(
        400,
        "invalid_resource",
        500011,
        f"The resource principal named {resource} was not found in the tenant named {tenant}. "
        "This can happen if the application has not been installed by the administrator of the "
        "tenant or consented to by any user in the tenant. You might have sent your "
        "authentication request to the wrong tenant.",
    )


def scope_not_default(scope: str) -> SignInError:
    """Client credentials take `{resource}/.default` and nothing else."""
    return SignInError(
        400,
        "invalid_scope",
        1002012,
        f"The provided value for scope {scope} is not valid. Client credential flows must have a "
        "scope value with /.default suffixed to the resource identifier (application ID URI).",
    )


def invalid_scope(scope: str) -> SignInError:
    """The scope cannot be read, mixes resources, or names a permission the resource lacks."""
    text = (
        "The provided value for the input parameter 'scope' is not valid. "
        f"The scope {scope} is not valid."
    )
    return SignInError(400, "invalid_scope", 70011, text)


def several_resources() -> SignInError:
    """One token is for one resource."""
    return SignInError(
        400,
        "invalid_scope",
        28000,
        "Provided value for the input parameter scope is not valid because it contains more than "
        "one resource.",
    )


def not_requested(client_id: str, resource: str) -> SignInError:
    """The client's application does not list the resource in its required permissions."""
    return SignInError(
        400,
        "invalid_resource",
        NOT_REQUESTED,
        "Invalid resource. The client has requested access to a resource which is not listed in "
        f"the requested permissions in the client's application registration. Client app ID: "
        f"{client_id}. Resource value from request: {resource}.",
    )


def unknown_permission(client: str, resource: str, scope: str) -> SignInError:
    """The resource declares no such scope."""
    return SignInError(
        400,
        "invalid_client",
        650053,
        f"The application '{client}' asked for scope '{scope}' that doesn't exist on the resource "
        f"'{resource}'. Contact the app vendor.",
    )


def consent_missing(client_id: str, name: str) -> SignInError:
    """Nobody granted the scopes."""
    return SignInError(
        400,
        "invalid_grant",
        CONSENT_MISSING,
        "The user or administrator has not consented to use the application with ID "
        f"'{client_id}' named '{name}'. Send an interactive authorization request for this user "
        "and resource.",
    )


def client_not_assigned(client_id: str, resource_app_id: str) -> SignInError:
    """The resource demands an assignment that the client lacks."""
    text = (
        f"Application '{client_id}' is not assigned to a role for the application "
        f"'{resource_app_id}'."
    )
    return SignInError(400, "invalid_grant", 501051, text)


def user_not_assigned(name: str, application: str) -> SignInError:
    """The resource demands an assignment that the user lacks."""
    text = (
        f"Your administrator has configured the application {application} to block users unless "
        f"they are specifically granted ('assigned') access to it. The user '{name}' is blocked."
    )
    return SignInError(400, "invalid_grant", 50105, text)


def user_unknown(name: str, tenant: str) -> SignInError:
    """`login_hint` names nobody."""
    return SignInError(
        400,
        "invalid_grant",
        50034,
        f"The user account {name} does not exist in the {tenant} directory. To sign into this "
        "application, the account must be added to the directory.",
    )
