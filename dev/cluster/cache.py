"""Where built things are kept between runs, and the lock that keeps two builds apart.

Here: folders below the user's cache folder and their names. Not here: what is put into them.
"""

import fcntl
import hashlib
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.cluster.errors import ControlPlaneError
from dev.cluster.processes import pause

_GO_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_LOCK_POLL_SECONDS = 0.2


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Our folder in the user's cache, by the XDG Base Directory rules; not created here.

    A relative `XDG_CACHE_HOME` counts as unset, as the specification asks.
    """
    home = Path(environment.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():
        home = Path(environment.get("HOME") or Path.home()) / ".cache"
    return home / "fhir-app-operator"


def system_and_architecture() -> tuple[str, str]:
    """This machine in Go's words, such as ("linux", "amd64"); raises ControlPlaneError if unfit."""
    architecture = _GO_ARCHITECTURES.get(platform.machine().lower())
    if sys.platform not in {"linux", "darwin"} or architecture is None:
        raise ControlPlaneError(
            f"the local control plane runs on Linux and macOS, on x86-64 and ARM64; "
            f"this is {sys.platform} on {platform.machine()}"
        )
    return sys.platform, architecture


def fingerprint(files: list[Path]) -> str:
    """Twelve hex digits that change with the content of any of `files`."""
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


@contextmanager
def exclusive(lock: Path, *, log: Callable[[str], None], stop: threading.Event) -> Iterator[None]:
    """Hold the lock file `lock`, which ends with the process at the latest.

    While somebody else holds it this waits, and says so once; StoppedError when `stop` is set.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as handle:
        if not _try_lock(handle.fileno()):
            log("another run is building the control plane: waiting for it to finish")
            while not _try_lock(handle.fileno()):
                pause(stop, _LOCK_POLL_SECONDS)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_program(path: Path) -> bool:
    """Whether `path` is a file that this user may run."""
    return path.is_file() and os.access(path, os.X_OK)
