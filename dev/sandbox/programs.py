"""Our own programs as processes that cannot outlive us.

Here: the emulator's and the operator's processes, held by a supervisor of `dev.cluster`: if this
process is killed they go too, and so does their folder. Not here: what they are told.
"""

import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.kubeconfig import write_private
from dev.cluster.processes import POLL_SECONDS, pause
from dev.cluster.supervisor_client import SupervisorClient
from dev.sandbox import launch
from dev.sandbox.errors import SandboxError

_FOLDER_PREFIX = "fhir-app-operator-environment-"
_LOG_LINES = 20
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """How one program is started.

    `command` is a console script of this virtual environment and its arguments; `environment` is
    all it gets beside PATH, HOME and TMPDIR; on closing it has `grace` seconds between SIGTERM and
    SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    pid_file: Path
    environment: Mapping[str, str]
    grace: float


class Programs:
    """The programs of one environment and their `folder`, which only this user can read."""

    def __init__(self, supervisor: SupervisorClient, stop: threading.Event) -> None:
        self._supervisor = supervisor
        self._stop = stop
        self.folder = supervisor.folder

    def start(self, program: Program) -> int:
        """Start `program`, which must not be running, and give its process id.

        Raises SandboxError if it cannot be started.
        """
        specification = self.folder / f"{program.name}.json"
        write_private(specification, json.dumps(self._specification(program)).encode())
        program.pid_file.unlink(missing_ok=True)
        command = [sys.executable, "-I", "-S", launch.__file__, str(specification)]
        self._supervisor.start(program.name, command, log=program.log, grace=program.grace)
        self.wait(program, program.pid_file.exists, "write its process id")
        return int(program.pid_file.read_text())

    def _specification(self, program: Program) -> dict[str, object]:
        script, *arguments = program.command
        standard = {"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        return {
            "command": [str(console_script(script)), *arguments],
            "environment": standard | dict(program.environment),
            "pidFile": str(program.pid_file),
        }

    def exit_code(self, program: Program) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self.exits().get(program.name)

    def exits(self) -> dict[str, int]:
        """The exit codes of all programs that are no longer running, by name."""
        return self._supervisor.exits()

    def wait(
        self,
        program: Program,
        condition: Callable[[], bool],
        what: str,
        seconds: float = _START_SECONDS,
    ) -> None:
        """Wait until `condition` holds, which means that `program` did `what`.

        Raises SandboxError with the log's tail if the program ends before or `seconds` go by,
        StoppedError if the environment's stop event is set.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            code = self.exit_code(program)
            if code is not None and not condition():
                raise SandboxError(
                    f"{program.name} ended with exit code {code}:\n{tail(program.log)}"
                )
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{program.name} did not {what} within {seconds:.0f} s:\n{tail(program.log)}"
                )
            pause(self._stop)

    def wait_for_end(self, program: Program, seconds: float) -> int:
        """Wait until `program` has ended, and give its exit code.

        Raises SandboxError if it goes on for `seconds`.
        """
        deadline = time.monotonic() + seconds
        while (code := self.exit_code(program)) is None:
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{program.name} did not end within {seconds:.0f} s:\n{tail(program.log)}"
                )
            time.sleep(POLL_SECONDS)
        return code


@contextmanager
def running_programs(stop: threading.Event) -> Iterator[Programs]:
    """Room for programs, which end, the last one first, with the block or with this process."""
    folder = Path(tempfile.gettempdir()) / f"{_FOLDER_PREFIX}{secrets.token_hex(8)}"
    supervisor = SupervisorClient(folder)
    try:
        yield Programs(supervisor, stop)
    finally:
        supervisor.close()


def console_script(name: str) -> Path:
    """The console script `name` of this virtual environment; SandboxError if it is not there."""
    path = Path(sys.executable).with_name(name)
    if not path.is_file():
        raise SandboxError(f"{path} is missing: the project is not installed; run `make help`")
    return path


def tail(log: Path, lines: int = _LOG_LINES) -> str:
    """The last lines of a log, as much of it as there is."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])
