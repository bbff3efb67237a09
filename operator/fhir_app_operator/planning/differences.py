"""Which properties of an application differ from what its manifest asks for.

Where others have a say (tags, roles, scopes, further identifier URIs), theirs are left alone.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final, TypeVar

from fhir_app_operator.planning import permissions
from fhir_app_operator.planning.desired import APP_ID_TEMPLATE
from fhir_app_operator.planning.model import (
    OWNER_TAG_PREFIX,
    REGISTRATION_TAG_PREFIX,
    Application,
    ApplicationChanges,
    AppRole,
    Desired,
    PermissionScope,
)

SIGN_IN_AUDIENCE: Final = "AzureADMyOrg"
T = TypeVar("T")


def creation(desired: Desired) -> ApplicationChanges:
    """Return all that a create can send: a URI with the client id in it must come later."""
    wanted = desired.application
    uri = wanted.identifier_uri
    known = uri is not None and APP_ID_TEMPLATE not in uri
    return ApplicationChanges(
        display_name=wanted.display_name,
        notes=wanted.notes,
        tags=wanted.tags,
        sign_in_audience=SIGN_IN_AUDIENCE,
        identifier_uris=frozenset({uri}) if uri and known else None,
        web_redirect_uris=wanted.redirect_uris.web or None,
        spa_redirect_uris=wanted.redirect_uris.spa or None,
        public_client_redirect_uris=wanted.redirect_uris.public_client or None,
        is_fallback_public_client=wanted.is_fallback_public_client or None,
        token_version=wanted.token_version,
        app_roles=wanted.app_roles or None,
        scopes=wanted.scopes or None,
        resource_access=wanted.resource_access or None,
        service_management_reference=wanted.service_management_reference,
    )


def differences(desired: Desired, live: Application) -> ApplicationChanges:
    """Return the smallest change that brings `live` one step nearer to `desired`."""
    wanted = desired.application
    uris, redirects = _identifier_uris(desired, live), wanted.redirect_uris
    tags = _tags(desired, live)
    version = wanted.token_version
    return ApplicationChanges(
        display_name=_changed(wanted.display_name, live.display_name),
        notes=_changed(wanted.notes, live.notes),
        tags=_changed(tags, live.tags),
        sign_in_audience=_changed(SIGN_IN_AUDIENCE, live.sign_in_audience),
        identifier_uris=_changed(uris, live.identifier_uris),
        web_redirect_uris=_changed(redirects.web, live.redirect_uris.web),
        spa_redirect_uris=_changed(redirects.spa, live.redirect_uris.spa),
        public_client_redirect_uris=_changed(
            redirects.public_client, live.redirect_uris.public_client
        ),
        is_fallback_public_client=_changed(
            wanted.is_fallback_public_client, live.is_fallback_public_client
        ),
        token_version=_changed(version, live.token_version or 1) if version else None,
        app_roles=_roles(desired, live),
        scopes=_scopes(desired, live),
        resource_access=_changed(wanted.resource_access, live.resource_access),
        service_management_reference=_changed(
            wanted.service_management_reference, live.service_management_reference
        ),
    )


def _changed(wanted: T, live: object) -> T | None:
    return wanted if wanted != live else None


def _identifier_uris(desired: Desired, live: Application) -> frozenset[str]:
    uri = desired.application.identifier_uri
    if uri is None:
        return live.identifier_uris
    return frozenset({uri.replace(APP_ID_TEMPLATE, live.app_id)})


def _tags(desired: Desired, live: Application) -> frozenset[str]:
    """Our tags beside those of others; a registration tag of ours that went stale goes."""
    others = {t for t in live.tags if not t.startswith((OWNER_TAG_PREFIX, REGISTRATION_TAG_PREFIX))}
    return desired.application.tags | others


def _roles(desired: Desired, live: Application) -> tuple[AppRole, ...] | None:
    ours = frozenset(entry.id for entry in live.app_roles if _derived(desired, entry))
    return permissions.merged(desired.application.app_roles, live.app_roles, ours)


def _scopes(desired: Desired, live: Application) -> tuple[PermissionScope, ...] | None:
    ours = frozenset(entry.id for entry in live.scopes if _derived(desired, entry))
    return permissions.merged(desired.application.scopes, live.scopes, ours)


def _derived(desired: Desired, entry: AppRole | PermissionScope) -> bool:
    who, tenant_id = desired.registration, desired.connection["AZURE_TENANT_ID"]
    return entry.id == permissions.permission_id(tenant_id, who.namespace, who.name, entry.value)


def changed_properties(changes: ApplicationChanges) -> tuple[str, ...]:
    """Return the names of the properties that `changes` sets, for logs and events."""
    return tuple(f.name for f in fields(changes) if getattr(changes, f.name) is not None)
