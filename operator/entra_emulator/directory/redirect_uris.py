"""Which redirect URIs an application may have, and which one a sign-in request matches.

Source: "Redirect URI (reply URL) outline and restrictions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from entra_emulator.directory.entities import PERSONAL_AUDIENCES
from entra_emulator.directory.errors import GraphError, bad_request, invalid_value

PLATFORMS: Final = ("web", "spa", "publicClient")
MAX_LENGTH: Final = 256
MAX_COUNT: Final = 256
MAX_COUNT_PERSONAL: Final = 100
_FORBIDDEN = re.compile(r"[!$'(),;]")
_LOOPBACK = frozenset({"localhost", "127.0.0.1"})


def check(application: Mapping[str, Any]) -> None:
    """Raise GraphError unless all redirect URIs of the application are allowed together."""
    personal = application["signInAudience"] in PERSONAL_AUDIENCES
    holders: dict[str, str] = {}
    for platform in PLATFORMS:
        for uri in application[platform]["redirectUris"]:
            _check_uri(uri, platform, personal=personal)
            if uri in holders:
                raise _twice(uri, holders[uri], platform)
            holders[uri] = platform
    limit = MAX_COUNT_PERSONAL if personal else MAX_COUNT
    if len(holders) > limit:
        raise bad_request(f"An application has at most {limit} redirect URIs.")


def match(application: Mapping[str, Any], uri: str) -> str | None:
    """The platform on which `uri` is registered. For loopback addresses the port is ignored."""
    for platform in PLATFORMS:
        for registered in application[platform]["redirectUris"]:
            if registered == uri or _same_loopback(registered, uri):
                return platform
    return None


def _check_uri(uri: str, platform: str, *, personal: bool) -> None:
    def refuse(why: str) -> GraphError:
        return invalid_value(f"{platform}.redirectUris", "Application", why)

    parts = _split(uri)
    if parts is None or not parts.scheme or any(character.isspace() for character in uri):
        raise refuse("A redirect URI must be an absolute URI.")
    if len(uri) > MAX_LENGTH:
        raise refuse(f"A redirect URI must not be longer than {MAX_LENGTH} characters.")
    if _FORBIDDEN.search(uri):
        raise refuse("A redirect URI must not hold any of the characters ! $ ' ( ) , ;")
    if "#" in uri:
        raise refuse("A redirect URI must not have a fragment.")
    if "*" in uri and personal:
        raise refuse("Wildcards are not allowed for personal accounts.")
    if parts.query and personal:
        raise refuse("Query strings are not allowed for personal accounts.")
    _check_scheme(parts, platform, refuse=refuse)


def _check_scheme(parts: SplitResult, platform: str, *, refuse: Any) -> None:
    if parts.scheme == "https":
        if not parts.hostname:
            raise refuse("A redirect URI must name a host.")
    elif parts.scheme == "http":
        if parts.hostname not in _LOOPBACK:
            raise refuse("A redirect URI must use https, or http with localhost or 127.0.0.1.")
    elif platform != "publicClient":
        raise refuse("Only the publicClient platform takes URIs with a custom scheme.")


def _same_loopback(registered: str, uri: str) -> bool:
    one, other = _split(registered), _split(uri)
    return (
        one is not None
        and other is not None
        and one.scheme == other.scheme == "http"
        and one.hostname == other.hostname
        and one.hostname in _LOOPBACK
        and (one.path, one.query) == (other.path, other.query)
    )


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _twice(uri: str, first: str, second: str) -> GraphError:
    where = first if first == second else f"{first} and {second}"
    why = f"The redirect URI '{uri}' is registered twice ({where}); it must be unique."
    return invalid_value(f"{second}.redirectUris", "Application", why)
