"""The process that holds a control plane: its programs and its folder, for as long as it is wanted.

It is started as a file, in a session of its own, with nothing but the standard library. It takes
one JSON object per line on standard input and answers each with one on standard output. When
that input ends, for whatever reason (a clean stop, an exception, a killed parent), it ends the
programs, the last one started first, and removes the folder. Ctrl-C in a terminal does not reach
it: its parent decides.

    {"do": "start", "name", "command", "log", "grace"}    start a program
    {"do": "restart", "name"}                             kill a program and start it again
    {"do": "exits"}                                       exit codes of those that ended

Not here: what is started and when it is ready (`control_plane.py`), the other end of the pipe
(`supervisor_client.py`).
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER_PREFIX = "fhir-app-operator-control-plane-"

_PARENT_POLL_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_REMOVE_ATTEMPTS = 5


class Program:
    """One program: how it is started and, once it was, its process.

    `grace` is how many seconds it has between SIGTERM and SIGKILL.
    """

    def __init__(self, command: list[str], log: Path, grace: float, folder: Path) -> None:
        self._command = command
        self._log = log
        self._grace = grace
        self._folder = folder
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.defpath, "HOME": str(self._folder), "TMPDIR": str(self._folder)}
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=environment,  # etcd would read ETCD_*, Go programs the caller's proxies
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - this process has one thread
            )

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self._process.poll()

    def restart(self) -> None:
        """Kill it, without a chance to say good-bye, and start it again."""
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def stop(self) -> None:
        """Ask it to end, then kill it."""
        self._process.terminate()
        try:
            self._process.wait(self._grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Supervisor:
    """The programs by name, in the order of their first start, and their folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs: dict[str, Program] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what `request` asks, and give the answer; an error is an answer too."""
        try:
            match request["do"]:
                case "start":
                    self._programs[request["name"]] = Program(
                        request["command"], Path(request["log"]), request["grace"], self._folder
                    )
                case "restart":
                    self._programs[request["name"]].restart()
                case "exits":
                    return {"exits": self._exits()}
                case other:
                    return {"error": f"unknown request {other!r}"}
        except (OSError, KeyError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
        return {}

    def _exits(self) -> dict[str, int]:
        codes = {name: program.exit_code for name, program in self._programs.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def stop(self) -> None:
        """End every program, the last one first."""
        for program in reversed(self._programs.values()):
            program.stop()


def _die_with_parent() -> Callable[[], None] | None:
    """What a child runs before its program, so that the kernel kills it with this process."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_kernel() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def own_folder(wanted: str) -> tuple[Path, bool]:
    """The folder to work in, readable by this user only, and whether it was made here.

    A `wanted` folder must be absent or empty: what is in it at the end is removed.
    """
    if not wanted:
        return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX)), True
    folder = Path(wanted)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    folder.chmod(0o700)
    return folder, made


def empty(folder: Path, *, remove: bool) -> None:
    """Remove what is in `folder`, and with `remove` the folder too.

    Tried again when somebody, such as a last kubectl, adds a file meanwhile.
    """
    for _ in range(_REMOVE_ATTEMPTS):
        for entry in list(folder.iterdir()) if folder.exists() else []:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        with suppress(OSError):
            if remove:
                folder.rmdir()
        if not folder.exists() or not (remove or any(folder.iterdir())):
            return


def requests(parent: int) -> Iterator[dict[str, Any]]:
    """What comes in on standard input, until it ends or process `parent` is no longer ours.

    The second condition matters when a fork of the parent still holds the pipe open.
    """
    buffer = b""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], _PARENT_POLL_SECONDS)
        if not readable:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        yield from (json.loads(line) for line in lines)


def _say(answer: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(answer).encode() + b"\n")


def main(parent: int, wanted: str) -> None:
    """Serve process `parent` in the folder `wanted` (empty: a new temporary one) to its end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        folder, made = own_folder(wanted)
    except OSError as error:
        _say({"error": str(error)})
        return
    supervisor = Supervisor(folder)
    try:
        _say({"folder": str(folder)})
        for request in requests(parent):
            _say(supervisor.answer(request))
    finally:
        supervisor.stop()
        empty(folder, remove=made)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
