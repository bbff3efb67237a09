"""What happens to a fleet, and what is measured meanwhile.

Applied at once to an operator that has nothing else to do; left alone; the operator restarted; the
operator restarted again with one registration that it has not seen; then an hour without news,
played faster. Not here: how figures are shown (`report.py`).
"""

import asyncio
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import httpx

from benchmarks.api_server import ApiServer, administrator
from benchmarks.counters import Directory, OperatorCounts, operator_counts
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Applied, Conditions, Idle, Restarted, Result, Verified
from benchmarks.fleet import Fleet, fleet, key_of, latecomer
from benchmarks.processes import Usage, busy_seconds, programs, usage
from dev.demo.signing_in import Trust
from dev.sandbox.environment import Environment, Options, running_environment
from dev.sandbox.operator_process import OPERATOR_COMMAND

_POLL_SECONDS: Final = 0.25
_STILL_SECONDS: Final = 4.0
"""Longer than the operator gathers changes in before a tenant is counted again."""
_RESYNC: Final = "1h"
_DAY_HOURS: Final = 24
_IDLE_SECONDS: Final = 20.0
_IDLE_FACTOR: Final = 3.0
"""How many times as long an hour is played as all passes take: else these would be measured."""

Tell = Callable[[str], None]


def measure(
    size: int,
    conditions: Conditions,
    tell: Tell,
    *,
    operator_command: tuple[str, ...] = OPERATOR_COMMAND,
) -> Result:
    """Measure a fleet of `size` in an environment of its own; `tell` gets a line for each step.

    An `operator_command` other than the usual is a profiler: the restarts are left out. Raises
    BenchmarkError, and what `running_environment` raises.
    """
    options = Options(
        watch_secrets=True, resync_interval=_RESYNC, operator_command=operator_command
    )
    with running_environment(options, log=tell) as environment:
        trust = Trust(environment.entra.ca_file)
        with httpx.Client(verify=trust.context(), trust_env=False) as http:
            directory = Directory(
                http, environment.entra.admin_url, environment.entra.operator_client_id
            )
            kubeconfig = environment.cluster.kubeconfig.read_text()
            bench = _Bench(environment, directory, kubeconfig, conditions, tell)
            restarts = operator_command == OPERATOR_COMMAND
            try:
                result = asyncio.run(_figures(bench, size, restarts=restarts))
            except BenchmarkError as error:
                raise BenchmarkError(f"{error}\n{environment.operator.log_tail()}") from None
        if not restarts:
            environment.operator.stop()  # a profiler writes when its program ends
        return result


@dataclass(frozen=True, slots=True)
class _Bench:
    """What the steps have in common."""

    environment: Environment
    directory: Directory
    kubeconfig: str
    conditions: Conditions
    tell: Tell

    async def counts(self) -> OperatorCounts:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(self.environment.operator.metrics_url)
        return operator_counts(answer.raise_for_status().text)

    async def until(self, enough: Callable[[OperatorCounts], bool], what: str) -> OperatorCounts:
        """Poll the operator's metrics until they are `enough`."""
        deadline = time.monotonic() + self.conditions.patience
        while not enough(counts := await self.counts()):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"the operator was not {what} in time: {counts}")
            await asyncio.sleep(_POLL_SECONDS)
        return counts

    async def settled(self) -> OperatorCounts:
        """Wait until the operator has had nothing to do for a while."""
        last, since = await self.counts(), time.monotonic()

        def still(now: OperatorCounts) -> bool:
            nonlocal last, since
            # Watches that begin anew, every few minutes, are no work.
            if now.depth or (now.passes, now.kube_writes) != (last.passes, last.kube_writes):
                last, since = now, time.monotonic()
            return time.monotonic() - since >= _STILL_SECONDS

        return await self.until(still, "quiet")

    async def all_seen(self, size: int) -> None:
        """Wait until the operator has looked at each of `size` registrations since its start."""
        await self.until(lambda counts: counts.settled_passes >= size, "done with looking at all")

    async def stop_operator(self) -> None:
        """End the operator as a rollout does."""
        await asyncio.to_thread(self.environment.operator.stop, signal.SIGTERM)

    async def start_operator(self) -> None:
        """Start the operator and wait until it says that it is ready."""
        await asyncio.to_thread(self.environment.operator.start)


