"""What the tenant does not allow any more goes, even where the registration stands still.

A manifest that is suspended, or cannot be carried out, must not keep what its administrator has
taken off the tenant's list. Grants nothing. Passes that get that far settle it in `consent`.
"""

from __future__ import annotations

import logging
from typing import Final

import structlog

from fhir_app_operator.api.v1alpha1 import Grants
from fhir_app_operator.controller import consent, granting, references, tenant_rules
from fhir_app_operator.controller.census import uses_tenant
from fhir_app_operator.controller.connections import Allowed, Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, NotLeading, OperatorError, Waiting, origin
from fhir_app_operator.planning import account as accounts
from fhir_app_operator.planning import grants
from fhir_app_operator.planning.account import Entry, GrantedApi
from fhir_app_operator.planning.model import ObservedGrants, RecordedGrant

_LOG: Final = structlog.get_logger("narrowing")


async def attempt(world: World, work: Pass) -> bool:
    """Do what `settle` does, beside what the pass ends in; return whether nothing is left.

    Raises:
        Waiting: `Conflict`, the tenant changed meanwhile; `NotLeading`. Nothing else.
    """
    try:
        return await settle(world, work)
    except (Conflict, NotLeading):
        raise
    except OperatorError as error:
        level = logging.DEBUG if isinstance(error, Waiting) else logging.WARNING
        _LOG.log(level, "not taken back", key=work.name, reason=error.reason, message=error.message)
    except Exception as error:  # noqa: BLE001 - it must not hide what the pass ended in
        _LOG.error("unexpected error", key=work.name, error=type(error).__name__, at=origin(error))
    return False


async def settle(world: World, work: Pass) -> bool:
    """Take back what is in the account and no longer allowed; note it in `work`.

    Asks the directory nothing while the account is empty or known to be allowed as it is.

    Returns whether nothing is left to be taken back.

    Raises:
        Conflict: the tenant changed meanwhile.
        Stalled, Waiting: what is granted cannot be read or taken back, or whose it is.
    """
    account = consent.account_of(work)
    if not account:
        return True
    if work.tenant is None:
        work.tenant = await references.tenant_of(world, work.registration)
    tenant, rules = tenant_rules.rules(work)
    if tenant is None or not (tenant.assigns or tenant.consents):
        return True
    connection = work.connection or await world.connections.get(work.tenant)
    uid = work.identity.uid
    if connection.allowed.get(uid) == Allowed(account=account, grants=tenant, policy=rules):
        return True
    apis = await _apis(world, work, connection, account, tenant)
    found = accounts.disallowed(account, apis, tenant, rules)
    if found:
        _note(work, await _take_back(world, work, connection, account, found), apis)
        account = consent.account_of(work)
    done = found.isdisjoint(accounts.entries(account))
    if done:
        connection.allowed[uid] = Allowed(account=account, grants=tenant, policy=rules)
    return done


async def _apis(
    world: World, work: Pass, connection: Connection, account: tuple[RecordedGrant, ...],
    tenant: Grants,
) -> dict[str, GrantedApi]:  # fmt: skip
    found = {}
    for record in account:
        api = await connection.apis.having(record.resource_id, record.app_roles)
        if api is not None:
            found[record.resource_id] = GrantedApi(
                app_id=api.app_id, permissions=api.permissions,
                # Only what is said of servers in general asks whether it is one.
                server=any(entry.api is None for entry in tenant.allowed)
                and await _is_server(world, work, connection, api.app_id),
            )  # fmt: skip
    return found


async def _is_server(world: World, work: Pass, connection: Connection, app_id: str) -> bool:
    """Whether the API is a server with a registration: by the last list of ours, or by status."""
    if connection.inventory.service_principal(app_id) is not None:
        return True
    tenant = work.registration.spec.tenant_ref.name
    async for body in world.registrations.all():
        is_server = uses_tenant(body, tenant) and body["spec"]["type"] == "Resource"
        if is_server and (body.get("status") or {}).get("appId") == app_id:
            return True
    return False


async def _take_back(
    world: World, work: Pass, connection: Connection, account: tuple[RecordedGrant, ...],
    found: frozenset[Entry],
) -> frozenset[Entry]:  # fmt: skip
    """Return what was taken back; `work` has the account, in which stays what no read shows."""
    principal = await connection.principal_of(work.identity)
    if principal is None:
        return frozenset()
    left = accounts.entries(account)
    roles = {each.principal_id is None for each in found if each.kind == "role"}
    assignments = [
        *(await connection.app_role_assignments.of_principal(principal) if True in roles else ()),
        *(await connection.app_role_assignments.of_resource(principal) if False in roles else ()),
    ]
    scopes = any(each.kind == "scope" for each in found)
    consents = await connection.permission_grants.of_client(principal) if scopes else ()
    withdrawn: frozenset[Entry] = frozenset()
    for action in accounts.withdrawals(found, principal, assignments, consents):
        work.granting = action
        await tenant_rules.refuse_outdated(world, work)
        await granting.apply(work, connection, action)
        work.granted.append(action)
        withdrawn |= accounts.withdrawn(action)
        left = accounts.taken_back(left, action, principal)
        work.grants = accounts.records(left)
    work.granting = None
    shown = accounts.shown(
        ObservedGrants(assignments=tuple(assignments), consents=tuple(consents)), principal
    )
    left -= granting.given_up(world, work, connection, found & left, shown - withdrawn)
    work.grants = accounts.records(left)
    return withdrawn | (found - left)


def _note(work: Pass, gone: frozenset[Entry], apis: dict[str, GrantedApi]) -> None:
    if not gone:
        return
    others = work.registration.spec.resource is not None
    what = grants.listed(sorted(_text(each, apis[each.resource_id]) for each in gone))
    work.consent = grants.Report(
        status="False",
        reason="AssignmentMissing" if others else "ConsentMissing",
        message=f"taken back, for the EntraTenant does not allow it any more: {what}",
    )
    work.consent_read = True


def _text(entry: Entry, api: GrantedApi) -> str:
    if entry.kind == "scope":
        return f"scope '{entry.value}' of {api.app_id}"
    value = next(v for v, each in api.permissions.app_roles.items() if each == entry.value)
    whose = f" to {entry.principal_id}" if entry.principal_id else f" of {api.app_id}"
    return f"app role '{value}'{whose}"
