"""The operator's projected ServiceAccount tokens, as the kubelet would keep them in a Pod.

Here: two files and the thread that renews them. Not here: who reads them.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.control_plane import ControlPlane, KubectlError
from dev.cluster.kubeconfig import write_private

NAMESPACE = "fhir-app-operator"
SERVICE_ACCOUNT = "fhir-app-operator"
SUBJECT = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
"""The audience of tokens that Entra takes for assertions ("Workload identity federation")."""

_RENEW_SECONDS = 300.0
_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TokenFiles:
    """Where the tokens are: one for the API server, one to exchange at Entra."""

    api_server: Path
    exchange: Path


@contextmanager
def projected_tokens(cluster: ControlPlane, folder: Path) -> Iterator[TokenFiles]:
    """Token files in `folder`, renewed in place every few minutes until the block ends.

    KubectlError when the ServiceAccount is not there.
    """
    files = TokenFiles(folder / "api-server.token", folder / "entra.token")
    _renew(cluster, files)
    done = threading.Event()
    thread = threading.Thread(target=_keep_fresh, args=(cluster, files, done), daemon=True)
    thread.start()
    try:
        yield files
    finally:
        done.set()
        thread.join()


def _keep_fresh(cluster: ControlPlane, files: TokenFiles, done: threading.Event) -> None:
    pause = _RENEW_SECONDS
    while not done.wait(pause):
        try:
            _renew(cluster, files)
        except KubectlError:  # the API server may be restarting; the old tokens last an hour
            pause = _RETRY_SECONDS
        else:
            pause = _RENEW_SECONDS


def _renew(cluster: ControlPlane, files: TokenFiles) -> None:
    for file, audiences in ((files.api_server, ()), (files.exchange, (EXCHANGE_AUDIENCE,))):
        token = cluster.service_account_token(NAMESPACE, SERVICE_ACCOUNT, audiences=audiences)
        partial = write_private(file.with_suffix(".partial"), token.encode())
        partial.replace(file)
