"""One environment: a cluster with `deploy/` applied, an emulated Entra, the operator between them.

Here: what is started in which order. Not here: the processes (`programs.py`), the folder that a
sandbox shows to its user (`publication.py`).
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev.cluster.control_plane import ControlPlane, running_control_plane
from dev.cluster.processes import pause
from dev.fault_proxy import FaultProxy, running_fault_proxy
from dev.sandbox.entra import Entra, listening, start_emulator
from dev.sandbox.errors import SandboxError
from dev.sandbox.operator_process import OPERATOR_COMMAND, OperatorProcess, operator_process
from dev.sandbox.programs import Programs, running_programs
from dev.sandbox.tokens import projected_tokens

ROOT = Path(__file__).parents[2]
TENANT = "default"

_KINDS = ("entratenants.fhirapps.dev", "fhirappregistrations.fhirapps.dev")
_POLL_SECONDS = 0.2
_TENANT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an environment differs from another.

    `watch_secrets` also picks the RBAC; `settings` are further `FHIR_APP_OPERATOR_*` variables
    without the prefix; `operator_log` and `operator_pid` are where those files go instead of the
    environment's own folder; `faulty_api_server` puts a fault proxy between the operator and the
    API server; `operator_command` is a program of this virtual environment and its
    arguments, for those who run the operator under a profiler.
    """

    watch_secrets: bool = True
    resync_interval: str = "30s"
    settings: Mapping[str, str] = field(default_factory=dict)
    operator_log: Path | None = None
    operator_pid: Path | None = None
    faulty_api_server: bool = False
    operator_command: tuple[str, ...] = OPERATOR_COMMAND


@dataclass(frozen=True, slots=True)
class Environment:
    """A running environment.

    `cluster.kubeconfig` and `cluster.kubectl` are the administrator's, and direct; `proxy` is in
    the operator's way to the API server, if one was asked for.
    """

    cluster: ControlPlane
    entra: Entra
    operator: OperatorProcess
    _programs: Programs = field(repr=False)
    proxy: FaultProxy | None = None

    def ended_programs(self) -> dict[str, int]:
        """The exit codes, by name, of what ended by itself, but for the operator's."""
        ended = self.cluster.ended_programs() | self._programs.exits()
        return {name: code for name, code in ended.items() if name != self.operator.name}

    def objects(self, kind: str, namespace: str | None = None) -> list[dict[str, Any]]:
        """All objects of a kind, in one namespace or in all of them."""
        where = f"--namespace={namespace}" if namespace else "--all-namespaces"
        listing = self.cluster.kubectl("get", kind, where, "--output=json").stdout
        items: list[dict[str, Any]] = json.loads(listing)["items"]
        return items


@contextmanager
def running_environment(
    options: Options | None = None,
    *,
    cluster: ControlPlane | None = None,
    log: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Environment]:
    """An environment whose tenant `default` is Ready at the start of the block; gone at its end.

    `deploy/` (or `deploy/watch-secrets`) is applied, the operator runs under its ServiceAccount,
    and the tenant is open to all namespaces; there are no registrations. With `cluster` that one
    is used, and keeps what was applied. `log` gets a line for each step; None prints on standard
    error. Setting `stop` ends the start with StoppedError. If this process is killed, all goes.
    Raises SandboxError, ControlPlaneError or KubectlError.
    """
    options = options or Options()
    stop = stop or threading.Event()
    tell = log or (lambda _line: None)
    with ExitStack() as stack:
        if cluster is None:
            tell("starting a Kubernetes control plane")
            cluster = stack.enter_context(running_control_plane(log=log, stop=stop))
        programs = stack.enter_context(running_programs(stop))
        tell("starting the emulated Entra, applying deploy/")
        emulator = start_emulator(programs, cluster)
        install(cluster, watch_secrets=options.watch_secrets)
        entra = listening(programs, emulator)
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(tenant_manifest(entra)))
        tell("starting the operator under its ServiceAccount")
        proxy = stack.enter_context(_proxy(cluster)) if options.faulty_api_server else None
        operator = stack.enter_context(_operator(programs, cluster, options, proxy))
        _wait_for_tenant(cluster, operator, stop)
        yield Environment(cluster, entra, operator, programs, proxy)


def install(cluster: ControlPlane, *, watch_secrets: bool) -> None:
    """Apply the manifests in `deploy/` as an administrator would, and wait for the kinds."""
    folder = ROOT / "deploy" / ("watch-secrets" if watch_secrets else "")
    cluster.kubectl("apply", "--server-side", f"--kustomize={folder}")
    crds = [f"customresourcedefinition/{kind}" for kind in _KINDS]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *crds)


def tenant_manifest(entra: Entra) -> dict[str, Any]:
    """The EntraTenant `default`: the emulated Entra, open to all namespaces."""
    return {
        "apiVersion": "fhirapps.dev/v1alpha1",
        "kind": "EntraTenant",
        "metadata": {"name": TENANT},
        "spec": {
            "tenantId": entra.tenant_id,
            "cloud": "Custom",
            "endpoints": {"authorityHost": entra.origin, "graphUrl": entra.origin},
            "clientId": entra.operator_client_id,
            "auth": {"workloadIdentity": {}},
            "caBundle": entra.ca_file.read_text(),
            "allowedNamespaces": {"from": "All"},
        },
    }


def _proxy(cluster: ControlPlane) -> AbstractContextManager[FaultProxy]:
    where = urlsplit(cluster.url)
    return running_fault_proxy(where.hostname or "", where.port or 0)


@contextmanager
def _operator(
    programs: Programs, cluster: ControlPlane, options: Options, proxy: FaultProxy | None
) -> Iterator[OperatorProcess]:
    settings = {
        "WATCH_SECRETS": "true" if options.watch_secrets else "false",
        "RESYNC_INTERVAL": options.resync_interval,
        **options.settings,
    }
    with projected_tokens(cluster, programs.folder) as tokens:
        operator = operator_process(
            programs,
            cluster,
            tokens,
            settings=settings,
            log=options.operator_log,
            pid_file=options.operator_pid,
            command=options.operator_command,
            api_server=f"https://{proxy.address}" if proxy else None,
        )
        operator.start()
        yield operator


def _wait_for_tenant(
    cluster: ControlPlane, operator: OperatorProcess, stop: threading.Event
) -> None:
    condition: dict[str, Any] = {}
    for _ in range(int(_TENANT_SECONDS / _POLL_SECONDS)):
        listing = cluster.kubectl("get", f"entratenant/{TENANT}", "--output=json").stdout
        status = json.loads(listing).get("status", {})
        condition = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})
        if condition.get("status") == "True":
            return
        pause(stop, _POLL_SECONDS)
    raise SandboxError(
        f"EntraTenant '{TENANT}' is not Ready ({condition.get('message', 'no condition')}):\n"
        f"{operator.log_tail()}"
    )
