"""Between the queue and the reconcilers: when a key is due again, and who should look next."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from fhir_app_operator.controller.keys import Index, Key, RegistrationKey, TenantKey
from fhir_app_operator.controller.queue import Next, WorkQueue
from fhir_app_operator.controller.reconciler import Outcome, Reconciler
from fhir_app_operator.controller.tenants import TenantReconciler
from fhir_app_operator.errors import NotLeading, OperatorError
from fhir_app_operator.telemetry import work
from fhir_app_operator.telemetry.metrics import Metrics

_TENANT_DELAY: Final = 2.0
"""Seconds to gather changes in before a tenant counts its registrations again."""

_FAILURES: Final = frozenset({
    "ApiServerUnavailable", "GraphUnavailable", "InternalError", "SignInFailed",
    "CredentialNotFound",
})  # fmt: skip
"""Reasons to wait that are errors; the others wait for what somebody else declares or allows."""


class Dispatcher:
    """Runs the right reconciler for a key and turns its outcome into queue work.

    Args:
        registrations, tenants: the reconcilers.
        index: who depends on whom.
        metrics: where passes are counted.
        resync: how often everything is compared with Entra.
    """

    def __init__(
        self, registrations: Reconciler, tenants: TenantReconciler, index: Index,
        metrics: Metrics, resync: timedelta,
    ) -> None:  # fmt: skip
        self._registrations = registrations
        self._tenants = tenants
        self._index = index
        self._metrics = metrics
        self._resync = resync.total_seconds()
        self.queue: WorkQueue[Key] | None = None
        self.on_gone: Callable[[Key], None] = lambda _key: None
        """Told of what a pass found gone; a lost watch does not say."""
        self._log = structlog.get_logger("dispatch")

    async def process(self, key: Key) -> Next:
        """Run one pass for `key`; says when the next one is due."""
        started = time.monotonic()
        outcome: Outcome | None = None
        self._metrics.passes.started(key.controller)
        try:
            with structlog.contextvars.bound_contextvars(
                controller=key.controller, object=str(key)
            ):
                outcome = await self._pass(key)
        finally:
            self._metrics.passes.ended(
                key.controller, _result(outcome), time.monotonic() - started,
                terminal=outcome is not None and outcome.result == "stalled",
            )  # fmt: skip
        if isinstance(key, RegistrationKey):
            self._show(key, outcome)
        self._wake(key, outcome)
        return self._next(outcome)

    async def _pass(self, key: Key) -> Outcome:
        try:
            if isinstance(key, RegistrationKey):
                return await self._registrations.reconcile(key)
            return await self._tenants.reconcile(key.name)
        except NotLeading as not_now:
            return Outcome(result="waiting", retry_after=not_now.retry_after)
        except OperatorError as error:
            # The API server could not even be asked, or told: there is no status to say it in.
            self._log.warning("not done", reason=error.reason, message=error.message)
            return Outcome(result="waiting", reason=error.reason)

    def _wake(self, key: Key, outcome: Outcome) -> None:
        queue = self.queue
        if queue is None:
            return
        if isinstance(key, TenantKey):
            for dependent in self._index.of_tenant(key.name) if outcome.changed else ():
                queue.add(dependent)
            return
        if outcome.changed or outcome.result == "gone":
            for other in (*self._index.clients_of(key), *self._index.pre_authorizing(key)):
                queue.add(other)
            tenant = self._index.tenant_of(key)
            if tenant is not None:
                queue.add_later(TenantKey(tenant), _TENANT_DELAY)
        if outcome.result == "gone" and outcome.registration is None:
            self._index.forget(key)
            self.on_gone(key)

    def _show(self, key: RegistrationKey, outcome: Outcome) -> None:
        fleet = self._metrics.fleet
        fleet.repaired(outcome.repaired)
        if outcome.rotation is not None:
            fleet.rotated(outcome.rotation)
        if outcome.result == "gone":
            fleet.forget(key.namespace, key.name)
        elif outcome.registration is not None:
            fleet.seen(outcome.registration)

    def _next(self, outcome: Outcome, jitter: Callable[[], float] = random.random) -> Next:
        match outcome.result:
            case "gone":
                return Next()
            case "waiting" if not outcome.retry_after:
                return Next(failed=True)
            case "waiting":
                floor = outcome.retry_after if outcome.throttled and outcome.retry_after else 0.0
                return Next(after=outcome.retry_after, failed=True, floor=floor)
            case _:
                resync = self._resync * (0.9 + 0.2 * jitter())
                due = outcome.due.total_seconds() if outcome.due is not None else resync
                return Next(after=max(1.0, min(resync, due)))


def _result(outcome: Outcome | None) -> str:
    """Return what controller-runtime would call the end of a pass; None is an exception."""
    if outcome is None or outcome.result == "stalled" or outcome.reason in _FAILURES:
        return work.ERROR
    if outcome.result != "waiting":
        return work.SUCCESS
    return work.REQUEUE_AFTER if outcome.retry_after else work.REQUEUE
