"""`python -m benchmarks`: measures fleets of registrations, prints a table, writes JSON.

Not here: what is measured (`scenario.py`).
"""

import subprocess
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from benchmarks import profile, report
from benchmarks.counters import TenantSize
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Conditions, Result
from benchmarks.scenario import measure
from dev.cluster.errors import ControlPlaneError
from dev.sandbox.errors import SandboxError

_LARGEST: Final = 20_000
_PROFILE_LINES: Final = 40
_WIDTH: Final = 120
"""Columns of the table where nobody's terminal says how many there are."""


@click.command()
@click.argument("sizes", type=click.IntRange(1, _LARGEST), nargs=-1)
@click.option(
    "--latency",
    type=click.FloatRange(0, 60_000),
    default=150,
    show_default=True,
    help="Milliseconds that each answer of Entra and Graph takes.",
)
@click.option(
    "--tenant-size",
    type=click.Choice(["S", "M", "L", "none"]),
    default="S",
    show_default=True,
    help="Whose quotas Graph enforces: tenants below 50 users, up to 500, above; or none.",
)
@click.option(
    "--patience",
    type=click.FloatRange(1),
    default=1800,
    show_default=True,
    help="Seconds that any step may take.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("build/bench.json"),
    show_default=True,
    help="Where the figures go as JSON.",
)
@click.option(
    "--profile",
    "profile_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Sample where the operator's CPU time goes instead, show it, and leave the stacks there.",
)
def main(
    sizes: tuple[int, ...],
    latency: float,
    tenant_size: str,
    patience: float,
    output: Path,
    profile_file: Path | None,
) -> None:
    """Measure how the operator copes with fleets of SIZES registrations applied at once.

    Each fleet gets an environment of its own: a local Kubernetes control plane, an emulated Entra
    with Graph's quotas, the operator as a process. Default: 100 and 1000 registrations. 5000 take
    half an hour, a third of it for the write quota, and 3 GiB of memory for all programs.
    """
    conditions = Conditions(
        latency_seconds=latency / 1000, tenant_size=_size(tenant_size), patience=patience
    )
    if profile_file is not None and len(sizes) != 1:
        raise click.UsageError("--profile needs exactly one size")
    try:
        if profile_file is not None:
            _profile(sizes[0], conditions, profile_file)
        else:
            _bench(sizes or (100, 1000), conditions, output)
    except (
        BenchmarkError, ControlPlaneError, SandboxError, subprocess.CalledProcessError, OSError
    ) as error:  # fmt: skip
        raise click.ClickException(str(error)) from error


def _bench(sizes: tuple[int, ...], conditions: Conditions, output: Path) -> None:
    results: list[Result] = []
    output.parent.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        results.append(measure(size, conditions, _tell))
        output.write_text(report.document(results))  # what is there if a later fleet fails
    _console().print(report.table(results))
    click.echo(f"written: {output}")


def _profile(size: int, conditions: Conditions, file: Path) -> None:
    file = file.absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    measure(size, conditions, _tell, operator_command=profile.command(file))
    for table in profile.summary(profile.read(file), _PROFILE_LINES):
        _console().print(table)


def _console() -> Console:
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_WIDTH)


def _size(text: str) -> TenantSize | None:
    match text:
        case "S" | "M" | "L":
            return text
        case _:
            return None


def _tell(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
