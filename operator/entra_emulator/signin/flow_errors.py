"""Refusals of the code flow: redirect URIs, codes, PKCE, platforms.

The refusals of clients and permissions are in `errors`.
"""

from __future__ import annotations

from entra_emulator.signin.errors import SignInError


def nobody_signed_in() -> SignInError:
    """`prompt=none`, and no user to sign in."""
    text = "A silent sign-in request was sent but no user is signed in."
    return SignInError(400, "login_required", 50058, text)


def redirect_mismatch(uri: str, client_id: str) -> SignInError:
    """The redirect URI is not registered."""
    return SignInError(
        400,
        "invalid_request",
        50011,
        f"The redirect URI '{uri}' specified in the request does not match the redirect URIs "
        f"configured for the application '{client_id}'. Make sure the redirect URI sent in the "
        "request matches one added to your application in the Azure portal.",
    )


def redirect_differs() -> SignInError:
    """The redirect URI of the redemption is not that of the authorization request."""
    return SignInError(
        400,
        "invalid_grant",
        500112,
        "The reply address does not match the reply address provided when requesting "
        "Authorization code.",
    )


def code_invalid() -> SignInError:
    """No such code."""
    return SignInError(
        400,
        "invalid_grant",
        9002313,
        "Invalid request. Request is malformed or invalid.",
    )


def code_redeemed() -> SignInError:
    """The code was used before."""
    return SignInError(
        400,
        "invalid_grant",
        54005,
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or "
        "use an existing refresh token.",
    )


def grant_expired() -> SignInError:
    """A code or refresh token whose time has passed."""
    return SignInError(
        400,
        "invalid_grant",
        70008,
        "The provided authorization code or refresh token has expired due to inactivity. Send a "
        "new interactive authorization request for this user and resource.",
    )


def refresh_invalid() -> SignInError:
    """No such refresh token."""
    text = "The provided value for the 'refresh_token' is not valid."
    return SignInError(400, "invalid_grant", 9002313, text)


def issued_to_other() -> SignInError:
    """The code or refresh token belongs to another client."""
    return SignInError(
        400,
        "invalid_grant",
        700005,
        "Provided Authorization Code is intended to use against other tenant, thus rejected, or "
        "it was issued to another client.",
    )


def verifier_missing() -> SignInError:
    """The code was asked for with a challenge, and comes without a verifier."""
    return SignInError(
        400,
        "invalid_grant",
        50148,
        "The code_verifier does not match the code_challenge supplied in the authorization "
        "request for PKCE.",
    )


def verifier_wrong() -> SignInError:
    """The verifier does not fit the challenge."""
    return SignInError(
        400,
        "invalid_grant",
        501481,
        "The Code_Verifier does not match the code_challenge supplied in the authorization "
        "request.",
    )


def challenge_invalid() -> SignInError:
    """The challenge has the wrong size, or an unknown method."""
    return SignInError(400, "invalid_request", 501491, "Invalid size of Code_Challenge parameter.")


def challenge_method() -> SignInError:
    """Only S256 and plain are served."""
    return SignInError(400, "invalid_request", 50149, "Invalid Code_Challenge_method parameter.")


def challenge_missing() -> SignInError:
    """A single-page application must use PKCE."""
    return SignInError(
        400,
        "invalid_request",
        9002325,
        "Proof Key for Code Exchange is required for cross-origin authorization code redemption.",
    )


def cross_origin(origin: str) -> SignInError:
    """A code of another platform is redeemed by a page."""
    return SignInError(
        400,
        "invalid_request",
        9002326,
        "Cross-origin token redemption is permitted only for the 'Single-Page Application' "
        f"client-type. Request origin: '{origin}'.",
    )


def not_cross_origin() -> SignInError:
    """The code of a single-page application is redeemed by something else."""
    return SignInError(
        400,
        "invalid_request",
        9002327,
        "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via "
        "cross-origin requests.",
    )


def unsupported_response(value: str) -> SignInError:
    """Only the code flow is served, and an id token beside it where the application allows that."""
    return SignInError(
        400,
        "unsupported_response_type",
        700054,
        f"response_type '{value}' is not enabled for the application.",
    )


def token_in_query() -> SignInError:
    """A token must not be in an address."""
    return SignInError(
        400,
        "unsupported_response_mode",
        70007,
        "'query' is not a supported value of 'response_mode' when requesting a token.",
    )
