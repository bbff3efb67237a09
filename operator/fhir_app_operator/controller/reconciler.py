"""One registration, one pass: observe, desired, plan, apply, record.

Level-triggered: never asks what changed. Every pass reads the registration live and ends in one
status write at most; a pass that finds nothing to do writes nothing at all.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from fhir_app_operator.api.v1alpha1 import AppType, CredentialType, FhirAppRegistration
from fhir_app_operator.controller import (
    consent,
    holds,
    narrowing,
    observe,
    record,
    references,
    tenant_rules,
)
from fhir_app_operator.controller.apply import apply
from fhir_app_operator.controller.connections import Connection, Unlisted
from fhir_app_operator.controller.finalize import finalize
from fhir_app_operator.controller.keys import RegistrationKey
from fhir_app_operator.controller.status import write_status
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, NotLeading, OperatorError, Waiting, origin
from fhir_app_operator.graph.governor import BACKGROUND
from fhir_app_operator.planning import conditions, config_map, notices, policy, requests
from fhir_app_operator.planning.model import (
    Action,
    CreateApplication,
    Desired,
    Federation,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    SetFederatedIdentityCredential,
)
from fhir_app_operator.planning.plan import credential_plan, next_due, plan

_MAKES: Final = (CreateApplication, RestoreApplication, RestoreServicePrincipal)
_UNLISTED: Final = (CredentialType.CERTIFICATE, CredentialType.FEDERATED_IDENTITY)
_RECOUNT: Final = timedelta(minutes=1)
"""When the clients of a server are counted again if they could not be."""
MAX_ROUNDS: Final = 25
"""Steps of one pass; more means that planning and applying disagree."""


CountClients = Callable[[FhirAppRegistration], Awaitable[int | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a pass ended.

    Args:
        result: `success`, `waiting`, `stalled` or `gone`, for metrics and logs.
        reason: for `waiting` and `stalled`: the condition's, where there was an error.
        due: how long until time alone makes another pass necessary; None: nothing is due.
        retry_after: for `waiting`: how long the other side wants to be left alone.
        throttled: for `waiting`: not even an event may try before `retry_after`.
        changed: whether status changed, so that dependents should look; a count of them is no news.
        repaired: what had drifted and was put right, by property or object.
        rotation: how a renewal that was due ended, `success` or `failure`.
        registration: the object as it was at the end.
    """

    result: str
    reason: str | None = None
    due: timedelta | None = None
    retry_after: float | None = None
    throttled: bool = False
    changed: bool = False
    repaired: tuple[str, ...] = ()
    rotation: str | None = None
    registration: FhirAppRegistration | None = None


