"""What a sign-in asks for: scopes resolved to one resource of the tenant.

Source: "Scopes and permissions in the Microsoft identity platform".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from entra_emulator.constants import (
    GRAPH_APP_ID,
    HEALTHCARE_APP_ID,
    HEALTHCARE_DOMAINS,
    MANAGEMENT_APP_ID,
    MANAGEMENT_URLS,
    OIDC_SCOPES,
)
from entra_emulator.directory.directory import Key
from entra_emulator.directory.schema import GUID
from entra_emulator.directory.store import Entity, Kind
from entra_emulator.signin import errors
from entra_emulator.world import World

DEFAULT: Final = ".default"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The permissions a request asks for.

    `audience` is the resource as the request wrote it; `scopes` are the delegated permissions
    asked for by name; `is_default` says that `.default` was; `oidc` are openid and its like.
    """

    resource: Entity
    audience: str
    scopes: tuple[str, ...]
    oidc: frozenset[str]
    is_default: bool


def for_client(world: World, scope: str) -> Wanted:
    """The scope of a client credentials request: exactly one `{resource}/.default`."""
    parts = scope.split()
    suffix = f"/{DEFAULT}"
    if len(parts) != 1 or not parts[0].endswith(suffix) or parts[0] == suffix:
        raise errors.scope_not_default(scope)
    audience = parts[0].removesuffix(suffix)
    return Wanted(find(world, audience), audience, (), frozenset(), is_default=True)


def for_user(world: World, scope: str) -> Wanted:
    """The scopes of a user's sign-in: those of one resource, and openid and its like.

    With nothing but the latter, or bare names, the resource is Microsoft Graph.
    """
    parts = list(dict.fromkeys(scope.split()))
    if not parts:
        raise errors.missing_parameter("scope")
    oidc = frozenset(parts) & OIDC_SCOPES
    pairs = [_split(part) for part in parts if part not in OIDC_SCOPES]
    audiences = list(dict.fromkeys(audience for audience, _ in pairs))
    if len({_normal(audience) for audience in audiences}) > 1:
        raise errors.several_resources()
    audience = audiences[0] if audiences else GRAPH_APP_ID
    names = tuple(name for _, name in pairs)
    if DEFAULT in names and len(names) > 1:
        raise errors.invalid_scope(scope)
    scopes = () if DEFAULT in names else names
    return Wanted(find(world, audience), audience, scopes, oidc, DEFAULT in names)


def find(world: World, audience: str) -> Entity:
    """The service principal that `audience` names: appId or one of its identifier URIs."""
    entity = _principal(world, audience) if audience else None
    if entity is None:
        raise errors.unknown_resource(audience, world.directory.tenant_id)
    return entity


def is_graph(world: World, audience: str) -> bool:
    """Whether a token for `audience` opens Microsoft Graph here."""
    return _normal(audience) in map(_normal, graph_audiences(world))


def graph_audiences(world: World) -> list[str]:
    """The names of Microsoft Graph: its own, and the address under which it is served here."""
    graph = world.directory.catalogue[GRAPH_APP_ID]
    host = urlsplit(world.origin).hostname or ""
    return [GRAPH_APP_ID, *graph["identifierUris"], world.origin, f"https://{host}"]


def graph_spellings(world: World) -> list[str]:
    """Every `aud` with which a token for Microsoft Graph may have been issued."""
    return _spellings(graph_audiences(world))


def management_spellings() -> list[str]:
    """Every `aud` with which a token for Azure Resource Manager may have been issued."""
    return _spellings([MANAGEMENT_APP_ID, *MANAGEMENT_URLS])


def _principal(world: World, audience: str) -> Entity | None:
    directory = world.directory
    if is_graph(world, audience):
        return directory.lookup(Kind.SERVICE_PRINCIPAL, Key(GRAPH_APP_ID, "appId"))
    if GUID.fullmatch(audience):
        return directory.lookup(Kind.SERVICE_PRINCIPAL, Key(audience, "appId"))
    for app_id, microsofts in directory.catalogue.items():
        if _normal(audience) in map(_normal, microsofts["identifierUris"]):
            return directory.lookup(Kind.SERVICE_PRINCIPAL, Key(app_id, "appId"))
    if _is_managed_fhir(audience):
        return directory.lookup(Kind.SERVICE_PRINCIPAL, Key(HEALTHCARE_APP_ID, "appId"))
    for application in directory.store.find(Kind.APPLICATION, "identifierUris", audience):
        shown = directory.seen(application)
        if shown is not None and audience.casefold() in map(str.casefold, shown["identifierUris"]):
            return directory.lookup(Kind.SERVICE_PRINCIPAL, Key(shown["appId"], "appId"))
    return None


def _is_managed_fhir(audience: str) -> bool:
    """Whether `audience` is the URL of a managed FHIR service: tokens for all are of one API."""
    parts = urlsplit(_normal(audience))
    host = parts.hostname or ""
    return (
        parts.scheme == "https"
        and not parts.path
        and host.endswith(tuple(f".{domain}" for domain in HEALTHCARE_DOMAINS))
    )


def _split(scope: str) -> tuple[str, str]:
    """Resource and permission; a bare permission belongs to Microsoft Graph."""
    resource, slash, name = scope.rpartition("/")
    if not slash:
        return GRAPH_APP_ID, scope
    if not resource or not name:
        raise errors.invalid_scope(scope)
    return resource, name


def _spellings(names: Iterable[str]) -> list[str]:
    """The names with and without a slash at the end: clients write both."""
    return [spelling for name in names for spelling in (name.rstrip("/"), f"{name.rstrip('/')}/")]


def _normal(audience: str) -> str:
    return audience.rstrip("/").lower()
