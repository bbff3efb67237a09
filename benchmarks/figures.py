"""The figures of a run, as values. Not here: how they are got or shown."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.counters import GraphCalls, OperatorCounts, TenantSize
from benchmarks.processes import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which a fleet is measured; `patience` is how long any step may take, in seconds.

    `tenant_size` picks Graph's quotas; None: no quotas.
    """

    latency_seconds: float = 0.15
    tenant_size: TenantSize | None = "S"
    patience: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A fleet applied at once; all seconds count from the first request of the apply.

    `ready_*` are quantiles over the registrations; `usage` is what each program had used when the
    last one was Ready, its CPU time from the apply on; `graph` and `operator` count until nothing
    happened any more, and `settled_rss_mib` is the operator's memory then. `foreign_cpu_seconds`
    went to programs that are no part of the run: if it is much, no time here means anything.
    """

    apply_seconds: float
    ready_p50: float
    ready_p95: float
    ready_max: float
    graph: GraphCalls
    operator: OperatorCounts
    usage: Mapping[str, Usage]
    settled_rss_mib: float
    foreign_cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A restart with nothing to do: `seconds` from the start until each registration had a pass."""

    seconds: float
    graph: GraphCalls
    operator: OperatorCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """A restart that meets one new registration: Ready `seconds` after the start.

    `graph_writes` are those that were not about the new one.
    """

    seconds: float
    graph_writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """An hour in which nobody changes anything, played in `seconds`.

    What the operator does by the clock is made faster by as much: it looks at each registration
    once, takes its lists as often as in an hour, and reads a 24th of the applications by itself.
    """

    seconds: float
    graph: GraphCalls
    operator: OperatorCounts
    rss_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All figures of one fleet; `types` has how many registrations of each type there were.

    `quotas` says whether Graph's quotas were enforced; under a profiler there are no restarts.
    """

    size: int
    types: Mapping[str, int]
    conditions: Conditions
    quotas: bool
    applied: Applied
    verified: Verified | None
    restarted: Restarted | None
    idle: Idle | None
