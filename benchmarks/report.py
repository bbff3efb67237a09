"""Shows figures: a table for people, with the targets beside them, and JSON.

A column for each fleet. Not here: how the figures were got.
"""

import dataclasses
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from benchmarks.figures import Result

_WRITE_QUOTA: Final = 3000
_WRITES_PER_SECOND: Final = 20
_SMALL_FLEET: Final = 1000
_SMALL_FLEET_SECONDS: Final = 60.0
_OVERHEAD: Final = 1.1
_CALLS, _WRITES = 4, 3
_SERVED_SECONDS: Final = 30.0
_RSS_MIB: Final = 200.0
_IDLE_CALLS: Final = 800
_ABOUT_ALL: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    `figure` gives the text for a result, None if it was not measured; `target` is shown beside it;
    `met` tells whether a result reaches it, None where there is none for its size.
    """

    what: str
    figure: Callable[[Result], str | None]
    target: str = ""
    met: Callable[[Result], bool | None] = lambda _result: None


def table(results: Sequence[Result]) -> Table:
    """The figures of all fleets side by side."""
    found = Table(title=_title(results[0]), title_justify="left", show_lines=False)
    found.add_column("what")
    for result in results:
        found.add_column(f"{result.size:,}", justify="right")
    found.add_column("target")
    for row in _rows(results):
        if row is None:
            found.add_section()
        else:
            found.add_row(row.what, *(_cell(row, result) for result in results), row.target)
    return found


def document(results: Sequence[Result]) -> str:
    """The figures as JSON, with what machine they are from."""
    machine = {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }
    figures = [dataclasses.asdict(result) for result in results]
    return json.dumps({"machine": machine, "results": figures}, indent=2) + "\n"


def ready_target(result: Result) -> float:
    """Seconds in which all of a fleet should be Ready: 60, or 1.1 times what the quota allows."""
    over = max(0, result.applied.graph.writes - _WRITE_QUOTA)
    if result.size <= _SMALL_FLEET:
        return _SMALL_FLEET_SECONDS
    return max(_SMALL_FLEET_SECONDS, _OVERHEAD * over / _WRITES_PER_SECOND)


def _title(result: Result) -> str:
    quotas = (
        f"quotas of a tenant of size {result.conditions.tenant_size}"
        if result.quotas
        else "NO quotas (not available or switched off)"
    )
    return (
        f"Registrations applied at once; Graph answers after "
        f"{result.conditions.latency_seconds * 1000:.0f} ms, {quotas}; {os.cpu_count()} cores"
    )


def _cell(row: Row, result: Result) -> Text:
    figure = row.figure(result)
    if figure is None:
        return Text("-")
    met = row.met(result)
    if met is None:
        return Text(figure)
    return Text(f"{figure} {'✓' if met else '✗'}", style="green" if met else "red")


def _rows(results: Sequence[Result]) -> list[Row | None]:
    kinds = sorted({kind for result in results for kind in result.types})
    names = sorted({name for result in results for name in result.applied.usage})
    return [
        *_ready_rows(),
        None,
        *(_type_row(kind) for kind in kinds),
        *_call_rows(),
        None,
        *_restart_rows(),
        None,
        *_idle_rows(),
        None,
        *_memory_rows(),
        None,
        *(_cpu_row(name) for name in names),
        Row(
            what="CPU time: foreign programs (disturbs)",
            figure=lambda r: _s(r.applied.foreign_cpu_seconds),
        ),
    ]


def _ready_rows() -> list[Row]:
    return [
        Row(what="accepted by the API server", figure=lambda r: _s(r.applied.apply_seconds)),
        Row(what="Ready, median", figure=lambda r: _s(r.applied.ready_p50)),
        Row(what="Ready, 95 of 100", figure=lambda r: _s(r.applied.ready_p95)),
        Row(
            what="Ready, all",
            figure=lambda r: _s(r.applied.ready_max),
            target="60 s up to 1,000; above, 1.1 times what the write quota takes",
            met=lambda r: r.applied.ready_max <= ready_target(r),
        ),
    ]


def _type_row(kind: str) -> Row:
    def each(result: Result) -> tuple[float, float] | None:
        calls, writes = result.applied.graph.by_type.get(kind, (0, 0))
        count = result.types.get(kind, 0)
        return (calls / count, writes / count) if count else None

    def figure(result: Result) -> str | None:
        found = each(result)
        return f"{found[0]:.2f} ({found[1]:.2f})" if found else None

    def met(result: Result) -> bool | None:
        found = each(result)
        return found[0] <= _CALLS and found[1] <= _WRITES if found else None

    return Row(
        what=f"Graph calls (writes) per {kind}", figure=figure, met=met,
        target=f"{_CALLS} ({_WRITES})",
    )  # fmt: skip


def _call_rows() -> list[Row]:
    return [
        Row(
            what="Graph calls (writes) in all, of which throttled",
            figure=lambda r: (
                f"{r.applied.graph.calls:,} ({r.applied.graph.writes:,}), "
                f"{r.applied.graph.throttled:,}"
            ),
        ),
        Row(
            what="Kubernetes calls (writes) per registration, the Lease apart",
            figure=lambda r: (
                f"{r.applied.operator.total_kube_calls / r.size:.2f} "
                f"({r.applied.operator.kube_writes / r.size:.2f})"
            ),
        ),
    ]


def _restart_rows() -> list[Row]:
    return [
        Row(
            what="restart: all looked at again",
            figure=lambda r: _s(r.verified.seconds) if r.verified else None,
        ),
        Row(
            what="  Graph calls (writes)",
            figure=lambda r: (
                f"{r.verified.graph.calls:,} ({r.verified.graph.writes:,})" if r.verified else None
            ),
            target="paged lists (0)",
            met=lambda r: r.verified.graph.writes == 0 if r.verified else None,
        ),
        Row(
            what="  Kubernetes calls (writes)",
            figure=lambda r: (
                f"{r.verified.operator.total_kube_calls:,} ({r.verified.operator.kube_writes:,})"
                if r.verified
                else None
            ),
            target="(0)",
            met=lambda r: r.verified.operator.kube_writes == 0 if r.verified else None,
        ),
        Row(
            what="restart: a new registration Ready",
            figure=lambda r: _s(r.restarted.seconds) if r.restarted else None,
            target=f"{_SERVED_SECONDS:.0f} s with 5,000",
            met=lambda r: r.restarted.seconds <= _SERVED_SECONDS if r.restarted else None,
        ),
        Row(
            what="  Graph writes for the others",
            figure=lambda r: str(r.restarted.graph_writes) if r.restarted else None,
            target="0",
            met=lambda r: r.restarted.graph_writes == 0 if r.restarted else None,
        ),
    ]


def _idle_rows() -> list[Row]:
    return [
        Row(
            what="idle: an hour of the clock, played in",
            figure=lambda r: _s(r.idle.seconds) if r.idle else None,
        ),
        Row(
            what="  registrations looked at",
            figure=lambda r: f"{r.idle.operator.settled_passes:,}" if r.idle else None,
            target="each about once, else it was played too fast",
            met=lambda r: r.idle.operator.settled_passes >= _ABOUT_ALL * r.size if r.idle else None,
        ),
        Row(
            what="  Graph calls (writes)",
            figure=lambda r: (
                f"{r.idle.graph.calls:,} ({r.idle.graph.writes:,})" if r.idle else None
            ),
            target=f"{_IDLE_CALLS} (0) with 5,000",
            met=lambda r: (
                r.idle.graph.calls <= _IDLE_CALLS and r.idle.graph.writes == 0 if r.idle else None
            ),
        ),
        Row(
            what="  Kubernetes calls (writes)",
            figure=lambda r: (
                f"{r.idle.operator.total_kube_calls:,} ({r.idle.operator.kube_writes:,})"
                if r.idle
                else None
            ),
            target="(0)",
            met=lambda r: r.idle.operator.kube_writes == 0 if r.idle else None,
        ),
        Row(
            what="  operator: memory at its end",
            figure=lambda r: f"{r.idle.rss_mib:.0f} MiB" if r.idle else None,
            target=f"{_RSS_MIB:.0f} MiB with 5,000",
            met=lambda r: r.idle.rss_mib <= _RSS_MIB if r.idle else None,
        ),
    ]


def _memory_rows() -> list[Row]:
    operator = "fhir-app-operator"
    return [
        Row(
            what="operator: peak memory",
            figure=lambda r: (
                f"{r.applied.usage[operator].peak_rss_mib:.0f} MiB"
                if operator in r.applied.usage
                else None
            ),
        ),
        Row(
            what="operator: memory when all are Ready",
            figure=lambda r: f"{r.applied.settled_rss_mib:.0f} MiB",
            target=f"{_RSS_MIB:.0f} MiB with 5,000",
            met=lambda r: r.applied.settled_rss_mib <= _RSS_MIB,
        ),
    ]


def _cpu_row(name: str) -> Row:
    def figure(result: Result) -> str | None:
        used: Any = result.applied.usage.get(name)
        return _s(used.cpu_seconds) if used else None

    return Row(what=f"CPU time until all Ready: {name}", figure=figure)


def _s(seconds: float) -> str:
    return f"{seconds:.1f} s"
