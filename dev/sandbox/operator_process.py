"""The operator as a process of its own, under its ServiceAccount, as a Pod would run it.

Here: its settings, its life, whether it is ready. Not here: who restarts it when it dies.
"""

import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import httpx

from dev.cluster.control_plane import ControlPlane
from dev.cluster.ports import LOOPBACK
from dev.sandbox.errors import SandboxError
from dev.sandbox.programs import Program, Programs, console_script, tail
from dev.sandbox.tokens import NAMESPACE, TokenFiles

OPERATOR_COMMAND = ("fhir-app-operator", "run")

_GRACE_SECONDS = 3.0
_REQUEST_SECONDS = 2.0
_STOP_SECONDS = 30.0
_COMMAND_SECONDS = 60.0
# Below what Linux, macOS and IANA give to outgoing connections, so that nobody has the port by
# chance between two runs of the operator.
_PORTS = range(20_000, 30_000)
_PORT_ATTEMPTS = 100


class OperatorProcess:
    """`fhir-app-operator run`, which can be stopped and started again; listens on one port."""

    def __init__(self, programs: Programs, program: Program, address: str) -> None:
        self._programs = programs
        self._program = program
        self._address = address

    @property
    def name(self) -> str:
        """The program's name among the environment's."""
        return self._program.name

    @property
    def pid(self) -> int:
        """The process id of the current run, or of the last one."""
        return int(self._program.pid_file.read_text())

    @property
    def log(self) -> Path:
        """Where all runs write their log: JSON, one entry a line."""
        return self._program.log

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that it gets: settings, and the files that it reads."""
        return self._program.environment

    @property
    def metrics_url(self) -> str:
        """Where its metrics are."""
        return f"http://{self._address}/metrics"

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last run (negative: the signal), or None while it runs."""
        return self._programs.exit_code(self._program)

    def replica(self, name: str) -> "OperatorProcess":
        """Another one with the same settings and its own port and log, not started yet."""
        address = f"{LOOPBACK}:{_free_port()}"
        folder = self._programs.folder
        listening = {"FHIR_APP_OPERATOR_LISTEN_ADDRESS": address}
        program = replace(
            self._program, name=name, log=folder / f"{name}.log", pid_file=folder / f"{name}.pid",
            environment={**self._program.environment, **listening},
        )  # fmt: skip
        return OperatorProcess(self._programs, program, address)

    def log_tail(self) -> str:
        """The last lines of the log."""
        return tail(self.log)

    def configure(self, **settings: str) -> None:
        """Let its next start have these `FHIR_APP_OPERATOR_*` variables (without the prefix)."""
        named = {f"FHIR_APP_OPERATOR_{name}": value for name, value in settings.items()}
        environment = {**self._program.environment, **named}
        self._program = replace(self._program, environment=environment)

    def start(self) -> None:
        """Start it and wait until it is ready; it must not be running.

        Raises SandboxError with the log's tail if it does not become ready.
        """
        self._programs.start(self._program)
        with httpx.Client(trust_env=False, timeout=_REQUEST_SECONDS) as client:
            self._programs.wait(self._program, lambda: self._is_ready(client), "become ready")

    def stop(self, number: int = signal.SIGTERM, seconds: float = _STOP_SECONDS) -> int:
        """Send it a signal, wait until it has ended, and give the exit code.

        Raises SandboxError if it goes on for `seconds`.
        """
        if self.exit_code is None:
            os.kill(self.pid, number)  # not reaped before we ask for the exit code: still its pid
        return self._programs.wait_for_end(self._program, seconds)

    def restart(self, number: int = signal.SIGKILL) -> None:
        """End it with a signal (the default gives it no chance) and start it again."""
        self.stop(number)
        self.start()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the same program in the same environment, as in its Pod."""
        script = console_script(self._program.command[0])
        environment = {"PATH": os.defpath, "COLUMNS": "200", **self._program.environment}
        return subprocess.run(
            [str(script), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )

    def _is_ready(self, client: httpx.Client) -> bool:
        try:
            answer = client.get(f"http://{self._address}/readyz")
        except httpx.TransportError:
            return False
        return answer.status_code == HTTPStatus.OK


def operator_process(
    programs: Programs,
    cluster: ControlPlane,
    tokens: TokenFiles,
    *,
    settings: Mapping[str, str],
    log: Path | None,
    pid_file: Path | None,
    command: tuple[str, ...] = OPERATOR_COMMAND,
    api_server: str | None = None,
) -> OperatorProcess:
    """The operator, not started yet.

    `settings` are `FHIR_APP_OPERATOR_*` variables without the prefix; `log` and `pid_file` are in
    the environment's own folder unless given; `command` is what runs it; `api_server` is where it
    finds the API server, None for directly.
    """
    address = f"{LOOPBACK}:{_free_port()}"
    kubeconfig = programs.folder / "operator.kubeconfig"
    cluster.kubeconfig_for_token(tokens.api_server, kubeconfig, api_server)
    named = {"NAMESPACE": NAMESPACE, "LISTEN_ADDRESS": address, **settings}
    program = Program(
        name="fhir-app-operator",
        command=command,
        log=log or programs.folder / "operator.log",
        pid_file=pid_file or programs.folder / "operator.pid",
        environment={
            "KUBECONFIG": str(kubeconfig),
            "AZURE_FEDERATED_TOKEN_FILE": str(tokens.exchange),
            **{f"FHIR_APP_OPERATOR_{name}": value for name, value in named.items()},
        },
        grace=_GRACE_SECONDS,
    )
    return OperatorProcess(programs, program, address)


def _free_port() -> int:
    for port in random.sample(_PORTS, _PORT_ATTEMPTS):
        with socket.socket() as candidate:
            try:
                candidate.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise SandboxError(f"no free port between {_PORTS.start} and {_PORTS.stop}")
