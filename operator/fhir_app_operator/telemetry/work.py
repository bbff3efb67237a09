"""Passes and the work queue, under controller-runtime's and client-go's names.

Source: controller-runtime `pkg/internal/controller/metrics`, client-go `util/workqueue/metrics.go`.
Not here: when a key is due; the queue decides and tells.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SUCCESS: Final = "success"
REQUEUE: Final = "requeue"
REQUEUE_AFTER: Final = "requeue_after"
ERROR: Final = "error"

_PASS_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_WAIT_SECONDS: Final = (0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600)


class PassMetrics:
    """Passes by controller."""

    def __init__(self, registry: CollectorRegistry) -> None:
        controller = ("controller",)
        self._ended = Counter(
            "controller_runtime_reconcile", "Passes by how they ended.",
            ("controller", "result"), registry=registry,
        )  # fmt: skip
        self._errors = Counter(
            "controller_runtime_reconcile_errors", "Passes that ended in an error.",
            controller, registry=registry,
        )  # fmt: skip
        self._terminal = Counter(
            "controller_runtime_terminal_reconcile_errors",
            "Passes that ended in an error that only a person can mend.",
            controller, registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds", "Length of a pass.", controller,
            registry=registry, buckets=_PASS_SECONDS,
        )  # fmt: skip
        self._active = Gauge(
            "controller_runtime_active_workers", "Workers that are in a pass.", controller,
            registry=registry,
        )  # fmt: skip
        self._capacity = Gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Workers; the controllers share them.", controller, registry=registry,
        )  # fmt: skip

    def serve(self, controller: str, workers: int) -> None:
        """Show all series of `controller` from the start, and that it has `workers`."""
        self._capacity.labels(controller).set(workers)
        self._active.labels(controller).set(0)
        self._errors.labels(controller)
        self._terminal.labels(controller)
        for result in (SUCCESS, REQUEUE, REQUEUE_AFTER, ERROR):
            self._ended.labels(controller, result)

    def started(self, controller: str) -> None:
        """A pass of `controller` began."""
        self._active.labels(controller).inc()

    def ended(
        self, controller: str, result: str, seconds: float, *, terminal: bool = False
    ) -> None:
        """Count a pass that took `seconds` and ended in `result`, one of this module's four.

        Args:
            controller: whose pass it was.
            result: how it ended.
            seconds: how long it took.
            terminal: for `error`: only a person can mend it.
        """
        self._active.labels(controller).dec()
        self._ended.labels(controller, result).inc()
        self._seconds.labels(controller).observe(seconds)
        if result == ERROR:
            self._errors.labels(controller).inc()
        if terminal:
            self._terminal.labels(controller).inc()


def _controller(key: Hashable) -> str:
    return str(getattr(key, "controller", "default"))


class QueueMetrics:
    """The work queue by controller: what waits, for how long, and what is being worked on.

    Args:
        registry: where the series go.
        now: a monotonic clock in seconds.
        name: whose key it is, the `name` label; default: the key's `controller`.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        now: Callable[[], float] = time.monotonic,
        name: Callable[[Hashable], str] = _controller,
    ) -> None:
        self._now = now
        self._name = name
        self._queued_at: dict[Hashable, float] = {}
        self._started_at: defaultdict[str, dict[Hashable, float]] = defaultdict(dict)
        label = ("name",)
        self._depth = Gauge(
            "workqueue_depth", "Keys that wait for a worker.", label, registry=registry
        )
        self._adds = Counter("workqueue_adds", "Keys that were queued.", label, registry=registry)
        self._retries = Counter(
            "workqueue_retries", "Keys that are due again because their pass failed.", label,
            registry=registry,
        )  # fmt: skip
        self._waited = Histogram(
            "workqueue_queue_duration_seconds", "How long a key waited for a worker.", label,
            registry=registry, buckets=_WAIT_SECONDS,
        )  # fmt: skip
        self._worked = Histogram(
            "workqueue_work_duration_seconds", "How long a worker was busy with a key.", label,
            registry=registry, buckets=_PASS_SECONDS,
        )  # fmt: skip
        self._unfinished = Gauge(
            "workqueue_unfinished_work_seconds",
            "How long the keys that are being worked on have been so, added up.", label,
            registry=registry,
        )  # fmt: skip
        self._longest = Gauge(
            "workqueue_longest_running_processor_seconds",
            "How long the key that takes longest has been worked on.", label, registry=registry,
        )  # fmt: skip

    def serve(self, name: str) -> None:
        """Show all series of `name`, those that are computed when they are read too."""
        for counter in (self._adds, self._retries, self._waited, self._worked):
            counter.labels(name)
        self._depth.labels(name).set(0)
        self._unfinished.labels(name).set_function(lambda: sum(self._running(name)))
        self._longest.labels(name).set_function(partial(self.longest_running, name))

    def queued(self, key: Hashable) -> None:
        """`key`, which was not in the queue, waits for a worker."""
        self._queued_at[key] = self._now()
        self._adds.labels(self._name(key)).inc()
        self._depth.labels(self._name(key)).inc()

    def started(self, key: Hashable) -> None:
        """A worker took `key` from the queue."""
        name, now = self._name(key), self._now()
        self._waited.labels(name).observe(now - self._queued_at.pop(key, now))
        self._depth.labels(name).dec()
        self._started_at[name][key] = now

    def put_aside(self, key: Hashable) -> None:
        """`key` left the queue without a worker: it comes again when what it needs is done."""
        self._queued_at.pop(key, None)
        self._depth.labels(self._name(key)).dec()

    def ended(self, key: Hashable) -> None:
        """The worker is done with `key`."""
        name, now = self._name(key), self._now()
        self._worked.labels(name).observe(now - self._started_at[name].pop(key, now))

    def retried(self, key: Hashable) -> None:
        """`key` is due again because its pass failed."""
        self._retries.labels(self._name(key)).inc()

    def longest_running(self, name: str) -> float:
        """Return for how many seconds the longest pass of `name` has been running, 0 for none."""
        return max(self._running(name), default=0.0)

    def _running(self, name: str) -> list[float]:
        """Read from other threads, too: the copy is one step of the interpreter."""
        now = self._now()
        return [now - started for started in list(self._started_at[name].values())]
