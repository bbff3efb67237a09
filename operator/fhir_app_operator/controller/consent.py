"""The last step of a pass: what is granted to the registration, and who can grant the rest.

Its outcome is the condition `ConsentGranted` and never that of the pass: a consent that is missing,
or cannot be read, stops nobody from being Ready. What is decided comes from `planning.grants`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from fhir_app_operator.controller import granting
from fhir_app_operator.controller.connections import Connection, Reviewed
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, NotLeading, OperatorError, Waiting
from fhir_app_operator.planning import account as accounts
from fhir_app_operator.planning import assignments, conditions, grants
from fhir_app_operator.planning.credentials import share
from fhir_app_operator.planning.forecast import NEW_ID
from fhir_app_operator.planning.model import (
    AppRole,
    CreateServicePrincipal,
    GrantAction,
    ObservedGrants,
    RecordedGrant,
)


async def settle(world: World, work: Pass, connection: Connection) -> bool:
    """Grant, take back and note in `work` what is missing, if it is time to look.

    Returns False if it was, and what is granted could not be read.

    Raises:
        Waiting: `Conflict`, registration or tenant changed meanwhile; `NotLeading`. Nothing else.
    """
    wanted, status = work.wanted().grants, work.registration.status
    if not wanted.apis and not wanted.assignments and not status.grants:
        url = _url(work, connection)
        work.consent = (
            grants.report(wanted, ObservedGrants(), url) if wanted.concerns_users else None
        )
        work.consent_read = True
        return True
    if not await _is_due(world, work, connection):
        return True
    readable = True
    try:
        work.consent = await _settle(world, work, connection)
        work.consent_read = True
    except (Conflict, NotLeading):
        raise
    except OperatorError as error:
        readable = bool(work.granted) or work.granting is not None
        _note_failure(work, connection, error)
    # What failed is looked for again by the rules for what is missing.
    checked = work.granting is None and bool(work.grants)
    connection.consents[work.identity.uid] = Reviewed(
        at=world.clock(), wanted=wanted,
        # What could not be read is looked for again.
        settled=work.consent_read and (work.consent is None or work.consent.status == "True"),
        hidden=checked and await _holds_unwanted(work, connection),
    )  # fmt: skip
    return readable


def _note_failure(work: Pass, connection: Connection, error: OperatorError) -> None:
    """Say what failed; while the weather hides what is granted, what was said before stays."""
    reading = not work.granted and work.granting is None
    before = conditions.find(work.registration.status.conditions, conditions.CONSENT)
    if reading and before is not None and isinstance(error, Waiting):
        return
    url = None if work.wanted().grants.assignments else _url(work, connection)
    work.consent = grants.unsettled(error, url, unreadable=reading)
    work.consent_read = True


def next_look(work: Pass, connection: Connection, window: timedelta) -> datetime | None:
    """Return when to look again for what is missing, or to be taken back and not shown.

    None: not by itself. `window` is for how long a read may be behind.
    """
    known = connection.consents.get(work.identity.uid)
    if known is not None and known.hidden:
        return known.at + window
    if known is None or known.settled:
        return None
    return known.at + _interval(work, connection, known.at)


async def _is_due(world: World, work: Pass, connection: Connection) -> bool:
    """Whether to read: in each pass that reads the application, and while consent is missing.

    After a start, the looks for what is missing are spread by the UID's digits.
    """
    uid, now, wanted = work.identity.uid, world.clock(), work.wanted().grants
    condition = conditions.find(work.registration.status.conditions, conditions.CONSENT)
    if work.entra_read or condition is None:
        return True
    known = connection.consents.get(uid)
    if known is None:
        # The tenant may have become narrower while nobody looked.
        if await _holds_unwanted(work, connection):
            return True
        settled = condition.status == "True"
        known = Reviewed(at=now, wanted=wanted, settled=settled)
        connection.consents[uid] = known
        known = replace(known, at=now - share(uid) * _interval(work, connection, now))
        connection.consents[uid] = known
    if known.wanted != wanted:
        return True
    due = next_look(work, connection, world.policy.replication_window)
    return due is not None and due <= now


async def _holds_unwanted(work: Pass, connection: Connection) -> bool:
    """Whether something of the account is to be taken back; one that cannot be told may be."""
    account = account_of(work)
    if not account:
        return False
    wanted, application = work.wanted().grants, work.observed.application
    try:
        resources = {
            api.app_id: await connection.apis.service_principal(api.app_id) or ""
            for api in wanted.apis
        }
    except OperatorError:
        return True
    known = ObservedGrants(
        resources=resources, recorded=account,
        own_roles=_own_roles(application.app_roles if application else ()),
    )  # fmt: skip
    return bool(accounts.unwanted(wanted, known, work.observed.service_principal_id or NEW_ID))


def account_of(work: Pass) -> tuple[RecordedGrant, ...]:
    """Return the account as this pass left it, or found it."""
    return accounts.of_status(work.registration.status) if work.grants is None else work.grants


def _own_roles(roles: Iterable[AppRole]) -> dict[str, str]:
    return {role.value: role.id for role in roles if role.is_enabled}


def _interval(work: Pass, connection: Connection, looked_at: datetime) -> timedelta:
    """How long to wait after a look: by the age it had then, or the next would never come."""
    condition = conditions.find(work.registration.status.conditions, conditions.CONSENT)
    age = looked_at - condition.last_transition_time if condition else timedelta(0)
    pending = sum(not known.settled for known in connection.consents.values())
    return grants.recheck_after(age, pending)


async def foreseen(
    work: Pass, connection: Connection
) -> tuple[tuple[GrantAction, ...], grants.Report | None]:
    """Return what a pass would grant and take back, and what it would say; writes nothing.

    Raises:
        Stalled, Waiting: what is granted cannot be read.
    """
    wanted, application = work.wanted().grants, work.observed.application
    nothing = not wanted.apis and not wanted.assignments and not wanted.concerns_users
    if nothing and not work.registration.status.grants:
        return (), None
    observed = await _observe(work, connection)
    actions = _plan(work, observed)
    for action in actions:
        observed = grants.fold(observed, action)
    url = connection.directory.admin_consent_url(application.app_id if application else NEW_ID)
    return actions, _report(work, connection, observed, url)


async def _settle(world: World, work: Pass, connection: Connection) -> grants.Report | None:
    observed = await _observe(work, connection)
    actions = _plan(work, observed)
    observed = await granting.carry_out(world, work, connection, actions, observed)
    own_id, left = work.observed.service_principal_id or NEW_ID, accounts.entries(observed.recorded)
    shown = accounts.shown(observed, own_id)
    work.grants = accounts.records(left - granting.given_up(world, work, connection, left, shown))
    return _report(work, connection, observed, _url(work, connection))


def _plan(work: Pass, observed: ObservedGrants) -> tuple[GrantAction, ...]:
    wanted, own_id = work.wanted().grants, work.observed.service_principal_id or NEW_ID
    return (
        *grants.plan(wanted, observed),
        *assignments.plan(wanted, observed, own_id),
    )


def _report(
    work: Pass, connection: Connection, observed: ObservedGrants, url: str
) -> grants.Report | None:
    wanted, own_id = work.wanted().grants, work.observed.service_principal_id or NEW_ID
    if wanted.assignments:
        graph_url = connection.directory.graph_url
        return assignments.report(wanted, observed, own_id, graph_url)
    if not wanted.apis and not wanted.asks_users:
        return None
    return grants.report(wanted, observed, url)


async def _observe(work: Pass, connection: Connection) -> ObservedGrants:
    """Read what is granted; a service principal that was made in this pass has nothing yet."""
    wanted, principal = work.wanted().grants, work.observed.service_principal_id
    account = accounts.of_status(work.registration.status)
    fresh = principal is None or any(
        isinstance(action, CreateServicePrincipal) for action in work.applied
    )
    if work.registration.spec.resource is not None:
        return await _observe_others(work, connection, account, fresh=fresh)
    if fresh and not account and not any(
        api.grantable_roles or api.grantable_scopes for api in wanted.apis
    ):  # fmt: skip
        return ObservedGrants()
    resources = {}
    for api in wanted.apis:
        found = await connection.apis.service_principal(api.app_id)
        if found is not None:
            resources[api.app_id] = found
    roles = any(api.app_roles for api in wanted.apis) or any(each.app_roles for each in account)
    scopes = any(api.scopes for api in wanted.apis) or any(each.scopes for each in account)
    return ObservedGrants(
        resources=resources,
        assignments=await connection.app_role_assignments.of_principal(principal)
        if roles and principal and not fresh else (),
        consents=await connection.permission_grants.of_client(principal)
        if scopes and principal and not fresh else (),
        recorded=account,
    )  # fmt: skip


async def _observe_others(
    work: Pass, connection: Connection, account: tuple[RecordedGrant, ...], *, fresh: bool
) -> ObservedGrants:
    """Read who holds the registration's own app roles."""
    principal, application = work.observed.service_principal_id, work.observed.application
    roles = application.app_roles if application else ()
    return ObservedGrants(
        assignments=await connection.app_role_assignments.of_resource(principal)
        if principal and not fresh else (),
        recorded=account,
        own_app_id=application.app_id if application else "",
        own_roles=_own_roles(roles),
    )  # fmt: skip


def _url(work: Pass, connection: Connection) -> str:
    return connection.directory.admin_consent_url(work.known_application().app_id)
