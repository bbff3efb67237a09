"""Running one program to its end while staying stoppable.

Here: waiting with a stop event, and reading a child's standard error line by line. Not here: the
long-lived programs of the control plane, which `supervisor.py` holds.
"""

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dev.cluster.errors import StoppedError

POLL_SECONDS = 0.05
_TIDY_UP_SECONDS = 5.0


def pause(stop: threading.Event, seconds: float = POLL_SECONDS) -> None:
    """Wait `seconds`; raises StoppedError at once when `stop` is set."""
    if stop.wait(seconds):
        raise StoppedError("stopped before it was ready")


def run_to_end(
    command: Sequence[str],
    *,
    stop: threading.Event,
    on_line: Callable[[str], None],
    on_poll: Callable[[], None],
    env: Mapping[str, str],
    cwd: Path,
) -> tuple[int, str]:
    """Run `command` and give its exit code and standard output.

    `on_line` gets each line of standard error, on a thread of its own; `on_poll` is called about
    every POLL_SECONDS. When `stop` is set or anything raises here, the program is ended first.
    """
    with subprocess.Popen(
        command,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        output: list[str] = []
        readers = [
            threading.Thread(target=_read, args=(process.stderr, on_line), daemon=True),
            threading.Thread(target=_read, args=(process.stdout, output.append), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            while process.poll() is None:
                pause(stop)
                on_poll()
        finally:
            _end(process)
            for reader in readers:
                reader.join()
    pause(stop, 0)  # Ctrl-C in a terminal ends the program too, and that is no failure of it
    return process.returncode, "\n".join(output)


def _read(stream: "subprocess._FILE", on_line: Callable[[str], None]) -> None:
    for line in stream:  # type: ignore[union-attr]
        on_line(line.rstrip("\n"))


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)  # go and pip tidy up on this one
    with suppress(subprocess.TimeoutExpired):
        process.wait(_TIDY_UP_SECONDS)
    process.kill()
