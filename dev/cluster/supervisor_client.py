"""Our end of the pipe to the supervisor process.

Not here: what the supervisor does (`supervisor.py`), which programs it is given.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dev.cluster import supervisor
from dev.cluster.errors import ControlPlaneError

_STOP_SECONDS = 15.0


class SupervisorClient:
    """A running supervisor; `close` ends it and all it holds. Safe to use from several threads.

    `folder` is where it is to work (absent or empty), or None for a new temporary folder. Raises
    ControlPlaneError when it cannot have that folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lock = threading.Lock()
        wanted = "" if folder is None else str(folder.absolute())
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(os.getpid()), wanted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self.folder = Path(self._answer()["folder"])
        except BaseException:
            self._end()
            raise

    @property
    def pid(self) -> int:
        """The supervisor's process id, which is also the id of the programs' session."""
        return self._process.pid

    def start(self, name: str, command: Sequence[str], *, log: Path, grace: float) -> None:
        """Start a program; on stopping it has `grace` seconds between SIGTERM and SIGKILL."""
        self._ask(do="start", name=name, command=list(command), log=str(log), grace=grace)

    def restart(self, name: str) -> None:
        """Kill the program with SIGKILL and start it again with the same arguments."""
        self._ask(do="restart", name=name)

    def exits(self) -> dict[str, int]:
        """The exit codes of the programs that are no longer running, by name."""
        answer: dict[str, int] = self._ask(do="exits")["exits"]
        return answer

    def close(self) -> None:
        """End the programs and remove the folder; returns when both are done."""
        self._end()
        if self.folder.name.startswith(supervisor.FOLDER_PREFIX):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, **request: Any) -> dict[str, Any]:
        pipe = self._process.stdin
        if pipe is None:
            raise ControlPlaneError("the control plane's supervisor has no input")
        with self._lock:
            with suppress(BrokenPipeError):
                pipe.write(json.dumps(request).encode() + b"\n")
                pipe.flush()
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        pipe = self._process.stdout
        line = pipe.readline() if pipe is not None else b""
        if not line:
            raise ControlPlaneError("the control plane's supervisor has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ControlPlaneError(f"the control plane's supervisor: {answer['error']}")
        return answer

    def _end(self) -> None:
        with self._process as process:
            with suppress(BrokenPipeError):
                if process.stdin is not None:
                    process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
