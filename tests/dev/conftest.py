"""What the tests of the local control plane share: waiting, and looking at processes.

Not here: the control plane itself, which is in `tests/conftest.py`.
"""

import subprocess
import time
from collections.abc import Callable, Iterable

import pytest

DEADLINE_SECONDS = 20.0


@pytest.fixture
def wait_until():
    def wait(condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"did not happen within {seconds} s"
            time.sleep(0.02)

    return wait


def _processes() -> list[tuple[int, int]]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split() for line in listing.splitlines())
    return [(int(pid), int(parent)) for pid, parent, state in rows if not state.startswith("Z")]


@pytest.fixture
def family_of():
    """The living process `pid` and its children."""

    def family(pid: int) -> set[int]:
        return {child for child, parent in _processes() if pid in {child, parent}}

    return family


@pytest.fixture
def living():
    """Those of `pids` that run: a zombie, which only waits to be counted, does not."""

    def alive(pids: Iterable[int]) -> set[int]:
        return set(pids) & {pid for pid, _ in _processes()}

    return alive
