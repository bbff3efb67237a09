"""What is to be done next, and why: the heart of the operator, without any I/O.

`plan` is called again after every step that was applied, with the answer folded in, until it is
empty. Ownership is decided here, so that a fault in applying cannot touch a stranger's object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.planning import credentials, permissions
from fhir_app_operator.planning.desired import APP_ID_TEMPLATE, resolved
from fhir_app_operator.planning.model import (
    OWNER_TAG_PREFIX,
    REGISTRATION_TAG_PREFIX,
    Action,
    Application,
    ApplicationChanges,
    AppRole,
    CreateApplication,
    CreateServicePrincipal,
    DeleteApplication,
    Desired,
    IssueCredential,
    Observed,
    PermissionScope,
    Policy,
    Purge,
    RecordIntent,
    Registration,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    UpdateApplication,
    WriteSecret,
)

SIGN_IN_AUDIENCE: Final = "AzureADMyOrg"
T = TypeVar("T")


def plan(desired: Desired, observed: Observed, now: datetime, policy: Policy) -> tuple[Action, ...]:
    """Return the next actions; empty when the world is as desired.

    The first row that applies decides; only actions whose inputs are known now are returned.

    | # | observed                                          | action or error                  |
    |---|---------------------------------------------------|----------------------------------|
    | 1 | a Secret of that name that is not ours            | Stalled SecretConflict (Waiting  |
    |   |                                                   | if it is about to be collected)  |
    | 2 | no application, ours is in the bin                | RestoreApplication               |
    | 3 | no application, status names one, not sure yet    | Waiting NotYetReplicated         |
    | 4 | no application, status names one                  | Stalled ApplicationDeleted       |
    | 5 | no application                                    | CreateApplication                |
    | 6 | an application without our owner tag              | Stalled OwnershipConflict        |
    | 7 | no service principal, ours is in the bin          | RestoreServicePrincipal          |
    | 8 | no service principal                              | CreateServicePrincipal           |
    | 9 | a property differs                                | UpdateApplication (disabling an  |
    |   |                                                   | enabled role or scope first)     |
    |10 | credentials of ours past their overlap or grace   | RevokeCredential, each           |
    |11 | no good credential in the Secret, or one to renew | RecordIntent, then               |
    |   |                                                   | IssueCredential for that intent  |
    |12 | the Secret's data or metadata differ              | WriteSecret                      |

    Raises:
        Stalled, Waiting: as in the table, and Waiting `CredentialRateLimited` in row 11.
    """
    refuse_foreign_secret(desired.secret_name, observed)
    application = observed.application
    if application is None:
        return _missing_application(desired, observed)
    _refuse_stranger(desired, application)
    steps: tuple[Callable[[], tuple[Action, ...]], ...] = (
        partial(_service_principal, observed),
        partial(_differences, desired, application),
        # First what must go, so that issues that fail again and again cannot pile up.
        partial(_revocations, desired, observed, now, policy),
        partial(_credential, desired, observed, now, policy),
        partial(_secret, desired, observed, application),
    )
    return next((actions for step in steps if (actions := step())), ())


def credential_plan(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> tuple[Action, ...]:
    """Return rows 10 and 11 only: what keeps a credential alive while the rest has to wait.

    Raises:
        Stalled, Waiting: as `plan`.
    """
    if observed.application is None:
        return ()
    _refuse_stranger(desired, observed.application)
    return _revocations(desired, observed, now, policy) or _credential(
        desired, observed, now, policy
    )


def deletion_plan(
    registration: Registration, observed: Observed, *, purge: bool
) -> tuple[Action, ...]:
    """Return what must go before the finalizer may: our credentials, then the application.

    Never creates, and never touches an application that does not carry our owner tag: it has
    changed hands, or was never ours. With `purge`, what then lies in the bin goes for good, the
    service principal too: purging the application alone would leave it there.
    """
    application = observed.application
    if application is None:
        return _purges(observed) if purge else ()
    if registration.owner_tag not in application.tags:
        return ()
    revoked = [
        RevokeCredential(type=p.type, key_id=p.key_id, reason="RegistrationDeleted")
        for p in application.credentials
        if registration.nonce_of(p.display_name) is not None
    ]
    return (*revoked, DeleteApplication())


def _purges(observed: Observed) -> tuple[Action, ...]:
    """The service principal first: the application proves that it is ours."""
    found: list[Action] = []
    if observed.deleted_service_principal_id is not None:
        object_id = observed.deleted_service_principal_id
        found.append(Purge(object_id=object_id, what="service principal"))
    if observed.deleted_application_id is not None:
        found.append(Purge(object_id=observed.deleted_application_id, what="application"))
    return tuple(found)


def next_due(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> datetime | None:
    """Return when time alone will make `plan` non-empty: a renewal, or the end of an overlap."""
    if observed.application is None:
        return None
    moments = [at for at, _ in credentials.revocations(desired, observed, now, policy)]
    issue = credentials.due(desired, observed, now, policy)
    if issue is not None:
        moments.append(issue.at)
    current = credentials.published(observed.secret, observed.application.credentials)
    settles = credentials.certificate_settles(observed, policy)
    if settles is not None and settles > now:
        moments.append(settles)
    if desired.credential and current:
        moments.append(credentials.renew_at(desired.credential, current))
    elif desired.credential and observed.secret and observed.secret.written_at:
        moments.append(observed.secret.written_at + policy.replication_window)
    return min(moments, default=None)


def refuse_foreign_secret(name: str, observed: Observed) -> None:
    """Raise unless the Secret called `name` is ours or absent.

    Raises:
        Stalled: `SecretConflict`, it belongs to somebody else.
        Waiting: `SecretConflict`, a deleted registration of this name left it behind.
    """
    if observed.secret is None or observed.secret.ours:
        return
    if observed.secret.leftover:
        raise Waiting(
            "SecretConflict",
            f"Secret '{name}' belongs to a deleted registration of this name; it goes as soon as "
            "the garbage collector gets to it",
        )
    raise Stalled(
        "SecretConflict",
        f"Secret '{name}' exists and does not belong to this registration; it is left "
        "untouched. Delete it, or choose another `secret.name` in a new registration",
    )


def _refuse_stranger(desired: Desired, application: Application) -> None:
    if desired.registration.owner_tag in application.tags:
        return
    holder = next((t for t in application.tags if t.startswith(OWNER_TAG_PREFIX)), None)
    raise Stalled(
        "OwnershipConflict",
        f"application {application.app_id} does not carry this registration's owner tag "
        f"'{desired.registration.owner_tag}' (it has: {holder or 'none'}); it is left "
        "untouched. Give it the tag back, or delete this registration",
    )


def _missing_application(desired: Desired, observed: Observed) -> tuple[Action, ...]:
    if observed.deleted_application_id is not None:
        return (RestoreApplication(object_id=observed.deleted_application_id),)
    if observed.recorded_object_id is None:
        return (CreateApplication(changes=_creation(desired), owners=desired.application.owners),)
    if not observed.missing_for_sure:
        raise Waiting(
            "NotYetReplicated",
            f"application {observed.recorded_app_id} is not visible in Entra yet",
        )
    raise Stalled(
        "ApplicationDeleted",
        f"application {observed.recorded_app_id} (object {observed.recorded_object_id}) is "
        "neither in Entra nor in its bin: it was deleted permanently. Delete this registration "
        "and create it again to get a new client id",
    )


def _creation(desired: Desired) -> ApplicationChanges:
    """All that a create can send: an identifier URI with the client id in it must come later."""
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


def _service_principal(observed: Observed) -> tuple[Action, ...]:
    if observed.service_principal_id is not None:
        return ()
    if observed.deleted_service_principal_id is not None:
        return (RestoreServicePrincipal(object_id=observed.deleted_service_principal_id),)
    return (CreateServicePrincipal(),)


def _differences(desired: Desired, application: Application) -> tuple[Action, ...]:
    changes = differences(desired, application)
    return (UpdateApplication(changes=changes),) if changes != ApplicationChanges() else ()


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


def _credential(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> tuple[Action, ...]:
    issue = credentials.due(desired, observed, now, policy)
    if issue is None or desired.credential is None:
        return ()
    if issue.at > now and issue.planned:
        return ()
    if issue.at > now:
        raise Waiting(
            "CredentialRateLimited",
            f"the Secret lost its credential again and again; the next one is issued at "
            f"{issue.at:%Y-%m-%dT%H:%M:%SZ}",
            retry_after=(issue.at - now).total_seconds(),
        )
    if observed.intent is None or not observed.intent.fresh:
        return (RecordIntent(type=desired.credential.type, reason=issue.reason),)
    return (
        IssueCredential(
            nonce=observed.intent.nonce, policy=desired.credential, reason=issue.reason
        ),
    )


def _secret(desired: Desired, observed: Observed, application: Application) -> tuple[Action, ...]:
    secret = observed.secret
    if secret is None:
        return (WriteSecret(reason="SecretMissing"),)
    wanted = resolved(desired.connection, application.app_id)
    unwanted = secret.holds_credential and desired.credential is None
    moved = secret.owner_reference != desired.secret_owned
    if dict(secret.data) != wanted or unwanted or moved or not secret.current:
        return (WriteSecret(reason="SecretDiffers"),)
    return ()


def _revocations(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> tuple[Action, ...]:
    found = credentials.revocations(desired, observed, now, policy)
    return tuple(action for at, action in found if at <= now)


def credential_usable(desired: Desired, observed: Observed, now: datetime) -> bool:
    """Whether the Secret, as observed, holds what a workload needs to sign in right now."""
    if observed.secret is None or not observed.secret.ours:
        return False
    if desired.credential is None:
        return True
    secret = observed.secret
    return secret.credential_intact and (secret.expires_at is None or now < secret.expires_at)


def changed_properties(changes: ApplicationChanges) -> tuple[str, ...]:
    """Return the names of the properties that `changes` sets, for logs and events."""
    return tuple(f.name for f in fields(changes) if getattr(changes, f.name) is not None)
