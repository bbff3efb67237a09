"""CPU time and memory of the processes of a run, read from /proc (Linux).

Not here: which of them matters.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.errors import BenchmarkError

_PROC: Final = Path("/proc")
_KIB: Final = 1024
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat after the name in brackets (proc_pid_stat(5) counts from 1, before it).
_PARENT, _USER, _SYSTEM = 1, 11, 12
# Of the first line of /proc/stat (proc_stat(5)), after "iowait": irq, softirq, steal.
_INTERRUPTS_AND_STOLEN: Final = 3

OURSELVES: Final = "benchmark"

NAMES: Final = (
    "fhir-app-operator",
    "entra-emulator",
    "kube-apiserver",
    "kube-controller-manager",
    "etcd",
)
"""The programs that take part, by the name of their file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process has used since its start: CPU in seconds, memory in MiB."""

    cpu_seconds: float
    rss_mib: float
    peak_rss_mib: float


def usage(pid: int) -> Usage:
    """What process `pid` has used; BenchmarkError if it cannot be read."""
    stat = _stat(pid)
    memory = dict(_memory(pid))
    return Usage(
        cpu_seconds=(int(stat[_USER]) + int(stat[_SYSTEM])) / _TICKS,
        rss_mib=memory["VmRSS"] / _KIB,
        peak_rss_mib=memory["VmHWM"] / _KIB,
    )


def busy_seconds() -> float:
    """The CPU time, of all cores, that the machine was not idle since its start."""
    user, nice, system, _idle, _waiting, *interrupts = _machine()
    return (user + nice + system + sum(interrupts[:_INTERRUPTS_AND_STOLEN])) / _TICKS


def programs() -> dict[str, int]:
    """The process ids of this program, and of those in NAMES that descend from it."""
    parents = {}
    for entry in _PROC.glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(_stat(int(entry.name))[_PARENT])
        except BenchmarkError:  # it ended in between
            continue
    found = {OURSELVES: os.getpid()}
    for pid in parents:
        name = _program(pid)
        if name in NAMES and os.getpid() in _ancestors(pid, parents):
            found[name] = pid
    return found


def _ancestors(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid in parents:
        pid = parents[pid]
        yield pid


def _program(pid: int) -> str:
    """The name of the program: of the script, where an interpreter runs one."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    names = [word.decode(errors="replace").rpartition("/")[2] for word in words[:2]]
    if names[-1] == "sampler.py":
        return NAMES[0]
    return next((name for name in names if name in NAMES), "")


def _stat(pid: int) -> list[str]:
    return _read(pid, "stat").rpartition(")")[2].split()


def _memory(pid: int) -> Iterator[tuple[str, int]]:
    for line in _read(pid, "status").splitlines():
        name, _, value = line.partition(":")
        if name in {"VmRSS", "VmHWM"}:
            yield name, int(value.split()[0])


def _machine() -> list[int]:
    line, *_ = _text(_PROC / "stat").splitlines()
    return [int(word) for word in line.split()[1:]]


def _read(pid: int, name: str) -> str:
    return _text(_PROC / str(pid) / name)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise BenchmarkError(
            f"cannot read {file} ({error.strerror}): benchmarks need Linux"
        ) from None
