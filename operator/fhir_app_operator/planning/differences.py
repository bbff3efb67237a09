"""Which properties of an application differ from what its manifest asks for.

Where others have a say (tags, roles, scopes, further identifier URIs), theirs are left alone.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Final, TypeVar

from fhir_app_operator.planning import permissions, pre_authorization
from fhir_app_operator.planning.model import (
    CLIENT_TAG_PREFIX,
    OWNER_TAG_PREFIX,
    PERMISSION_TAG_PREFIX,
    REGISTRATION_TAG_PREFIX,
    Application,
    ApplicationChanges,
    Desired,
    Exposure,
    PreAuthorized,
)
from fhir_app_operator.planning.secret_data import APP_ID_TEMPLATE

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
        tags=wanted.tags | _claims(desired, Application(object_id="", app_id=""), wanted.exposure),
        sign_in_audience=SIGN_IN_AUDIENCE,
        identifier_uris=frozenset({uri}) if uri and known else None,
        web_redirect_uris=wanted.redirect_uris.web or None,
        spa_redirect_uris=wanted.redirect_uris.spa or None,
        public_client_redirect_uris=wanted.redirect_uris.public_client or None,
        is_fallback_public_client=wanted.is_fallback_public_client or None,
        id_token_issuance=wanted.id_token_issuance or None,
        token_version=wanted.token_version,
        app_roles=wanted.exposure.app_roles or None,
        scopes=wanted.exposure.scopes or None,
        resource_access=wanted.resource_access or None,
        service_management_reference=wanted.service_management_reference,
    )


def differences(desired: Desired, live: Application) -> ApplicationChanges:
    """Return the smallest change that brings `live` one step nearer to `desired`."""
    wanted = desired.application
    uris, redirects = _identifier_uris(desired, live), wanted.redirect_uris
    after = permissions.next_step(wanted.exposure, live.exposure, ownership(desired, live))
    clients = pre_authorization.next_entries(wanted.pre_authorization, live, after)
    tags = _tags(desired, live, after, clients)
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
        id_token_issuance=None
        if wanted.id_token_issuance is None
        else _changed(wanted.id_token_issuance, live.id_token_issuance),
        token_version=_changed(version, live.token_version or 1) if version else None,
        app_roles=_changed(after.app_roles, live.app_roles),
        scopes=_changed(after.scopes, live.scopes),
        pre_authorized=_changed(clients, live.pre_authorized),
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


_OURS: Final = (
    OWNER_TAG_PREFIX, REGISTRATION_TAG_PREFIX, PERMISSION_TAG_PREFIX, CLIENT_TAG_PREFIX,
)  # fmt: skip


def _tags(
    desired: Desired, live: Application, after: Exposure, clients: frozenset[PreAuthorized]
) -> frozenset[str]:
    """Our tags beside those of others; one of ours that went stale goes."""
    wanted = desired.application
    others = {tag for tag in live.tags if not tag.startswith(_OURS)}
    claims = _claims(desired, live, after)
    claims |= pre_authorization.claims(wanted.pre_authorization, live, clients)
    return wanted.tags | others | claims


def ownership(desired: Desired, live: Application) -> permissions.Ownership:
    """Return what tells the roles and scopes of ours in `live` from those of others."""
    who, wanted = desired.registration, desired.application
    return permissions.Ownership(
        id_of=partial(
            permissions.permission_id, desired.connection["AZURE_TENANT_ID"],
            who.namespace, who.name,
        ),
        claimed=_claimed(live),
        remove_app_roles=wanted.remove_unmanaged_app_roles,
        remove_scopes=wanted.remove_unmanaged_scopes,
    )  # fmt: skip


def _claimed(live: Application) -> frozenset[str]:
    return frozenset(
        tag.removeprefix(PERMISSION_TAG_PREFIX)
        for tag in live.tags
        if tag.startswith(PERMISSION_TAG_PREFIX)
    )


def _claims(desired: Desired, live: Application, after: Exposure) -> frozenset[str]:
    """Tags for the entries whose ids do not tell that they are ours, until those are gone."""
    id_of = ownership(desired, live).id_of
    declared = desired.application.exposure.entries
    named = {entry.id for entry in declared if entry.id != id_of(entry.value)}
    there = {entry.id for entry in after.entries}
    return frozenset(f"{PERMISSION_TAG_PREFIX}{each}" for each in named | _claimed(live) & there)


def changed_properties(changes: ApplicationChanges) -> tuple[str, ...]:
    """Return the names of the properties that `changes` sets, for logs and events."""
    return tuple(f.name for f in fields(changes) if getattr(changes, f.name) is not None)
