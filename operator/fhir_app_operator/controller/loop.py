"""The working part of the operator: triggers, queue, dispatcher and reconcilers, put together.

Neither the ways in (Kopf) nor the ways out (gateways) are chosen here.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from fhir_app_operator.controller.census import Census
from fhir_app_operator.controller.dispatch import Dispatcher
from fhir_app_operator.controller.handlers import Triggers
from fhir_app_operator.controller.keys import Index, Key, RegistrationKey, TenantKey
from fhir_app_operator.controller.queue import WorkQueue
from fhir_app_operator.controller.reconciler import Reconciler
from fhir_app_operator.controller.tenants import TenantReconciler
from fhir_app_operator.controller.world import World
from fhir_app_operator.telemetry.metrics import Metrics


def build_loop(
    world: World, metrics: Metrics, *, workers: int, resync: timedelta, bound: timedelta
) -> tuple[WorkQueue[Key], Triggers]:
    """Return the queue, not started, and what puts keys into it.

    Args:
        world: the gateways.
        metrics: where passes and queue are measured.
        workers: how many passes run at once.
        resync: how often everything is compared with Entra.
        bound: how long a pass may take.
    """
    index = Index(world.connections.forget_registration)
    census = Census(index, world.registrations)
    dispatcher = Dispatcher(
        Reconciler(world, census.of_server), TenantReconciler(world, census.of_tenant), index,
        metrics, resync,
    )  # fmt: skip
    queue: WorkQueue[Key] = WorkQueue(
        dispatcher.process, workers=workers, bound=bound.total_seconds(), metrics=metrics.queue,
        needs=partial(server_beside, index),
    )  # fmt: skip
    for controller in (RegistrationKey.controller, TenantKey.controller):
        metrics.passes.serve(controller, workers)
        metrics.queue.serve(controller)
    triggers = Triggers(index, queue.add)
    dispatcher.queue, dispatcher.on_gone = queue, triggers.forget
    return queue, triggers


def server_beside(index: Index, key: Key) -> Key | None:
    """Return the server that `key` refers to in its own namespace, if any.

    In another one it is not waited for: how long that takes would tell whether it exists.
    """
    if not isinstance(key, RegistrationKey):
        return None
    server = index.server_of(key)
    return server if server and server.namespace == key.namespace else None
