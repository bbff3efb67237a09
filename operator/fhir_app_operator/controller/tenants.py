"""One EntraTenant, one pass: can the operator sign in, who uses the tenant, may it go?

Sends no Graph request; the registrations' own passes do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from fhir_app_operator.api.names import FINALIZER, IN_USE_FINALIZER
from fhir_app_operator.api.v1alpha1 import EntraTenant, TenantStatus
from fhir_app_operator.controller.census import uses_tenant
from fhir_app_operator.controller.reconciler import Outcome
from fhir_app_operator.controller.world import World
from fhir_app_operator.errors import Conflict, OperatorError, Stalled, Waiting
from fhir_app_operator.graph.auth import SignInRefused
from fhir_app_operator.kube.api_server import Gone
from fhir_app_operator.planning import notices
from fhir_app_operator.planning.conditions import Reporter

_PERMANENT: Final = frozenset({700016, 7000215, 7000222, 7000216, 90002, 700213, 700211})
"""AADSTS codes of a sign-in that stays refused until a person changes something."""


class TenantReconciler:
    """Keeps the status and the in-use finalizer of tenants right.

    Args:
        world: the gateways.
        count: tells how many registrations refer to a tenant, for status only; None: by listing
            them. Whether a tenant may go is always decided by a live list.
    """

    def __init__(self, world: World, count: Callable[[str], Awaitable[int]] | None = None) -> None:
        self._world = world
        self._count = count or self._listed
        self._log = structlog.get_logger("tenants")

    async def reconcile(self, name: str) -> Outcome:
        """Run one pass for the tenant called `name`; errors become conditions."""
        tenant = await self._world.registrations.tenant(name)
        if tenant is None:
            self._world.connections.forget(name)
            return Outcome(result="gone")
        if tenant.metadata.deletion_timestamp is not None:
            return await self._release(tenant)
        error = await self._try_sign_in(tenant)
        return await self._record(tenant, error, await self._count(name))

    async def _listed(self, name: str) -> int:
        found = [uses_tenant(body, name) async for body in self._world.registrations.all()]
        return sum(found)

    async def _holders(self, name: str) -> int:
        """How many registrations need the tenant called `name` for their deletion."""
        found = [
            uses_tenant(body, name) and FINALIZER in (body["metadata"].get("finalizers") or ())
            async for body in self._world.registrations.all()
        ]
        return sum(found)

    async def _try_sign_in(self, tenant: EntraTenant) -> OperatorError | None:
        try:
            connection = await self._world.connections.get(tenant)
            await connection.tokens.token()
        except SignInRefused as refusal:
            message = (
                f"sign-in as {tenant.spec.client_id} was refused: {refusal}; check "
                "`clientId`, `auth` and, for workload identity, the application's federated "
                "credential"
            )
            permanent = refusal.codes & _PERMANENT
            return (
                Stalled("SignInFailed", message) if permanent else Waiting("SignInFailed", message)
            )
        except OperatorError as error:
            return error
        return None

    async def _record(
        self, tenant: EntraTenant, error: OperatorError | None, users: int
    ) -> Outcome:
        reporter = Reporter(
            previous=tenant.status.conditions,
            generation=tenant.metadata.generation,
            now=self._world.clock(),
        )
        verdict = (
            reporter.succeeded(
                f"signed in to directory {tenant.spec.tenant_id}", synced="nothing is left to do"
            )
            if error is None
            else reporter.failed(error, usable=False)
        )
        observed = tenant.metadata.generation if verdict.observed else -1
        status = TenantStatus.model_validate(
            TenantStatus(
                observed_generation=observed, conditions=verdict.conditions, registrations=users
            ).model_dump()
        )
        changed = status != tenant.status
        if changed:
            try:
                await self._world.registrations.apply_status(tenant, status)
            except Conflict:
                return Outcome(result="waiting", retry_after=0.0)
            for notice in notices.turns(tenant.status.conditions, status.conditions):
                await self._world.events.publish(tenant, notice)
        flipped = [c.status for c in status.conditions] != [
            c.status for c in tenant.status.conditions
        ]
        if error is not None:
            self._log.warning(
                "tenant not ready", tenant=tenant.metadata.name, reason=error.reason,
                message=error.message,
            )  # fmt: skip
        result = "success" if error is None else "waiting"
        retry_after = error.retry_after if isinstance(error, Waiting) else None
        return Outcome(result=result, retry_after=retry_after, changed=flipped)

    async def _release(self, tenant: EntraTenant) -> Outcome:
        """Drop the in-use finalizer once no registration needs the tenant for its deletion."""
        if IN_USE_FINALIZER not in tenant.metadata.finalizers:
            return Outcome(result="success")
        holders = await self._holders(tenant.metadata.name)
        if holders:
            self._log.info(
                "tenant is being deleted and still in use", tenant=tenant.metadata.name,
                registrations=holders,
            )  # fmt: skip
            return Outcome(result="success")
        remaining = [f for f in tenant.metadata.finalizers if f != IN_USE_FINALIZER]
        try:
            await self._world.registrations.set_finalizers(tenant, remaining)
        except Gone:
            return Outcome(result="gone")
        except Conflict:
            return Outcome(result="waiting", retry_after=0.0)
        return Outcome(result="gone")
