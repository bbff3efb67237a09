"""Where the operator's processor time goes, from the samples that `sampler.py` leaves.

Not here: the run itself (`scenario.py`).
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from benchmarks import sampler
from benchmarks.errors import BenchmarkError

Stacks = dict[tuple[str, ...], int]


def command(file: Path) -> tuple[str, ...]:
    """The command that runs the operator so that it leaves its samples in `file` at its end."""
    return ("python", sampler.__file__, str(file))


def read(file: Path) -> Stacks:
    """The samples in `file`, by stack; BenchmarkError if there are none."""
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise BenchmarkError(f"no samples in {file}: {error.strerror}") from None
    if not lines:
        raise BenchmarkError(f"no samples in {file}: the operator did nothing")
    stacks = {}
    for line in lines:
        stack, _, count = line.rpartition(" ")
        stacks[tuple(stack.split(";"))] = int(count)
    return stacks


def summary(stacks: Stacks, lines: int) -> Iterable[Table]:
    """Tables of at most `lines` rows: where the time goes by package, function and subtree."""
    packages: Counter[str] = Counter()
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack, count in stacks.items():
        packages[stack[-1].partition(".")[0]] += count
        own[stack[-1]] += count
        for name in set(stack):
            total[name] += count
    samples = sum(stacks.values())
    yield _table("own time, by package", packages, samples, lines)
    yield _table("own time, by function", own, samples, lines)
    yield _table("time with what it calls, by function", total, samples, lines)


def _table(title: str, counts: Counter[str], samples: int, lines: int) -> Table:
    seconds = samples * sampler.INTERVAL_SECONDS
    table = Table(title=f"{title} ({seconds:.1f} s of CPU time)", title_justify="left")
    table.add_column("share", justify="right")
    table.add_column("where")
    for name, count in counts.most_common(lines):
        table.add_row(f"{100 * count / samples:.1f} %", name)
    return table
