"""What a pass tells people in events: turns of the conditions, repairs, things of others.

Pure. A pass that changed nothing has nothing to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fhir_app_operator.api.v1alpha1 import Condition
from fhir_app_operator.planning import federation, pre_authorization
from fhir_app_operator.planning.conditions import ABNORMAL, find
from fhir_app_operator.planning.credentials import REVOCATION, ours
from fhir_app_operator.planning.differences import changed_properties, ownership
from fhir_app_operator.planning.following import CHANGED
from fhir_app_operator.planning.issuance import PLANNED
from fhir_app_operator.planning.model import (
    Action,
    Application,
    CreateServicePrincipal,
    Desired,
    FollowCertificate,
    IssueCredential,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    SetFederatedIdentityCredential,
    UpdateApplication,
    UpdateServicePrincipal,
    WriteConfigMap,
    WriteSecret,
)
from fhir_app_operator.planning.retirement import UNMANAGED as FOREIGN

RENEWED = "CredentialRenewed"
REPAIRED = "DriftRepaired"
REMOVED = "CredentialsOfOthersRemoved"
PERMISSIONS_REMOVED = "PermissionsRemoved"
_LISTED = 20
"""How many values a note lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing worth an event; `reason` is the condition's where a condition turned."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


def turns(before: Iterable[Condition], after: Iterable[Condition]) -> tuple[Notice, ...]:
    """Return a notice for Ready or Synced, if one turned, and for each warning that came up."""
    before, after = tuple(before), tuple(after)
    warned = [_turned(before, after, kind) for kind in ABNORMAL]
    warnings = [Notice(type="Warning", reason=c.type, note=c.message) for c in warned if c]
    return (*_turn(before, after), *warnings)


def _turn(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> tuple[Notice, ...]:
    """Ready speaks for both."""
    ready, synced = (_turned(before, after, kind) for kind in ("Ready", "Synced"))
    if ready is not None:
        return (_of(ready),)
    if synced is not None and (synced.status == "False" or find(before, "Synced") is not None):
        return (_of(synced),)
    return ()


def _turned(
    before: tuple[Condition, ...], after: tuple[Condition, ...], kind: str
) -> Condition | None:
    old, new = find(before, kind), find(after, kind)
    if new is None or (old and (old.status, old.reason) == (new.status, new.reason)):
        return None
    return new


def _of(condition: Condition) -> Notice:
    kind: Literal["Normal", "Warning"] = "Warning" if condition.status == "False" else "Normal"
    return Notice(type=kind, reason=condition.reason, note=condition.message)


def repairs(applied: Sequence[Action]) -> tuple[str, ...]:
    """Return what was repaired, as the property or object that differed.

    Only meaningful for a pass that found the spec as it was when the registration became Ready:
    whatever was done then was not asked for by a new spec.
    """
    found: list[str] = []
    for action in applied:
        match action:
            case UpdateApplication():
                found += changed_properties(action.changes)
            case RestoreApplication():
                found.append("application")
            case RestoreServicePrincipal() | CreateServicePrincipal():
                found.append("service_principal")
            case UpdateServicePrincipal():
                found.append("app_role_assignment_required")
            case SetFederatedIdentityCredential():
                found.append("credential")
            case WriteSecret():
                found.append("secret")
            case WriteConfigMap():
                found.append("config_map")
            case IssueCredential() | FollowCertificate() if not _is_planned(action):
                found.append("credential")
            case _:
                pass
    return tuple(dict.fromkeys(found))


def of_actions(applied: Sequence[Action]) -> tuple[Notice, ...]:
    """Return the notices about renewals and repairs of a registration that was Ready before."""
    found: list[Notice] = []
    repaired = repairs(applied)
    if repaired:
        note = f"brought back to the declared state: {', '.join(repaired)}"
        found.append(Notice(type="Normal", reason=REPAIRED, note=note))
    if rotation(applied, None) == "success":
        ended = any(isinstance(a, RevokeCredential) and a.reason == REVOCATION for a in applied)
        note = "a new credential is in the Secret; the old one " + (
            "has ended, as was asked for" if ended else "stays valid for the overlap"
        )
        found.append(Notice(type="Normal", reason=RENEWED, note=note))
    removed = [a.key_id for a in applied if isinstance(a, RevokeCredential) and a.reason == FOREIGN]
    if removed:
        note = f"`credential.unmanaged` is Remove: credentials of others: {', '.join(removed)}"
        found.append(Notice(type="Normal", reason=REMOVED, note=note))
    return tuple(found)


def removals(applied: Sequence[Action], withdrawn: Sequence[str] = ()) -> tuple[Notice, ...]:
    """Return the notice about app roles and scopes that are gone, whoever asked for it.

    Args:
        applied: the actions that were taken.
        withdrawn: the clients whose grants of them the operator took back.
    """
    gone = [v for a in applied if isinstance(a, UpdateApplication) for v in a.removes]
    if not gone:
        return ()
    note = f"app roles and scopes removed: {_listed(gone)}; grants of them ended"
    note += f", and were taken back from: {_listed(withdrawn)}" if withdrawn else ""
    return (Notice(type="Normal", reason=PERMISSIONS_REMOVED, note=note),)


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more


def rotation(
    applied: Sequence[Action], failed: Action | None
) -> Literal["success", "failure"] | None:
    """Return how the renewal of a credential that was due ended; None if none was tried.

    Args:
        applied: the actions that were taken.
        failed: the action that ended the pass, if one did.
    """
    new = IssueCredential | FollowCertificate
    if any(isinstance(action, new) and _is_planned(action) for action in applied):
        return "success"
    return "failure" if failed is not None and _is_planned(failed) else None


def _is_planned(action: Action) -> bool:
    return action.reason in (*PLANNED, CHANGED)


def unmanaged(desired: Desired, application: Application) -> str:
    """Return in words what others made on our application; empty if there is nothing."""
    own = {credential.key_id for credential in ours(desired, application.credentials)}
    secrets = sum(password.key_id not in own for password in application.passwords)
    certificates = sum(key.key_id not in own for key in application.keys)
    mine = {each.name for each in federation.ours(desired.registration, application.federated)}
    federated = sum(each.name not in mine for each in application.federated)
    declared = {entry.value for entry in desired.application.exposure.entries}
    ours_of = ownership(desired, application).is_ours
    roles = sum(e.value not in declared and not ours_of(e) for e in application.app_roles)
    scopes = sum(e.value not in declared and not ours_of(e) for e in application.scopes)
    clients = pre_authorization.unmanaged(desired.application.pre_authorization, application)
    counts = (
        (secrets, "client secret"), (certificates, "certificate"),
        (federated, "federated credential"), (roles, "app role"), (scopes, "scope"),
        (clients, "pre-authorized client"),
    )  # fmt: skip
    return ", ".join(f"{n} {what}{'s' if n > 1 else ''}" for n, what in counts if n)
