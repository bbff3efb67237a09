"""What a pass would do from here to its end: the plan, folded with the answers it may expect.

Pure. Ids that Entra would choose are shown as placeholders; nothing is sent anywhere.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning import permissions, secret_data
from fhir_app_operator.planning.model import (
    Action,
    Application,
    AwaitDisabled,
    ConfigMapState,
    CreateApplication,
    CreateServicePrincipal,
    DatedCredential,
    DeleteApplication,
    DeleteConfigMap,
    Desired,
    FollowCertificate,
    Intent,
    IssueCredential,
    KeyCredential,
    Observed,
    PasswordCredential,
    Policy,
    Purge,
    RecordIntent,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    SecretState,
    SetFederatedIdentityCredential,
    UpdateApplication,
    UpdateServicePrincipal,
    WriteConfigMap,
    WriteSecret,
)
from fhir_app_operator.planning.plan import plan

NEW_ID: Final = "(chosen by Entra)"
_MAX_STEPS: Final = 50


def forecast(
    desired: Desired, observed: Observed, now: datetime, policy: Policy
) -> tuple[Action, ...]:
    """Return all actions that a pass would take, in order, if everything went well.

    Raises:
        Stalled, Waiting: as `plan` does, for the first step.
    """
    taken: list[Action] = []
    while len(taken) < _MAX_STEPS:
        actions = plan(desired, observed, now, policy)
        if not actions:
            break
        for action in actions:
            observed = fold(desired, observed, action, now)
            taken.append(action)
    return tuple(taken)


def updated(observed: Observed, before: Application, after: Application) -> Observed:
    """Return the world after a PATCH that led from `before` to `after`."""
    disabled = permissions.disabled_by(before.exposure, after.exposure)
    still = observed.unseen_disabled & permissions.disabled(after.exposure)
    return replace(observed, application=after, unseen_disabled=disabled | still)


def fold(  # noqa: C901, PLR0911, PLR0912 - one short arm for each action
    desired: Desired, observed: Observed, action: Action, now: datetime
) -> Observed:
    """Return the world as it is expected to be after `action`."""
    app = observed.application or Application(object_id=NEW_ID, app_id=NEW_ID, created_at=now)
    match action:
        case CreateApplication():
            return replace(observed, application=app.with_changes(action.changes))
        case UpdateApplication():
            return updated(observed, app, app.with_changes(action.changes))
        case AwaitDisabled():
            return replace(observed, unseen_disabled=observed.unseen_disabled - action.ids)
        case RestoreApplication():
            # What it will look like is unknown: take it for what is desired.
            tags = desired.application.tags
            restored = replace(app, object_id=action.object_id, tags=tags)
            return replace(observed, application=restored, deleted_application_id=None)
        case CreateServicePrincipal():
            return replace(observed, service_principal_id=NEW_ID)
        case UpdateServicePrincipal():
            return replace(observed, assignment_required=action.assignment_required)
        case RestoreServicePrincipal():
            return replace(observed, service_principal_id=action.object_id)
        case RecordIntent():
            intent = Intent(nonce="next", requested_at=now, fresh=True, type=action.type)
            return replace(observed, intent=intent)
        case IssueCredential():
            return _issued(desired, observed, app, action, now)
        case FollowCertificate():
            return _followed(desired, observed, app, action, now)
        case SetFederatedIdentityCredential():
            return replace(observed, application=app.with_federated(action.credential))
        case WriteSecret():
            return replace(observed, secret=_written(desired, observed, action, now))
        case WriteConfigMap():
            data = secret_data.data(desired, observed)
            made = ConfigMapState(ours=True, owner_reference=desired.secret_owned, data=data)
            return replace(observed, config_map=made)
        case DeleteConfigMap():
            return replace(observed, recorded_config_map=None)
        case RevokeCredential():
            return replace(observed, application=app.without_credential(action.key_id))
        case DeleteApplication():
            return replace(observed, application=None, deleted_application_id=app.object_id)
        case Purge():
            gone = replace(observed, deleted_application_id=None)
            return gone if action.what == "application" else replace(
                observed, deleted_service_principal_id=None
            )  # fmt: skip


def _issued(
    desired: Desired, observed: Observed, app: Application, action: IssueCredential, now: datetime
) -> Observed:
    certificate = action.policy.type is CredentialType.CERTIFICATE
    credential = (KeyCredential if certificate else PasswordCredential)(
        key_id=f"key-{action.nonce}",
        display_name=desired.registration.credential_name(action.nonce),
        start=now,
        end=now + action.policy.duration,
    )
    return replace(
        observed,
        application=app.with_credential(credential),
        secret=_holding(desired, observed, credential, action.nonce, now),
        intent=Intent(nonce=action.nonce, requested_at=now, type=credential.type),
    )


def _followed(
    desired: Desired, observed: Observed, app: Application, action: FollowCertificate, now: datetime
) -> Observed:
    wanted = action.certificate
    name = desired.registration.credential_name(wanted.nonce)
    key = KeyCredential(key_id=action.key_id, display_name=name, start=now, end=wanted.end)
    secret = _holding(desired, observed, key, wanted.nonce, now)
    app = app.without_credential(action.key_id).with_credential(key)
    return replace(observed, application=app, secret=secret)


def _holding(
    desired: Desired, observed: Observed, credential: DatedCredential, nonce: str, now: datetime
) -> SecretState:
    return replace(
        _published(desired, observed, now),
        type=credential.type,
        credential_keys=desired.credential_keys[credential.type],
        holds_credential=True,
        key_id=credential.key_id,
        nonce=nonce,
        expires_at=credential.end,
    )


def _published(desired: Desired, observed: Observed, now: datetime) -> SecretState:
    """The Secret as a publication at `now` leaves it, but for the credential."""
    return SecretState(
        ours=True,
        owner_reference=desired.secret_owned,
        template=desired.secret_template,
        data=secret_data.data(desired, observed),
        credential_intact=True,
        written_at=now,
    )


def _written(
    desired: Desired, observed: Observed, action: WriteSecret, now: datetime
) -> SecretState:
    if action.federated:
        return replace(_published(desired, observed, now), type=CredentialType.FEDERATED_IDENTITY)
    before = observed.secret or SecretState(ours=True)
    keep = desired.credential is not None
    moved = keep and before.type is not None and before.credential_intact
    return replace(
        before,
        current=True,
        owner_reference=desired.secret_owned,
        template=desired.secret_template,
        data=secret_data.data(desired, observed),
        credential_keys=desired.credential_keys[before.type]
        if moved and before.type
        else before.credential_keys,
        holds_credential=before.holds_credential and keep,
        credential_intact=before.credential_intact and keep,
    )