async def _figures(bench: _Bench, size: int, *, restarts: bool) -> Result:
    members = fleet(size)
    bench.directory.set_latency(bench.conditions.latency_seconds)
    wanted = bench.conditions.tenant_size
    quotas = wanted is not None and bench.directory.enforce_quotas(wanted)
    async with administrator(bench.kubeconfig) as api:
        applied = await _apply(bench, api, members)
        verified = await _verify(bench, size) if restarts else None
        restarted = await _restart(bench, api) if restarts else None
        idle = await _idle(bench, size, verified.seconds) if verified else None
    return Result(
        size=size,
        types=dict(Counter(str(each["spec"]["type"]) for each in members.registrations)),
        conditions=bench.conditions,
        quotas=quotas,
        applied=applied,
        verified=verified,
        restarted=restarted,
        idle=idle,
    )


async def _apply(bench: _Bench, api: ApiServer, members: Fleet) -> Applied:
    bench.tell(f"applying {len(members.registrations)} registrations at once")
    await api.create_namespaces(members.namespaces)
    before, used_before, busy_before = await bench.settled(), _usage(), busy_seconds()
    bench.directory.forget_calls()
    async with api.readiness() as readiness:
        started = time.monotonic()
        await api.create(members.registrations)
        accepted = time.monotonic()
        keys = [key_of(each) for each in members.registrations]
        moments = await readiness.wait(keys, bench.conditions.patience)
    used, busy = _since(_usage(), used_before), busy_seconds() - busy_before
    seconds = sorted(moment - started for moment in moments.values())
    bench.tell(f"all Ready after {seconds[-1]:.1f} s; waiting until the operator is quiet")
    counts = await bench.settled()
    items, _ = await api.registrations()
    return Applied(
        apply_seconds=accepted - started,
        ready_p50=_quantile(seconds, 50),
        ready_p95=_quantile(seconds, 95),
        ready_max=seconds[-1],
        graph=bench.directory.graph_calls(items),
        operator=counts.since(before),
        usage=used,
        settled_rss_mib=usage(bench.environment.operator.pid).rss_mib,
        foreign_cpu_seconds=max(0.0, busy - sum(each.cpu_seconds for each in used.values())),
    )


async def _verify(bench: _Bench, size: int) -> Verified:
    bench.tell("restarting the operator, with nothing to do")
    await bench.stop_operator()
    bench.directory.forget_calls()
    started = time.monotonic()
    await bench.start_operator()
    await bench.all_seen(size)
    seconds = time.monotonic() - started
    return Verified(
        seconds=seconds, operator=await bench.settled(), graph=bench.directory.graph_calls()
    )


async def _restart(bench: _Bench, api: ApiServer) -> Restarted:
    bench.tell("restarting the operator, with one new registration")
    late = latecomer()
    await bench.stop_operator()
    bench.directory.forget_calls()
    await api.create([late])
    async with api.readiness() as readiness:
        started = time.monotonic()
        starting = asyncio.create_task(bench.start_operator())
        moments = await readiness.wait([key_of(late)], bench.conditions.patience)
        await starting
    await bench.settled()
    items, _ = await api.registrations()
    calls = bench.directory.graph_calls(each for each in items if key_of(each) == key_of(late))
    _, others = calls.by_type.get("", (0, 0))
    return Restarted(seconds=moments[key_of(late)] - started, graph_writes=others)


async def _idle(bench: _Bench, size: int, seconds_of_all_passes: float) -> Idle:
    seconds = max(_IDLE_SECONDS, _IDLE_FACTOR * seconds_of_all_passes)
    bench.tell(f"an hour without news, played in {seconds:.0f} s")
    await bench.stop_operator()
    bench.environment.operator.configure(
        RESYNC_INTERVAL=f"{seconds:.0f}s", VERIFY_INTERVAL=f"{_DAY_HOURS * seconds:.0f}s"
    )
    await bench.start_operator()
    await bench.all_seen(size)
    await bench.until(lambda counts: counts.depth == 0, "done with looking at all")
    bench.directory.forget_calls()
    before = await bench.counts()
    await asyncio.sleep(seconds)
    return Idle(
        seconds=seconds,
        graph=bench.directory.graph_calls(),
        operator=(await bench.counts()).since(before),
        rss_mib=usage(bench.environment.operator.pid).rss_mib,
    )


def _usage() -> dict[str, Usage]:
    return {name: usage(pid) for name, pid in programs().items()}


def _since(now: Mapping[str, Usage], before: Mapping[str, Usage]) -> dict[str, Usage]:
    """The use until `now`, CPU time counted from `before`."""
    return {
        name: replace(used, cpu_seconds=used.cpu_seconds - before[name].cpu_seconds)
        for name, used in now.items()
        if name in before
    }


def _quantile(seconds: list[float], percent: int) -> float:
    if len(seconds) == 1:
        return seconds[0]
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]
