"""Writes: each grant and each withdrawal, accounted for before and checked right before it is sent.

What there is to grant is `planning.grants`'s; when to look, and what to say of it, `consent`'s.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_app_operator.api.v1alpha1 import RegistrationStatus
from fhir_app_operator.controller import fhir_servers, references, tenant_rules
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.status import recorded, write_status
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, NotLeading, OperatorError, Stalled, Waiting
from fhir_app_operator.planning import account as accounts
from fhir_app_operator.planning import grants
from fhir_app_operator.planning.account import Entry
from fhir_app_operator.planning.forecast import NEW_ID
from fhir_app_operator.planning.model import (
    AssignAppRole,
    ConsentToScopes,
    GrantAction,
    ObservedGrants,
    RecordedGrant,
    UnassignAppRole,
    WithdrawScopes,
)


async def carry_out(
    world: World, work: Pass, connection: Connection, actions: tuple[GrantAction, ...],
    observed: ObservedGrants,
) -> ObservedGrants:  # fmt: skip
    """Take the `actions`, accounted for before; return what is granted then, and the account.

    What was granted, and the account as it stands, are noted in `work` even if something fails: one
    principal that is not there must not stand in the way of the others.

    Raises:
        Conflict, NotLeading: at once.
        Stalled, Waiting: the first failure, once all was tried.
    """
    own_id = work.observed.service_principal_id or NEW_ID
    known = left = accounts.entries(observed.recorded)
    if actions:
        intended = accounts.intended(observed.recorded, actions)
        await _record_intent(world, work, intended)
        left = accounts.entries(intended)
    failure: OperatorError | None = None
    not_granted: frozenset[Entry] = frozenset()
    for action in actions:
        work.granting, sent = action, False
        try:
            await _refuse_outdated(world, work, connection, action)
            before = await _before(work, connection, action)
            sent = True
            await _send(work, connection, action, before)
        except (Conflict, NotLeading):
            raise
        except OperatorError as error:
            failure = failure or _named(action, error)
            if not sent or isinstance(error, Stalled):
                not_granted |= accounts.given(action) - known
            continue
        work.granted.append(action)
        observed = grants.fold(observed, action)
        left = accounts.taken_back(left, action, own_id)
    # What an administrator may grant from here on must not be taken for ours.
    work.grants = accounts.records(left - not_granted)
    if failure is not None:
        raise failure
    work.granting = None
    return replace(observed, recorded=work.grants)


def _named(action: GrantAction, error: OperatorError) -> OperatorError:
    """Say for whom it failed, where that is not the registration itself."""
    if isinstance(action, AssignAppRole) and action.principal_id is not None:
        error.message = f"app role '{action.value}' to {action.principal_id}: {error.message}"
    return error


async def _record_intent(world: World, work: Pass, account: tuple[RecordedGrant, ...]) -> None:
    """Write, guarded, what is about to be granted: a grant must never be there unaccounted for."""
    before = work.registration.status
    status = RegistrationStatus.model_validate(
        before.model_dump() | recorded(work) | {"grants": as_status(account)}
    )
    if status != before:
        await write_status(world, work, status)


def as_status(account: tuple[RecordedGrant, ...]) -> list[dict[str, object]]:
    """Return `account` in the form of `status.grants`."""
    return [
        {
            "resource_id": each.resource_id,
            "principal_id": each.principal_id,
            "app_roles": sorted(each.app_roles),
            "scopes": sorted(each.scopes),
        }
        for each in account
    ]


async def _refuse_outdated(
    world: World, work: Pass, connection: Connection, action: GrantAction
) -> None:
    """Check what is about to be written against manifest, tenant and API as they are right now.

    What a role's id stands for may have changed, and so may the spec or the allow-list, since the
    pass began.

    Raises:
        Conflict: registration or tenant say something else now.
        Stalled: `NamespaceNotAllowed`.
        Waiting: `NotYetReplicated`, the API does; `FhirServerNotFound`, its registration does not
            allow this one's namespace any more; `NamespaceTerminating`, `TenantNotReady`.
    """
    identity, before = work.identity, work.registration.metadata
    live = await world.registrations.registration(identity.namespace, identity.name)
    if live is None or live.metadata.deletion_timestamp is not None or (
        (live.metadata.uid, live.metadata.generation) != (before.uid, before.generation)
    ):  # fmt: skip
        raise Conflict("the registration changed before it was granted anything")
    tenant = await tenant_rules.refuse_outdated(world, work)
    if isinstance(action, AssignAppRole | ConsentToScopes):
        work.namespace_labels = await references.refuse_namespace(world, tenant, identity.namespace)
        await fhir_servers.refuse_withdrawn(world, work, connection, action.app_id)
        api = await connection.apis.writable(action.app_id, action.resource_id)
        if not grants.is_exposed(action, api.permissions):
            raise Waiting(
                "NotYetReplicated",
                f"{action.app_id} does not expose what is to be granted on it as it did before",
            )


async def apply(work: Pass, connection: Connection, action: GrantAction) -> None:
    """Grant `action`, or take it back.

    Raises:
        Stalled, Waiting: by consequence.
    """
    await _send(work, connection, action, await _before(work, connection, action))


async def _before(work: Pass, connection: Connection, action: GrantAction) -> frozenset[str]:
    """Return the scopes of the grant that `action` is to change, as late as can be.

    With what this pass has done to the grant already: the read may come from a replica behind.
    """
    if not isinstance(action, ConsentToScopes | WithdrawScopes) or action.grant_id is None:
        return frozenset()
    scopes = await connection.permission_grants.scopes(action.grant_id)
    for done in work.granted:
        if isinstance(done, WithdrawScopes) and done.grant_id == action.grant_id:
            scopes -= done.removed
        elif isinstance(done, ConsentToScopes) and done.grant_id == action.grant_id:
            scopes |= done.added
    return scopes


async def _send(
    work: Pass, connection: Connection, action: GrantAction, before: frozenset[str]
) -> None:
    match action:
        case AssignAppRole():
            await connection.app_role_assignments.assign(
                action.principal_id or _principal(work),
                action.resource_id,
                action.app_role_id,
                others=action.principal_id is not None,
            )
        case UnassignAppRole():
            await connection.app_role_assignments.remove(action.assignment)
        case ConsentToScopes(grant_id=str(grant_id)):
            await connection.permission_grants.set_scopes(grant_id, before | action.added)
        case ConsentToScopes():
            await connection.permission_grants.create(
                _principal(work), action.resource_id, action.added
            )
        case WithdrawScopes():
            await connection.permission_grants.set_scopes(action.grant_id, before - action.removed)


def _principal(work: Pass) -> str:
    """The registration's own service principal: nothing is granted to anybody else."""
    found = work.observed.service_principal_id
    if found is None:
        msg = "grants were looked at before the service principal was made"
        raise RuntimeError(msg)
    return found


def given_up(
    world: World, work: Pass, connection: Connection, expected: frozenset[Entry],
    shown: frozenset[Entry],
) -> frozenset[Entry]:  # fmt: skip
    """Note which of `expected` a read did not show; return what has not been for too long."""
    now, uid = world.clock(), work.identity.uid
    missed = accounts.missed(expected, shown, connection.missed.get(uid, {}), now)
    gone = accounts.given_up(missed, now, world.policy.doubt)
    connection.missed[uid] = {entry: at for entry, at in missed.items() if entry not in gone}
    return gone
