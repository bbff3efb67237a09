"""A local Kubernetes control plane, as context managers.

Here: its life from the search for binaries to the last removed file, and what one does with it
while it runs. Not here: the processes themselves (`supervisor.py`), their flags (`programs.py`),
where their binaries come from (`binaries.py`).
"""

import asyncio
import base64
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from typing_extensions import override

from dev.cluster.binaries import Binaries, locate
from dev.cluster.errors import PortTakenError, StartError
from dev.cluster.kubeconfig import write_token_kubeconfig
from dev.cluster.ports import Ports, reserved_ports
from dev.cluster.programs import API_SERVER, CONTROLLER_MANAGER, Files, launches, write_files
from dev.cluster.readiness import API_SERVER_READY, CONTROLLERS_READY, wait_for
from dev.cluster.supervisor_client import SupervisorClient

_START_ATTEMPTS = 5


class KubectlError(subprocess.CalledProcessError):
    """kubectl ended with an error; reads as what it said on standard error."""

    @override
    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.stderr}"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane, tied to no event loop.

    Its methods block, and may be called from any thread.
    `url` is the API server's, without a trailing slash; `folder` goes with the control plane;
    `kubeconfig` is the administrator's (cluster-admin); `issuer` and `service_account_public_key`
    (PEM, RSA) are what its ServiceAccount tokens are verified with; `kubectl_path` is a kubectl of
    the API server's version.
    """

    url: str
    folder: Path
    kubeconfig: Path
    ca_pem: bytes
    issuer: str
    service_account_public_key: bytes
    kubectl_path: Path
    _files: Files = field(repr=False)
    _supervisor: SupervisorClient = field(repr=False)

    def kubectl(
        self,
        *args: str,
        stdin: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl with these arguments, as the administrator unless `kubeconfig` is given.

        The result has `stdout`, `stderr` and `returncode`. With `check` a failure raises
        KubectlError. Nothing of the user's own kubectl settings is read or written.
        """
        environment = os.environ | {
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            "KUBECACHEDIR": str(self.folder / "kubectl-cache"),
            "KUBERC": "off",
        }
        done = subprocess.run(
            [self.kubectl_path, *args],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        if check and done.returncode != 0:
            raise KubectlError(done.returncode, done.args, done.stdout, done.stderr)
        return done

    def service_account_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> str:
        """A new token of that ServiceAccount, from the TokenRequest API.

        Without `audiences` it is for the API server itself. The API accepts no less than 600
        seconds. KubectlError when there is no such ServiceAccount.
        """
        wanted = [f"--audience={audience}" for audience in audiences]
        done = self.kubectl(
            "create", "token", name, f"--namespace={namespace}", f"--duration={seconds}s", *wanted
        )
        return done.stdout.strip()

    def kubeconfig_for_token(self, token_file: Path, path: Path, url: str | None = None) -> Path:
        """Write a kubeconfig to `path` whose user presents the token in `token_file`.

        It names the file, so a token renewed in place is picked up. `url` is where the API server
        is reached, None for directly. Gives `path`.
        """
        return write_token_kubeconfig(path, url or self.url, self.ca_pem, token_file)

    def restart_api_server(self) -> None:
        """Kill the API server with SIGKILL and start it again on the same port; wait till ready.

        What was stored stays, every open watch breaks. Raises StartError if it does not come back.
        """
        self._supervisor.restart(API_SERVER)
        wait_for(API_SERVER_READY, self._files, self._supervisor.exits, stop=threading.Event())

    def compact(self) -> None:
        """Make etcd forget all versions but the current ones, as it does every five minutes.

        The API server itself remembers some of them until it is restarted. Raises httpx.HTTPError.
        """
        tls = ssl.create_default_context(cadata=self.ca_pem.decode())
        tls.load_cert_chain(self._files.pki("etcd.crt"), self._files.pki("etcd.key"))
        with httpx.Client(base_url=self._files.etcd_url, verify=tls, trust_env=False) as etcd:
            found = etcd.post("/v3/kv/range", json={"key": _base64(b"/"), "limit": 1})
            revision = found.raise_for_status().json()["header"]["revision"]
            compaction = {"revision": revision, "physical": True}
            etcd.post("/v3/kv/compaction", json=compaction).raise_for_status()

    def ended_programs(self) -> dict[str, int]:
        """The exit codes, by name, of the control plane's programs that are no longer running."""
        return self._supervisor.exits()

    @property
    def supervisor_pid(self) -> int:
        """The process that holds the rest: its id is also the id of their session."""
        return self._supervisor.pid


@asynccontextmanager
async def control_plane(
    folder: Path | None = None, log: Callable[[str], None] | None = None
) -> AsyncIterator[ControlPlane]:
    """`running_control_plane` for asyncio: nothing in it blocks the event loop."""
    stop = threading.Event()
    starting = asyncio.ensure_future(asyncio.to_thread(_start, folder, log, stop))
    try:
        cluster, resources = await asyncio.shield(starting)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([starting])
        if starting.exception() is None:
            starting.result()[1].close()
        raise
    try:
        yield cluster
    finally:
        await asyncio.shield(asyncio.to_thread(resources.close))


@contextmanager
def running_control_plane(
    folder: Path | None = None,
    log: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[ControlPlane]:
    """A control plane that is ready at the start of the block and gone at its end.

    `folder` must be absent or empty, and is empty or absent again at the end; None is a new
    temporary folder. `log` gets lines for a person, such as the progress of a build; None prints
    them on standard error. Setting `stop` ends the start with StoppedError. If this process is
    killed, the control plane goes too. Raises ControlPlaneError when there can be none.
    """
    cluster, resources = _start(folder, log, stop or threading.Event())
    with resources:
        yield cluster


def _start(
    folder: Path | None, log: Callable[[str], None] | None, stop: threading.Event
) -> tuple[ControlPlane, ExitStack]:
    tell = log or _to_standard_error
    binaries = locate(os.environ, log=tell, stop=stop)
    return start(binaries, folder, log=tell, stop=stop)


def start(
    binaries: Binaries,
    folder: Path | None,
    *,
    log: Callable[[str], None],
    stop: threading.Event,
    reserve: Callable[[], AbstractContextManager[Ports]] = reserved_ports,
) -> tuple[ControlPlane, ExitStack]:
    """Start a control plane; closing the second part of the result ends it.

    Begins anew with other ports from `reserve` while somebody else takes one in between. For the
    rest see `running_control_plane`.
    """
    for _ in range(_START_ATTEMPTS):
        with ExitStack() as resources:
            ports = resources.enter_context(reserve())
            supervisor = SupervisorClient(folder)
            resources.callback(supervisor.close)
            try:
                cluster = _launch(binaries, supervisor, ports, stop)
            except PortTakenError as error:
                log(f"a port of the control plane was taken, trying others: {error}")
                continue
            return cluster, resources.pop_all()
    raise StartError(f"no free ports for the control plane in {_START_ATTEMPTS} attempts")


def _launch(
    binaries: Binaries, supervisor: SupervisorClient, ports: Ports, stop: threading.Event
) -> ControlPlane:
    files = write_files(supervisor.folder, ports)
    for launch in launches(binaries, files, ports):
        if launch.name == CONTROLLER_MANAGER:  # it looks for the API server only once a second
            wait_for(API_SERVER_READY, files, supervisor.exits, stop=stop)
        log = files.log(launch.name)
        supervisor.start(launch.name, launch.command, log=log, grace=launch.grace)
    wait_for(CONTROLLERS_READY, files, supervisor.exits, stop=stop)
    return ControlPlane(
        url=files.url,
        folder=files.folder,
        kubeconfig=files.kubeconfig,
        ca_pem=files.ca_pem,
        issuer=files.url,
        service_account_public_key=files.service_account_public_key,
        kubectl_path=binaries.kubectl,
        _files=files,
        _supervisor=supervisor,
    )


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