class Reconciler:
    """Keeps one registration's application and Secret in the declared state.

    Args:
        world: the gateways.
        count_clients: how many registrations refer to a FHIR server, for status; its answer
            is None while that is not known. None: status has no count.
    """

    def __init__(self, world: World, count_clients: CountClients | None = None) -> None:
        self._world = world
        self._count_clients = count_clients
        self._log = structlog.get_logger("reconciler")

    async def reconcile(self, key: RegistrationKey) -> Outcome:
        """Run one pass for `key` and report it in status.

        Raises nothing that was foreseen: errors become conditions and part of the outcome. Only
        `Waiting` for an API server that cannot even be asked comes through.
        """
        registration = await self._world.registrations.registration(key.namespace, key.name)
        if registration is None:
            return Outcome(result="gone")
        work = Pass(
            registration=registration,
            identity=self._world.identity(registration),
            conditions_before=registration.status.conditions,
        )
        if registration.metadata.deletion_timestamp is not None:
            return await self._finalize(work)
        if registration.spec.suspend:
            return await self._suspended(work)
        work.settled = observe.is_settled(registration)
        BACKGROUND.set(work.settled and not requests.outstanding(registration))
        try:
            await self._converge(work)
        except (Conflict, NotLeading) as not_now:
            self._log.debug("not now", key=str(key), message=not_now.message)
            return Outcome(result="waiting", retry_after=not_now.retry_after)
        except OperatorError as error:
            return await self._failed(work, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must be seen in status, too
            return await self._failed(work, self._unexpected(work, error))
        return await self._succeeded(work)

    async def _suspended(self, work: Pass) -> Outcome:
        """Touch nothing, but for what the tenant's administrator no longer allows."""
        try:
            done = await narrowing.attempt(self._world, work)
        except (Conflict, NotLeading) as not_now:
            return Outcome(result="waiting", retry_after=not_now.retry_after)
        if work.granted:
            self._log.info("suspended", key=work.name, actions=work.done())
        due = None if done else self._world.policy.replication_window
        return await self._record(work, record.suspended(self._world, work), "success", due=due)

    def _unexpected(self, work: Pass, error: Exception) -> Waiting:
        """Log where `error` came from and return it as a condition; its text may hold anything."""
        kind = type(error).__name__
        self._log.error("unexpected error", key=work.name, error=kind, at=origin(error))
        return Waiting("InternalError", f"an unexpected {kind} ended the pass; see the log")

    async def _converge(self, work: Pass) -> None:
        """Observe, then plan and apply until there is nothing left to do."""
        tenant = await references.preconditions(self._world, work)
        await holds.take(self._world, work, tenant)
        connection = work.connection = await self._world.connections.get(tenant)
        try:
            work.desired = await references.desired_state(self._world, work, connection)
        except OperatorError:
            await self._keep_credential(work, connection)
            raise
        if not work.desired.own_application:
            await self._bring_about(work, connection, work.desired)
            return
        if not await self._is_still_right(work, connection, work.desired):
            await observe.observe_entra(self._world, work, connection)
            await self._bring_about(work, connection, work.desired)
        if not await consent.settle(self._world, work, connection):
            await narrowing.attempt(self._world, work)
        policy.complain(work.desired)

    async def _bring_about(self, work: Pass, connection: Connection, wanted: Desired) -> None:
        for _ in range(MAX_ROUNDS):
            actions = self._plan(work, connection, wanted)
            if not actions:
                self._remember(work, connection)
                return
            try:
                policy.refuse(wanted, work.observed.application, actions)
            except OperatorError:
                await self._keep_credential(work, connection)
                raise
            await self._announce(work, actions)
            for action in actions:
                if tenant_rules.concerns(action):
                    await tenant_rules.refuse_outdated(self._world, work)
                await apply(self._world, work, connection, action)
        raise Waiting("Progressing", f"not done after {MAX_ROUNDS} steps; going on")

    async def _is_still_right(self, work: Pass, connection: Connection, wanted: Desired) -> bool:
        """Whether the lists of what we own show that a settled registration needs nothing."""
        if not work.settled or not await observe.is_as_listed(self._world, work, connection):
            return False
        try:
            return not self._plan(work, connection, wanted)
        except OperatorError:
            return False

    def _plan(self, work: Pass, connection: Connection, wanted: Desired) -> tuple[Action, ...]:
        observe.compare_clocks(self._world, work, connection)
        return plan(wanted, work.observed, self._world.clock(), self._world.policy)

    async def _keep_credential(self, work: Pass, connection: Connection) -> None:
        """Renew and retire although a reference cannot be resolved: workloads are running."""
        held = references.held_state(work)
        if held is None:
            return
        work.desired = held
        await observe.observe_entra(self._world, work, connection)
        for _ in range(MAX_ROUNDS):
            now = self._world.clock()
            observe.compare_clocks(self._world, work, connection)
            actions = credential_plan(held, work.observed, now, self._world.policy)
            if not actions:
                return
            for action in actions:
                await apply(self._world, work, connection, action)

    async def _announce(self, work: Pass, actions: tuple[Action, ...]) -> None:
        """Say that a new spec is worked on, and that a create or restore is about to be sent.

        The latter is written, guarded, before each: a deletion must know whether there may be an
        application that nobody has seen yet, and a process that is behind must be stopped here.
        """
        before = status = work.registration.status
        ready = conditions.find(status.conditions, "Ready")
        generation = work.registration.metadata.generation
        if ready is None or ready.observed_generation != generation:
            status = record.progressing(self._world, work)
        makes = not work.fenced and any(isinstance(action, _MAKES) for action in actions)
        if makes:
            work.created_lately = observe.is_create_recent(before, self._world)
            status = record.create_requested(self._world, status)
        if work.desired is not None and (name := config_map.to_record(work.desired, work.observed)):
            status = status.model_copy(update={"config_map_name": name})
        if makes or status != before:
            await write_status(self._world, work, status)
        work.fenced = work.fenced or makes

    def _remember(self, work: Pass, connection: Connection) -> None:
        """Keep what later passes need: a server's permission ids, and what no list shows."""
        application = work.observed.application
        if application and (application.keys or application.federated):
            connection.unlisted[work.identity.uid] = Unlisted(
                keys=application.keys, federated=application.federated
            )
        if application and work.registration.spec.type is AppType.RESOURCE:
            connection.servers.remember(work.identity.uid, application)
        if self._may_be_overtaken(work):
            # By the write of a dead process: no list would ever show that.
            window, every = self._world.policy.replication_window, self._world.verify_every
            connection.verified[work.identity.uid] = self._world.clock() + window - every
            work.doubted = True

    def _may_be_overtaken(self, work: Pass) -> bool:
        """Whether a late write could yet undo what this pass did, or did not have to do, unseen.

        What the Secret holds needs no word here: `credentials.certificate_settles` sees to it.
        """
        wanted = work.desired.credential if work.desired else None
        unsettled = isinstance(wanted, Federation) and not work.settled
        return (
            work.doubted
            or unsettled
            or any(
                isinstance(action, SetFederatedIdentityCredential)
                or (isinstance(action, RevokeCredential) and action.type in _UNLISTED)
                for action in work.applied
            )
        )

    async def _succeeded(self, work: Pass) -> Outcome:
        wanted = work.desired
        now = self._world.clock()
        due = self._next_due(work, wanted) if wanted else None
        if work.doubted:
            again = now + self._world.policy.replication_window
            due = min(due, again) if due else again
        if work.applied or work.granted:
            self._log.info("reconciled", key=work.name, actions=work.done())
        return await self._record(
            work, record.succeeded(self._world, work), "success", due=due - now if due else None
        )

    def _next_due(self, work: Pass, wanted: Desired) -> datetime | None:
        """When time alone makes another pass necessary."""
        now, policy, connection = self._world.clock(), self._world.policy, work.connection
        moments = [next_due(wanted, work.observed, now, policy)]
        if connection is not None:
            moments.append(consent.next_look(work, connection, policy.replication_window))
            verified = connection.verified.get(work.identity.uid, now)
            if verified + self._world.verify_every - now <= policy.replication_window:
                # A pass before this one asked for it: it must not wait for the resync.
                moments.append(verified + self._world.verify_every)
        return min((moment for moment in moments if moment is not None), default=None)

    async def _failed(self, work: Pass, error: OperatorError) -> Outcome:
        """Report `error`; what the tenant no longer allows is taken back all the same."""
        if error.reason != "GraphThrottled":
            try:
                await narrowing.attempt(self._world, work)
            except (Conflict, NotLeading) as not_now:
                return Outcome(result="waiting", retry_after=not_now.retry_after)
        result = "waiting" if isinstance(error, Waiting) else "stalled"
        outcome = await self._record(
            work,
            record.failed(self._world, work, error),
            result,
            reason=error.reason,
            retry_after=error.retry_after if isinstance(error, Waiting) else None,
            throttled=error.reason == "GraphThrottled",
        )
        # Once per outage, as the status: retries of the same failure are for DEBUG.
        level = logging.WARNING if outcome.changed else logging.DEBUG
        self._log.log(
            level, result, key=work.name, reason=error.reason, message=error.message,
            actions=work.done(),
        )  # fmt: skip
        return outcome

    async def _finalize(self, work: Pass) -> Outcome:
        try:
            gone = await finalize(self._world, work)
        except (Conflict, NotLeading) as not_now:
            return Outcome(result="waiting", retry_after=not_now.retry_after)
        except OperatorError as error:
            return await self._failed(work, error)
        if gone:
            self._log.info("released", key=work.name, actions=work.done())
        return Outcome(result="gone" if gone else "success", registration=work.registration)

    async def _record(
        self, work: Pass, status: record.Status, result: str, *,
        reason: str | None = None, due: timedelta | None = None,
        retry_after: float | None = None, throttled: bool = False,
    ) -> Outcome:  # fmt: skip
        """Write `status` if it says anything new: the one exit of every pass."""
        before = work.registration.status
        changed = status != before
        status, due = await self._counted(work.registration, status, due)
        if status != before:
            try:
                await write_status(self._world, work, status)
            except (Conflict, NotLeading) as not_now:
                return Outcome(result="waiting", retry_after=not_now.retry_after)
        repaired = await self._tell(work)
        return Outcome(
            result=result, reason=reason, due=due, retry_after=retry_after, throttled=throttled,
            changed=changed, repaired=repaired, registration=work.registration,
            rotation=notices.rotation(work.applied, work.underway),
        )  # fmt: skip

    async def _counted(
        self, registration: FhirAppRegistration, status: record.Status, due: timedelta | None
    ) -> tuple[record.Status, timedelta | None]:
        """Return `status` of a server with its number of clients, and when to look again."""
        terminating = registration.metadata.deletion_timestamp is not None
        count = self._count_clients
        if count is None or registration.spec.type is not AppType.RESOURCE or terminating:
            return status, due
        clients = await count(registration)
        if clients is None:
            return status, min(due, _RECOUNT) if due else _RECOUNT
        return status.model_copy(update={"clients": clients}), due

    async def _tell(self, work: Pass) -> tuple[str, ...]:
        """Publish what is worth an event; return what was repaired without being asked."""
        found = notices.turns(work.conditions_before, work.registration.status.conditions)
        found += notices.removals(work.applied, work.withdrawn)
        repaired: tuple[str, ...] = ()
        ready = conditions.find(work.conditions_before, "Ready")
        generation = work.registration.metadata.generation
        if ready and ready.status == "True" and ready.observed_generation == generation:
            found += notices.of_actions(work.applied)
            repaired = notices.repairs(work.applied)
        for notice in found:
            await self._world.events.publish(work.registration, notice)
        return repaired
