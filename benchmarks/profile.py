"""The operator under cProfile: where the time of its one thread goes.

Not here: the run itself (`scenario.py`).
"""

import io
import pstats
from pathlib import Path
from typing import Literal

from benchmarks.errors import BenchmarkError


def command(file: Path) -> tuple[str, ...]:
    """The command that runs the operator so that it leaves its profile in `file` at its end."""
    return ("python", "-m", "cProfile", "-o", str(file), "-m", "fhir_app_operator", "run")


def summary(file: Path, order: Literal["tottime", "cumulative"], lines: int) -> str:
    """The `lines` functions that took most, by own time or with what they called.

    Raises BenchmarkError if there is no profile in `file`.
    """
    out = io.StringIO()
    try:
        found = pstats.Stats(str(file), stream=out)
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise BenchmarkError(f"no profile in {file}: {error}") from None
    found.strip_dirs().sort_stats(order).print_stats(lines)
    return out.getvalue()
