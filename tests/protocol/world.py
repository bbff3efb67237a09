"""A cluster, a cloud and one operator in memory, under virtual time, with a plan of faults.

What people do is in `scenarios`, what must hold in `oracle`.
"""

import asyncio
import base64
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from entra_emulator import seeds
from fhir_app_operator.api import names
from tests.protocol.calls import Calls
from tests.protocol.cloud import OPERATOR_SECRET, Cloud
from tests.protocol.memory_api_server import MERGE_PATCH, MemoryApiServer
from tests.protocol.operators import Operator, Parts
from tests.protocol.oracle import Oracle, is_ready
from tests.protocol.virtual_time import VirtualClock

NAMESPACE = "clinic"
LAG = timedelta(seconds=10)
RESTART = 2.0
"""Seconds between the death of a process and the start of the next."""
BYSTANDER = "99999999-9999-4999-8999-999999999999"
_REGISTRATIONS = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/fhirappregistrations"
_SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"

CLOCK = VirtualClock()
CLOUD = Cloud(CLOCK)
"""One for the process: making an emulator takes longer than a run."""


@dataclass(frozen=True)
class Snapshot:
    """A world to start from, any number of times."""

    now: float
    kube: MemoryApiServer
    directory: object
    nonces: int
    overlap: timedelta = timedelta(hours=24)


