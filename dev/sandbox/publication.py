"""The folder in which a sandbox shows its user where everything is.

Here: whose the folder is, what is in it, how it is left. Not here: the environment it tells of.
"""

import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.kubeconfig import write_private
from dev.sandbox.environment import ROOT, Environment
from dev.sandbox.errors import SandboxError
from dev.sandbox.programs import console_script

_CLAIM_ATTEMPTS = 10
_EXECUTABLE = 0o700
_PLAY = "dev.demo.play"


@dataclass(frozen=True, slots=True)
class Publication:
    """The files of one sandbox's folder; it is an absolute path."""

    folder: Path

    @property
    def operator_pid(self) -> Path:
        """The operator's process id, written anew at each start."""
        return self.folder / "operator.pid"

    @property
    def operator_log(self) -> Path:
        """The operator's log."""
        return self.folder / "operator.log"

    @property
    def env(self) -> Path:
        """What a shell sources."""
        return self.folder / "env"

    @property
    def operator_command(self) -> Path:
        """The operator's command line (`explain`, `plan`, `check`), as in its Pod."""
        return self.folder / "fhir-app-operator"

    @property
    def play_command(self) -> Path:
        """The command `sandbox`: the people and programs around the operator."""
        return self.folder / "sandbox"

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that a sandbox leaves here while it runs; `ready` is the first to go."""
        names = ("ready", "env", "kubeconfig", "ca.pem")
        named = (self.folder / name for name in names)
        commands = (self.operator_command, self.play_command)
        return (*named, *commands, self.operator_pid, self.operator_log)

    def write(self, environment: Environment) -> None:
        """Write the files that tell of `environment`, `ready` last."""
        kubeconfig = self.folder / "kubeconfig"
        write_private(kubeconfig, environment.cluster.kubeconfig.read_bytes())
        ca = self.folder / "ca.pem"
        write_private(ca, environment.entra.ca_file.read_bytes())
        operator = str(console_script("fhir-app-operator"))
        _write_script(self.operator_command, environment.operator.environment, operator)
        _write_script(self.play_command, {"PYTHONPATH": str(ROOT)}, sys.executable, "-m", _PLAY)
        write_private(self.env, self._exports(environment, kubeconfig, ca).encode())
        write_private(self.folder / "ready", b"ready\n")

    def _exports(self, environment: Environment, kubeconfig: Path, ca: Path) -> str:
        entra = environment.entra
        values = {
            "KUBECONFIG": str(kubeconfig),
            "ENTRA_URL": entra.origin,
            "ENTRA_CA": str(ca),
            "ENTRA_TENANT_ID": entra.tenant_id,
            "ENTRA_USER": entra.users[0],
            "ENTRA_ADMIN_URL": entra.admin_url,
            "ENTRA_ADMIN_CLIENT_ID": entra.admin_client_id,
            "ENTRA_ADMIN_CLIENT_SECRET": entra.admin_client_secret,
            "METRICS_URL": environment.operator.metrics_url,
        }
        lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
        lines.append(f'export PATH={shlex.quote(str(self.folder))}:"$PATH"')
        if shutil.which("kubectl") is None:
            beside = environment.cluster.kubectl_path.parent
            lines.append(f'export PATH="$PATH":{shlex.quote(str(beside))}')
        return "\n".join(lines) + "\n"

    def remove(self) -> None:
        """Remove the files, whichever of them are there."""
        for file in self.files:
            file.unlink(missing_ok=True)


@contextmanager
def claimed(folder: Path) -> Iterator[Publication]:
    """The folder, made if need be, for this sandbox alone until the block ends.

    What a killed sandbox left in it is removed first; all other files stay as they are. At the end
    our files are gone, and so is the folder if a sandbox made it. Raises SandboxError if another
    sandbox is running there, OSError if it cannot be written.
    """
    publication = Publication(folder.absolute())
    descriptor, made = _lock(publication)
    try:
        stale = any(file.exists() for file in publication.files)
        publication.remove()
        made = made or (stale and not any(publication.folder.iterdir()))
        write_private(publication.operator_log, b"")
        yield publication
    finally:
        publication.remove()
        with suppress(OSError):
            if made:
                publication.folder.rmdir()
        os.close(descriptor)


def _lock(publication: Publication) -> tuple[int, bool]:
    """A locked descriptor of the folder itself, which goes with the process at the latest.

    Another sandbox may remove the folder between our opening and locking it: then again.
    """
    folder = publication.folder
    for _ in range(_CLAIM_ATTEMPTS):
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise SandboxError(
                f"another sandbox is running in {folder}: end it, or set SANDBOX_DIR"
            ) from None
        if folder.exists() and folder.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor, made
        os.close(descriptor)
    raise SandboxError(f"{folder} is removed again and again")


def _write_script(path: Path, environment: Mapping[str, str], *command: str) -> None:
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    run = f'exec {shlex.join(command)} "$@"'
    write_private(path, "\n".join(["#!/bin/sh", *exports, run, ""]).encode()).chmod(_EXECUTABLE)
