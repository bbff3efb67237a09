"""Which identifier URIs an application may have.

Source: "Restrictions on identifier URIs of Microsoft Entra applications" and the attribute page of
the application manifest. Uniqueness across the tenant is checked by the directory.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from entra_emulator.directory.errors import GraphError, invalid_value, unverified_host
from entra_emulator.directory.schema import GUID

MAX_LENGTH: Final = 255
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:.+", re.DOTALL)


def check(
    uris: list[str],
    *,
    known: Collection[str],
    app_id: str,
    tenant_id: str,
    domains: Collection[str],
    needs_proof: bool,
) -> None:
    """Raise GraphError unless every URI is well formed, and every new one allowed.

    `known` are the URIs the application has already: they stay whatever they are. `needs_proof`
    says whether new ones must hold a verified domain, the tenant id or the appId; applications
    with version-2 tokens are exempt.
    """
    if len({uri.casefold() for uri in uris}) != len(uris):
        raise _refuse("The collection holds a value twice.")
    for uri in uris:
        _check_form(uri)
        if needs_proof and uri not in known and not _is_proven(uri, app_id, tenant_id, domains):
            raise unverified_host(uri)


def _check_form(uri: str) -> None:
    if not uri or len(uri) > MAX_LENGTH:
        raise _refuse(f"An identifier URI has 1 to {MAX_LENGTH} characters.")
    if not _SCHEME.fullmatch(uri) or any(character.isspace() for character in uri):
        raise _refuse("An identifier URI must be a valid URI with a scheme.")
    if "*" in uri:
        raise _refuse("An identifier URI must not hold a wildcard.")
    if uri.endswith("/"):
        raise _refuse("An identifier URI must not end with a slash.")
    scheme, _, rest = uri.partition("://")
    if scheme.lower() in {"http", "https", "api"} and (not rest or rest.startswith("/")):
        raise _refuse("An identifier URI must name a host.")


def _is_proven(uri: str, app_id: str, tenant_id: str, domains: Collection[str]) -> bool:
    try:
        parts = urlsplit(uri)
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    if parts.scheme.lower() == "https":
        return _within(host, domains)
    if parts.scheme.lower() != "api":
        return False
    segments = [segment.lower() for segment in parts.path.split("/") if segment]
    if GUID.fullmatch(host):
        return host in {app_id, tenant_id}
    return (segments[-1:] == [app_id]) or (bool(segments) and _below(host, domains))


def _within(host: str, domains: Collection[str]) -> bool:
    return host in domains or _below(host, domains)


def _below(host: str, domains: Collection[str]) -> bool:
    return any(host.endswith(f".{domain}") for domain in domains)


def _refuse(why: str) -> GraphError:
    return invalid_value("identifierUris", "Application", why)
