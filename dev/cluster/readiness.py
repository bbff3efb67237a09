"""When a control plane is ready, and why it is not.

Not here: starting it.
"""

import ssl
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

import httpx

from dev.cluster.errors import PortTakenError, StartError
from dev.cluster.processes import pause
from dev.cluster.programs import Files

READY_SECONDS = 60.0

API_SERVER_READY = "/readyz"
# The controllers make it, so it shows that they have begun their work.
CONTROLLERS_READY = "/api/v1/namespaces/default/serviceaccounts/default"

_REQUEST_SECONDS = 5.0
_LOG_LINES = 15
_PORT_TAKEN = "address already in use"


def wait_for(
    path: str,
    files: Files,
    exits: Callable[[], dict[str, int]],
    *,
    stop: threading.Event,
    seconds: float = READY_SECONDS,
) -> None:
    """Wait until the API server answers 200 to the administrator's GET of `path`.

    `exits` gives the exit codes of programs that have ended. Raises PortTakenError or StartError
    with the log's tail when one has, StartError after `seconds`, StoppedError when `stop` is set.
    """
    deadline = time.monotonic() + seconds
    with httpx.Client(
        base_url=files.url, verify=_admin(files), trust_env=False, timeout=_REQUEST_SECONDS
    ) as client:
        while not _succeeds(client, path):
            _raise_if_ended(files, exits())
            if time.monotonic() > deadline:
                raise StartError(f"the API server did not answer {path} within {seconds:.0f} s")
            pause(stop)


def _admin(files: Files) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=files.ca_pem.decode())
    context.load_cert_chain(files.pki("admin.crt"), files.pki("admin.key"))
    return context


def _succeeds(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == HTTPStatus.OK
    except httpx.TransportError:
        return False


def _raise_if_ended(files: Files, exits: dict[str, int]) -> None:
    for name, code in exits.items():
        log = files.log(name).read_text(errors="replace")
        tail = "\n".join(log.splitlines()[-_LOG_LINES:])
        error = PortTakenError if _PORT_TAKEN in log else StartError
        raise error(f"{name} ended with exit code {code}:\n{tail}")