class World:
    """Everything of one run."""

    clock = CLOCK
    cloud = CLOUD

    def __init__(self, start=None, plan=(), parts=Parts):
        self.kube = start.kube.copy() if start else MemoryApiServer(self.clock)
        self._nonces = start.nonces if start else 0
        self.overlap = timedelta(hours=24)
        self._parts = parts
        self._lives = 0
        self._wake = None
        self.operator = None
        self.oracle = Oracle(self)
        self.calls = Calls(plan, lambda: self.clock.loop.now, self.oracle.before, self._after)
        if start:
            self.cloud.emulator.directory = start.directory.copy()
        else:
            self.cloud.emulator.reset()
            self._furnish()
        self.oracle.note()

    def snapshot(self):
        directory = self.cloud.directory.copy()
        return Snapshot(self.clock.loop.now, self.kube.copy(), directory, self._nonces)

    def nonce(self):
        self._nonces += 1
        return f"nonce{self._nonces:03}"

    # ---- the operator's life

    def start_operator(self):
        self._lives += 1
        self.operator = Operator(self._lives, self, self._parts)
        self.operator.process.died = self._rouse
        self.operator.start()

    async def restart(self):
        await self.operator.stop()
        self.start_operator()

    async def until(self, goal, within):
        """Let time pass until `goal()` holds; a process that dies is started again.

        Returns whether it came to that within that timedelta.
        """
        deadline = self.clock.loop.now + within.total_seconds()
        while not goal():
            left = deadline - self.clock.loop.now
            if left <= 0:
                return False
            if not self.operator.process.alive:
                await self.operator.stop()
                await asyncio.sleep(RESTART)
                self.start_operator()
                continue
            await self._something(left)
        return True

    async def rest(self, length):
        """Let time pass; a process that dies is started again."""
        await self.until(lambda: False, length)

    async def _something(self, seconds):
        """Wait for the next call or death."""
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        timer = loop.call_later(seconds, self._rouse)
        await self._wake
        timer.cancel()

    def _rouse(self):
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _after(self, entry):
        self.oracle.after(entry)
        self._rouse()

    # ---- what is there

    def registrations(self):
        return self.kube.list(_REGISTRATIONS)

    def registration(self, name):
        return self.kube.objects.get(f"{_REGISTRATIONS}/{name}")

    def registration_by_uid(self, uid):
        return next((b for b in self.registrations() if b["metadata"]["uid"] == uid), None)

    def is_ready(self, name):
        body = self.registration(name)
        return body is not None and is_ready(body)

    def secret(self, name):
        return self.kube.objects.get(f"{_SECRETS}/{name}")

    def secret_of(self, body):
        meta = body["metadata"]
        return self.secret((body["spec"].get("secret") or {}).get("name") or meta["name"])

    def key_id(self, name):
        secret = self.secret(name)
        return secret and secret["metadata"]["annotations"].get(names.KEY_ID_ANNOTATION)

    def is_usable(self, body):
        """Whether the Secret of a registration lets its workload sign in."""
        secret = self.secret_of(body)
        if secret is None:
            return False
        if body["spec"]["type"] in ("Resource", "Public"):
            return True
        data = {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}
        client_id, value = data.get("AZURE_CLIENT_ID"), data.get("AZURE_CLIENT_SECRET")
        return bool(client_id and value) and self.cloud.signs_in(client_id, value)

    def bystanders(self):
        """Objects of others, which nobody may touch."""
        entity = self.cloud.directory.primary("application", _by_app_id(BYSTANDER))
        return entity.document, self.secret("somebody-elses")

    # ---- what people do: not counted, never struck

    def register(self, name, **spec):
        document = {
            "apiVersion": names.API_VERSION,
            "kind": names.REGISTRATION_KIND,
            "metadata": {"name": name},
            "spec": {"tenantRef": {"name": "default"}} | spec,
        }
        return self.ask("POST", _REGISTRATIONS, document)

    def edit(self, name, **spec):
        return self.ask("PATCH", f"{_REGISTRATIONS}/{name}", {"spec": spec})

    def annotate(self, name, **notes):
        return self.ask("PATCH", f"{_REGISTRATIONS}/{name}", {"metadata": {"annotations": notes}})

    def delete(self, name):
        return self.ask("DELETE", f"{_REGISTRATIONS}/{name}")

    def delete_secret(self, name):
        self.break_secret(name)
        return self.ask("DELETE", f"{_SECRETS}/{name}")

    def edit_secret(self, name, data):
        self.break_secret(name)
        return self.ask("PATCH", f"{_SECRETS}/{name}", {"data": data})

    def break_secret(self, name):
        """What a person does to a Secret is not the operator's fault until it is good again."""
        body = self.registration(name)
        if body is not None:
            self.oracle.excused.add(body["metadata"]["uid"])

    def ask(self, method, path, body=None):
        request = _HumanRequest(method, path, body)
        status, answer = self.kube.handle(request)
        assert status < 300, (method, path, answer)
        self.oracle.note()
        return answer

    def _furnish(self):
        for name in ("kube-system", "fhir-app-operator", NAMESPACE):
            self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        value = base64.b64encode(OPERATOR_SECRET.encode()).decode()
        operators = {"metadata": {"name": "entra"}, "data": {"client-secret": value}}
        self.ask("POST", "/api/v1/namespaces/fhir-app-operator/secrets", operators)
        foreign = {"metadata": {"name": "somebody-elses"}, "data": {"AZURE_CLIENT_SECRET": value}}
        self.ask("POST", _SECRETS, foreign)
        self.ask("POST", f"/apis/{names.API_VERSION}/entratenants", self.cloud.tenant_document())
        directory = self.cloud.directory
        directory.store.lag = LAG
        seeds._plant_application(directory, BYSTANDER, f"{NAMESPACE}/service", secret="theirs")


@dataclass(frozen=True)
class _HumanRequest:
    method: str
    path: str
    body: object
    query: tuple = ()
    content_type: str = MERGE_PATCH


def _by_app_id(app_id):
    from entra_emulator.directory.directory import Key

    return Key(app_id, "appId")


@contextmanager
def captured_logs():
    """Collect what the operator logs, at every level, instead of writing it."""
    before = structlog.get_config()
    entries = []

    def keep(_logger, _method, entry):
        entries.append(entry)
        raise structlog.DropEvent

    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    try:
        yield entries
    finally:
        structlog.configure(**before)
