"""Runs the operator in this process and samples its stack by CPU time.

Started as a file by the benchmark. Sampling tells where the processor is busy; a tracing profiler
would charge many small calls too much, and the wait for a processor to the call that was ready.
The one argument is the file that gets the samples at the end: a line for each different stack,
outermost function first, separated by `;`, then a blank and the number of samples; tools that draw
flame graphs read this. Not here: what is read from it (`profile.py`).
"""

import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

from fhir_app_operator.cli import main

INTERVAL_SECONDS: Final = 0.005


class Sampler:
    """Counts the stacks of the main thread, one each INTERVAL_SECONDS of CPU time."""

    def __init__(self) -> None:
        self.stacks: Counter[tuple[str, ...]] = Counter()

    def start(self) -> None:
        """Sample from now on."""
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)

    def stop(self) -> None:
        """Sample no more."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def folded(self) -> str:
        """The samples as lines of text."""
        return "".join(f"{';'.join(stack)} {count}\n" for stack, count in self.stacks.items())

    def _take(self, _number: int, frame: FrameType | None) -> None:
        stack: list[str] = []
        while frame is not None:
            code = frame.f_code
            package = str(frame.f_globals.get("__name__", "?"))
            stack.append(f"{package}.{code.co_qualname}")
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += 1


if __name__ == "__main__":
    sampler = Sampler()
    sampler.start()
    try:
        main(["run"], prog_name="fhir-app-operator")
    finally:
        sampler.stop()
        Path(sys.argv[1]).write_text(sampler.folded())
