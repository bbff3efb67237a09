"""The whole operator in a thread, against a real API server, with a fault proxy between them.

A thread, for Kopf cancels on its way out whatever came into its event loop after it. As
`fhir-app-operator run` puts it together, but for timings: seconds where the product has minutes.
No test lives here.
"""

import asyncio
import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx
from structlog.testing import capture_logs

from dev.cluster.control_plane import running_control_plane
from dev.sandbox.environment import install
from entra_emulator import Emulator, Seeds
from entra_emulator.server import serve
from fhir_app_operator import settings
from fhir_app_operator.controller import handlers, process
from tests.controller.lab import OPERATOR_SECRET

PATIENCE = 90.0


@contextmanager
def own_cluster():
    """Run a control plane with all that a cluster with the operator has."""
    with running_control_plane() as running:
        install(running, watch_secrets=True)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "entra", "namespace": "fhir-app-operator"},
            "stringData": {"client-secret": OPERATOR_SECRET},
        }
        running.kubectl("apply", "-f", "-", stdin=json.dumps(secret))
        yield running


def own_entra():
    """Serve a directory that no other test has touched, nor its clock."""
    return serve(Emulator(admin=True, seeds=Seeds(operator_secret=OPERATOR_SECRET)))


def impatient():
    """Kopf's settings, with time-outs of seconds."""
    made = handlers.kopf_settings()
    made.networking.error_backoffs = handlers.Backoffs(longest=0.5)
    made.networking.request_timeout = 3
    made.networking.connect_timeout = 3
    made.watching.inactivity_timeout = 3
    made.watching.reconnect_backoff = 0.1
    made.execution.default_backoff = 0.5
    return made


@dataclass
class Operator:
    """A running operator; its log entries so far, and its telemetry."""

    ended: Future
    log: list

    @property
    def url(self):
        entry = next(entry for entry in self.log if entry["event"] == "serving telemetry")
        return f"http://127.0.0.1:{entry['port']}"

    async def page(self, name):
        async with httpx.AsyncClient(trust_env=False) as http:
            return await http.get(f"{self.url}/{name}")

    async def until(self, condition, what):
        """Wait until the coroutine function `condition` gives something true, and return it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.ended.done():
                raise AssertionError(f"the operator ended: {self.ended.exception()!r}")
            if found := await condition():
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what}: not within {PATIENCE} s\n{self.tail()}")

    def tail(self):
        return "\n".join(json.dumps(entry, default=str) for entry in self.log[-40:])


@asynccontextmanager
async def running_operator(kubeconfig):
    """An operator that is ready at the start of the block and gone at its end."""
    chosen = settings.load({
        "KUBECONFIG": str(kubeconfig),
        "FHIR_APP_OPERATOR_LISTEN_ADDRESS": "127.0.0.1:0",
        "FHIR_APP_OPERATOR_WATCH_SECRETS": "true",
        "FHIR_APP_OPERATOR_WORKERS": "4",
    })  # fmt: skip
    with capture_logs() as log:
        loop, stop = asyncio.new_event_loop(), asyncio.Event()
        with ThreadPoolExecutor(1, "operator") as thread:
            work = process.run(chosen, impatient(), stop)
            operator = Operator(thread.submit(loop.run_until_complete, work), log)
            try:
                await operator.until(lambda: is_ready(operator), "the operator is ready")
                yield operator
            finally:
                loop.call_soon_threadsafe(stop.set)
                await asyncio.wait_for(asyncio.wrap_future(operator.ended), PATIENCE)
                loop.close()


async def is_ready(operator):
    if not any(entry["event"] == "serving telemetry" for entry in operator.log):
        return False
    return (await operator.page("readyz")).status_code == 200
