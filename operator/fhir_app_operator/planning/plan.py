"""What is to be done next, and why: the heart of the operator, without any I/O.

`plan` is called again after every step that was applied, with the answer folded in, until it is
empty. Ownership is decided here, so that a fault in applying cannot touch a stranger's object.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from fhir_app_operator.api import names
from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.planning import (
    config_map,
    credentials,
    federation,
    following,
    issuance,
    permissions,
    retirement,
    secret_data,
)
from fhir_app_operator.planning.differences import creation, differences
from fhir_app_operator.planning.model import (
    OWNER_TAG_PREFIX,
    Action,
    Application,
    ApplicationChanges,
    AwaitDisabled,
    CreateApplication,
    CreateServicePrincipal,
    DeleteApplication,
    Desired,
    Federation,
    IssueCredential,
    IssuePolicy,
    Observed,
    Policy,
    Purge,
    RecordIntent,
    Registration,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    UpdateApplication,
    UpdateServicePrincipal,
    WriteSecret,
)


def plan(desired: Desired, observed: Observed, now: datetime, policy: Policy) -> tuple[Action, ...]:
    """Return the next actions; empty when the world is as desired.

    The first row that applies decides; only actions whose inputs are known now are returned.

    | # | observed                                          | action or error                  |
    |---|---------------------------------------------------|----------------------------------|
    | 1 | a Secret of that name that is not ours            | Stalled SecretConflict (Waiting  |
    |   |                                                   | if it is about to be collected); |
    |   |                                                   | a ConfigMap: ConfigMapConflict   |
    | 2 | no application, ours is in the bin                | RestoreApplication               |
    | 3 | no application, status names one, not sure yet    | Waiting NotYetReplicated         |
    | 4 | no application, status names one                  | Stalled ApplicationDeleted       |
    | 5 | no application                                    | CreateApplication                |
    | 6 | an application without our owner tag              | Stalled OwnershipConflict        |
    | 7 | no service principal, ours is in the bin          | RestoreServicePrincipal          |
    | 8 | no service principal, or one that differs         | CreateServicePrincipal,          |
    |   |                                                   | UpdateServicePrincipal           |
    | 9 | a property differs                                | UpdateApplication (disabling an  |
    |   |                                                   | enabled role or scope first,     |
    |   |                                                   | then AwaitDisabled)              |
    |10 | the clocks differ too much                        | WriteSecret as in row 15, else   |
    |   |                                                   | Waiting ClockSkew                |
    |11 | credentials past their overlap or grace           | RevokeCredential, each           |
    |12 | no good credential in the Secret, or one to renew | RecordIntent, then               |
    |   | or to rotate                                      | IssueCredential for that intent  |
    |13 | a followed certificate that is not in the Secret  | FollowCertificate                |
    |14 | a ServiceAccount is not trusted, or otherwise     | SetFederatedIdentityCredential   |
    |15 | the Secret's data or metadata differ              | WriteSecret                      |
    |16 | a ConfigMap that is no longer asked for           | DeleteConfigMap                  |
    |17 | the ConfigMap that is asked for differs           | WriteConfigMap                   |

    Raises:
        Stalled, Waiting: as in the table, and Waiting `CredentialRateLimited` in row 12.
    """
    refuse_foreign_secret(desired.secret_name, observed)
    config_map.refuse_foreign(desired.config_map, observed)
    if not desired.own_application:
        return _secret(desired, observed) or config_map.due(desired, observed)
    application = observed.application
    if application is None:
        return _missing_application(desired, observed)
    _refuse_stranger(desired, application)
    steps: tuple[Callable[[], tuple[Action, ...]], ...] = (
        partial(_service_principal, desired, observed),
        partial(_differences, desired, observed, application),
        partial(_skew, desired, observed, policy),
        # First what must go, so that issues that fail again and again cannot pile up.
        partial(_revocations, desired, observed, now, policy),
        partial(_credential, desired, observed, now, policy),
        partial(following.due, desired, observed, now, policy),
        partial(federation.missing, desired, observed),
        partial(_secret, desired, observed),
        partial(config_map.due, desired, observed),
    )
    return next((actions for step in steps if (actions := step())), ())


def credential_plan(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> tuple[Action, ...]:
    """Return rows 10 to 12 only: what keeps a credential alive while the rest has to wait.

    Raises:
        Stalled, Waiting: as `plan`.
    """
    if observed.application is None:
        return ()
    _refuse_stranger(desired, observed.application)
    frozen = skewed(observed, policy)
    if frozen is not None:
        raise frozen
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
    reason = "RegistrationDeleted"
    revoked = [
        RevokeCredential(type=p.type, key_id=p.key_id, reason=reason)
        for p in application.credentials
        if registration.nonce_of(p.display_name) is not None
    ]
    revoked += [
        federation.revoke(each, reason)
        for each in federation.ours(registration, application.federated)
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
    moments = [at for at, _ in retirement.revocations(desired, observed, now, policy)]
    settles = credentials.certificate_settles(observed, policy)
    if settles is not None and settles > now:
        moments.append(settles)
    issue = issuance.due(desired, observed, now, policy)
    if issue is not None:
        moments.append(issue.at)
    elif (planned := issuance.next_planned(desired, observed)) is not None:
        moments.append(planned)
    elif (
        isinstance(desired.credential, IssuePolicy)
        and observed.secret
        and (observed.secret.written_at)
    ):
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
        return (CreateApplication(changes=creation(desired), owners=desired.application.owners),)
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


def _service_principal(desired: Desired, observed: Observed) -> tuple[Action, ...]:
    wanted = desired.assignment_required
    if observed.service_principal_id is not None:
        if wanted in (None, observed.assignment_required):
            return ()
        return (UpdateServicePrincipal(assignment_required=wanted),)
    if observed.deleted_service_principal_id is not None:
        return (RestoreServicePrincipal(object_id=observed.deleted_service_principal_id),)
    return (CreateServicePrincipal(),)


def _differences(
    desired: Desired, observed: Observed, application: Application
) -> tuple[Action, ...]:
    changes = differences(desired, application)
    if changes == ApplicationChanges():
        return ()
    before, after = application.exposure, application.with_changes(changes).exposure
    unseen = permissions.changed_although(observed.unseen_disabled, before, after)
    if unseen:
        return (AwaitDisabled(ids=unseen, values=permissions.values(before, unseen)),)
    disabled = permissions.disabled_by(before, after)
    return (
        UpdateApplication(
            changes=changes,
            disables=permissions.values(before, disabled),
            removes=permissions.values(permissions.without(before, after)),
        ),
    )


def _credential(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> tuple[Action, ...]:
    issue = issuance.due(desired, observed, now, policy)
    if issue is None or not isinstance(desired.credential, IssuePolicy):
        return ()
    if issue.at > now:
        return _later(issue, now)
    if observed.intent is None or not observed.intent.fresh:
        return (RecordIntent(type=desired.credential.type, reason=issue.reason),)
    return (
        IssueCredential(
            nonce=observed.intent.nonce, policy=desired.credential, reason=issue.reason
        ),
    )


def _later(issue: issuance.Issue, now: datetime) -> tuple[Action, ...]:
    """Go on without it while the old credential works, else say when the next one comes."""
    if issue.planned:
        return ()
    why = (
        f"as many credentials as there may be ({credentials.MOST}) exist and may be in "
        f"use; the annotation {names.REVOKE_PREVIOUS_REQUESTED_ANNOTATION} ends the older ones"
        if issue.crowded
        else "the Secret lost its credential again and again"
    )
    raise Waiting(
        "CredentialRateLimited",
        f"{why}; the next one is issued at {issue.at:%Y-%m-%dT%H:%M:%SZ}",
        retry_after=(issue.at - now).total_seconds(),
    )


def _skew(desired: Desired, observed: Observed, policy: Policy) -> tuple[Action, ...]:
    """Repair what needs no clock; a wrong one must neither issue nor retire anything.

    Nor may it take the Secret's credential away: the overlap would be counted from a wrong moment.
    """
    frozen = skewed(observed, policy)
    if desired.credential is None or frozen is None:
        return ()
    repair = () if observed.secret is None else _secret(desired, observed)
    if not repair or any(write.federated for write in repair):
        raise frozen
    return repair


def skewed(observed: Observed, policy: Policy) -> Waiting | None:
    """Return what to say while the clocks differ too much to issue or retire; None: they agree."""
    skew = observed.clock_skew
    if skew is None or abs(skew) <= policy.max_skew:
        return None
    which = "ahead of" if skew > timedelta(0) else "behind"
    return Waiting(
        "ClockSkew",
        f"the operator's clock is more than {policy.max_skew.total_seconds() / 60:.0f} minutes "
        f"{which} Microsoft Graph's: no credential is issued or retired until the node's clock is "
        "right",
        retry_after=60.0,
    )


def _secret(desired: Desired, observed: Observed) -> tuple[WriteSecret, ...]:
    secret = observed.secret
    federated = isinstance(desired.credential, Federation)
    if secret is None:
        return (WriteSecret(reason="SecretMissing", federated=federated),)
    if federated and not credentials.is_federated(secret):
        return (WriteSecret(reason="CredentialTypeChanged", federated=True),)
    wanted = secret_data.data(desired, observed)
    unwanted = secret.holds_credential and desired.credential is None
    unwanted = unwanted or not secret_data.is_placed(desired, secret)
    moved = secret.owner_reference != desired.secret_owned
    moved = moved or secret.template != desired.secret_template
    if dict(secret.data) != wanted or unwanted or moved or not secret.current:
        return (WriteSecret(reason="SecretDiffers"),)
    return ()


def _revocations(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> tuple[Action, ...]:
    found = retirement.revocations(desired, observed, now, policy)
    return tuple(action for at, action in found if at <= now)


def credential_usable(desired: Desired, observed: Observed, now: datetime) -> bool:
    """Whether the Secret, as observed, holds what a workload needs to sign in right now."""
    if observed.secret is None or not observed.secret.ours:
        return False
    if desired.credential is None:
        return True
    secret = observed.secret
    return secret.credential_intact and (secret.expires_at is None or now < secret.expires_at)
