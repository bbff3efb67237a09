"""A client that has nothing but its Secret, and a FHIR server that checks what it brings.

Here: MSAL as workloads use it, and the checks of a resource server. Not here: where the Secrets
come from.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import msal
import requests
from typing_extensions import override

from dev.demo.errors import DemoError

_SIGNATURE = "RS256"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom clients trust: the authority in a PEM file, which a workload in Azure would not need."""

    ca_file: Path

    def context(self) -> ssl.SSLContext:
        """For httpx."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def session(self) -> requests.Session:
        """For MSAL. Its own trust in the environment is off: a variable would win over `verify`."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca_file)
        return session


def application_token(
    trust: Trust, *, authority: str, client_id: str, client_secret: str, scope: str
) -> str:
    """An access token by client credentials; DemoError if it is refused."""
    application = msal.ConfidentialClientApplication(
        client_id,
        client_credential=client_secret,
        authority=authority,
        instance_discovery=False,  # a private authority, which Microsoft's list does not have
        http_client=trust.session(),
    )
    return _access_token(application.acquire_token_for_client(scopes=[scope]))


def service_token(secret: Mapping[str, str], trust: Trust) -> str:
    """An access token for a Service, from its Secret alone."""
    return application_token(
        trust,
        authority=_authority(secret),
        client_id=secret["AZURE_CLIENT_ID"],
        client_secret=secret["AZURE_CLIENT_SECRET"],
        scope=secret["FHIR_SCOPE"],
    )


def user_token(
    secret: Mapping[str, str], trust: Trust, *, redirect_uri: str, user: str, in_page: bool = False
) -> str:
    """An access token for `user`'s client, from its Secret alone: authorization code and PKCE.

    A Secret with a client secret makes a confidential client. `redirect_uri` is one of the Secret's
    FHIR_REDIRECT_URIS. `in_page` plays a single-page application: its browser tells the page's
    origin, without which Entra gives it no token.
    """
    application = _user_client(secret, trust, _origin(redirect_uri) if in_page else None)
    flow = application.initiate_auth_code_flow(
        secret["FHIR_SCOPE"].split(),
        redirect_uri=redirect_uri,
        login_hint=user,
        response_mode="form_post",
    )
    answer = _browse(flow["auth_uri"], redirect_uri, trust)
    return _access_token(application.acquire_token_by_auth_code_flow(flow, answer))


def is_loopback(uri: str) -> bool:
    """Whether a redirect URI is that of a tool on the user's own machine (RFC 8252)."""
    return urlsplit(uri).hostname in {"localhost", "127.0.0.1"}


def verified_claims(token: str, secret: Mapping[str, str], trust: Trust) -> dict[str, Any]:
    """The claims of a token that the FHIR server with this Secret would let in.

    Signature by the keys at FHIR_JWKS_URL, `iss` is FHIR_ISSUER, `aud` is FHIR_AUDIENCE, within
    its time. Raises DemoError otherwise.
    """
    keys = httpx.get(secret["FHIR_JWKS_URL"], verify=trust.context(), trust_env=False)
    try:
        key = jwt.PyJWKSet.from_dict(keys.raise_for_status().json())[
            jwt.get_unverified_header(token)["kid"]
        ]
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[_SIGNATURE],
            audience=secret["FHIR_AUDIENCE"],
            issuer=secret["FHIR_ISSUER"],
            options={"require": ["exp", "nbf", "iss", "aud"]},
        )
    except (jwt.InvalidTokenError, KeyError) as error:
        raise DemoError(f"the FHIR server would refuse the token: {error!r}") from error
    return claims


def _authority(secret: Mapping[str, str]) -> str:
    return f"{secret['AZURE_AUTHORITY_HOST'].rstrip('/')}/{secret['AZURE_TENANT_ID']}"


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def _user_client(secret: Mapping[str, str], trust: Trust, origin: str | None) -> Any:
    session = trust.session()
    if origin is not None:
        session.headers["Origin"] = origin
    options = {
        "authority": _authority(secret),
        "instance_discovery": False,
        "http_client": session,
    }
    client_id, value = secret["AZURE_CLIENT_ID"], secret.get("AZURE_CLIENT_SECRET")
    if value is None:
        return msal.PublicClientApplication(client_id, **options)
    return msal.ConfidentialClientApplication(client_id, client_credential=value, **options)


class _Form(HTMLParser):
    """The form of a page, which a browser would post at once."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = attributes.get("action", "")
        elif tag == "input" and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value", "")


def _browse(uri: str, redirect_uri: str, trust: Trust) -> dict[str, str]:
    """What the sign-in page would have the user's browser post to `redirect_uri`."""
    page = httpx.get(uri, verify=trust.context(), trust_env=False)
    form = _Form()
    form.feed(page.text)
    if form.action != redirect_uri:
        raise DemoError(f"the sign-in page does not lead to {redirect_uri}: {page.text}")
    return form.fields


def _access_token(result: dict[str, Any]) -> str:
    if "access_token" not in result:
        raise DemoError(f"the sign-in was refused: {result.get('error_description', result)}")
    return str(result["access_token"])
