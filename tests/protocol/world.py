"""A cluster, a cloud and one operator in memory, under virtual time, with a plan of faults.

What people do is in `scenarios`, what must hold in `oracle`.
"""

import asyncio
import base64
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from entra_emulator import GRAPH_APP_ID, OPERATOR_CLIENT_ID, seeds
from entra_emulator.directory import permissions
from entra_emulator.directory.directory import Key
from fhir_app_operator.api import names
from fhir_app_operator.kube.registrations import parse_registration
from fhir_app_operator.planning import requests
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
_CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"

_OWNER = f"{names.GROUP}/owner:"
BYSTANDER_TAG = f"{_OWNER}another-cluster/{BYSTANDER}"

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
    leader = None
    """Who has the Lease, where there is an election."""

    def __init__(self, start=None, plan=(), parts=Parts):
        self.kube = start.kube.copy() if start else MemoryApiServer(self.clock)
        self._nonces = start.nonces if start else 0
        self.overlap = timedelta(hours=24)
        self._parts = parts
        self._lives = 0
        self._wake = None
        self.operator = None
        self.second = None
        """Another operator that is alive at the same time."""
        self.oracle = Oracle(self)
        self.calls = Calls(plan, lambda: self.clock.loop.now, self.oracle.before, self._after)
        if start:
            self.cloud.emulator.directory = start.directory.copy()
        else:
            self.cloud.emulator.reset()
            self._furnish()
        self.cloud.issue_tokens_for()
        self.kube.watchers.append(self._garbage)
        self.oracle.note()

    def _garbage(self, kind, place, _body):
        """The garbage collector comes a moment after an owner has gone."""
        if kind == "DELETED" and "/fhirappregistrations/" in place:
            self.clock.loop.call_later(1.0, self.kube.collect_garbage)

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

    async def start_second(self):
        """Let another operator work at the same time, as no election would."""
        first, self.operator = self.operator, None
        self.start_operator()
        self.second, self.operator = self.operator, first

    async def stop_second(self):
        if self.second is not None:
            await self.second.stop()
            self.second = None

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
            if self.second is not None and not self.second.process.alive:
                await self.stop_second()
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

    def secret_data(self, name):
        found = self.secret(name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in found.items()}

    def config_maps(self):
        """The data of all ConfigMaps of the namespace, by name."""
        found = {body["metadata"]["name"]: body["data"] for body in self.kube.list(_CONFIG_MAPS)}
        assert found.pop("somebody-elses") == {"theirs": "x"}
        return found

    def secret_of(self, body):
        meta = body["metadata"]
        return self.secret((body["spec"].get("secret") or {}).get("name") or meta["name"])

    def key_id(self, name):
        secret = self.secret(name)
        return secret and (secret["metadata"].get("annotations") or {}).get(names.KEY_ID_ANNOTATION)

    def held(self):
        """The key ids of all Secrets."""
        secrets = [body for path, body in self.kube.objects.items() if "/secrets/" in path]
        notes = [body["metadata"].get("annotations") or {} for body in secrets]
        return {each.get(names.KEY_ID_ANNOTATION) for each in notes}

    def time(self, seconds=0):
        """The time then, as people write it into annotations."""
        return (self.clock.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def live_applications(self, name=None):
        """Applications that were made for registrations, or for the one of that name only."""
        live = [entity for entity in self.cloud.applications() if not entity.is_deleted]
        tag = f"{names.GROUP}/registration:{NAMESPACE}/{name}"
        return [each for each in live if name is None or tag in each.document["tags"]]

    def is_usable(self, body):
        """Whether the Secret of a registration lets its workload sign in."""
        secret = self.secret_of(body)
        if secret is None:
            return False
        if body["spec"]["type"] in ("Resource", "Public"):
            return True
        data = {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}
        return self.cloud.signs_in(data)

    def bystanders(self):
        """Objects of others, which nobody may touch."""
        entity = self.cloud.directory.primary("application", _by_app_id(BYSTANDER))
        return entity.document, self.secret("somebody-elses")

    def is_settled(self, name):
        """Whether status says that everything asked for was dealt with."""
        body = self.registration(name)
        return not requests.outstanding(parse_registration(body))

    def condition(self, name, kind):
        found = (self.registration(name).get("status") or {}).get("conditions") or ()
        return next(((c["status"], c["reason"]) for c in found if c["type"] == kind), None)

    def credentials(self, name):
        """The credentials of the application of a registration."""
        documents = [entity.document for entity in self.live_applications(name)]
        return [c for d in documents for c in (*d["passwordCredentials"], *d["keyCredentials"])]

    def granted(self, name):
        """The app roles that the service principal of a registration holds."""
        directory, found = self.cloud.directory, Granted(set(), set())
        for application in self.live_applications(name):
            for principal in self.cloud.principals(application.document["appId"]):
                for entity in permissions.assignments_to(directory, principal.id):
                    key = Key(entity.document["resourceId"])
                    resource = directory.primary("servicePrincipal", key)
                    role_id = entity.document["appRoleId"]
                    roles = directory.primary_view(resource)["appRoles"]
                    found.ids.add(role_id)
                    found.values.update(r["value"] for r in roles if r["id"] == role_id)
        return found

    # ---- what people do: not counted, never struck

    def permit(self, *permissions_of_graph):
        """Give the operator's own application further permissions of Microsoft Graph."""
        directory = self.cloud.directory
        operator, graph = (
            directory.primary("servicePrincipal", Key(app_id, "appId"))
            for app_id in (OPERATOR_CLIENT_ID, GRAPH_APP_ID)
        )
        seeds._grant(directory, operator, graph, permissions_of_graph)

    def consent(self):
        """An administrator consents to what is asked for, where the operator may not."""
        tenant = self.ask("GET", f"/apis/{names.API_VERSION}/entratenants/default")
        if "grants" not in tenant["spec"]:
            for application in self.live_applications():
                self.cloud.consent(application)

    def edit_tenant(self, **spec):
        path = f"/apis/{names.API_VERSION}/entratenants/default"
        return self.ask("PATCH", path, {"spec": spec})

    def change_application(self, name, change):
        """Let a person change the document of an application in the portal."""
        for entity in self.live_applications(name):
            self.cloud.directory.store.replace(
                entity, {**entity.document, **change(entity.document)}
            )

    def move_owner_tag(self, name, tag):
        for entity in self.live_applications(name):
            kept = [t for t in entity.document["tags"] if not t.startswith(_OWNER)]
            self.cloud.directory.store.replace(entity, {**entity.document, "tags": [*kept, tag]})

    def register(self, name, **spec):
        document = {
            "apiVersion": names.API_VERSION,
            "kind": names.REGISTRATION_KIND,
            "metadata": {"name": name},
            "spec": {"tenantRef": {"name": "default"}} | spec,
        }
        return self.ask("POST", _REGISTRATIONS, document)

    def patch(self, name, body):
        return self.ask("PATCH", f"{_REGISTRATIONS}/{name}", body)

    def edit(self, name, **spec):
        return self.patch(name, {"spec": spec})

    def annotate(self, name, **notes):
        return self.patch(name, {"metadata": {"annotations": notes}})

    def wipe_status(self, name):
        body = {"status": dict.fromkeys(self.registration(name)["status"])}
        return self.ask("PATCH", f"{_REGISTRATIONS}/{name}/status", body)

    def delete(self, name):
        return self.ask("DELETE", f"{_REGISTRATIONS}/{name}")

    def delete_secret(self, name):
        self.break_secret(name)
        return self.ask("DELETE", f"{_SECRETS}/{name}")

    def edit_secret(self, name, data):
        self.break_secret(name)
        return self.patch_secret(name, {"data": data})

    def patch_secret(self, name, body):
        return self.ask("PATCH", f"{_SECRETS}/{name}", body)

    def break_secret(self, name):
        """What a person does to a Secret is not the operator's fault until it is good again."""
        body = self.registration(name)
        if body is not None:
            self.oracle.excuse(body["metadata"]["uid"])

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
        plain = {"metadata": {"name": "somebody-elses"}, "data": {"theirs": "x"}}
        self.ask("POST", _CONFIG_MAPS, plain)
        foreign = {"metadata": {"name": "somebody-elses"}, "data": {"AZURE_CLIENT_SECRET": value}}
        self.ask("POST", _SECRETS, foreign)
        self.ask("POST", f"/apis/{names.API_VERSION}/entratenants", self.cloud.tenant_document())
        directory = self.cloud.directory
        directory.store.lag = LAG
        seeds._plant_application(directory, BYSTANDER, f"{NAMESPACE}/service", secret="theirs")


@dataclass(frozen=True)
class Granted:
    """App roles, by id and by value."""

    ids: set
    values: set


@dataclass(frozen=True)
class _HumanRequest:
    method: str
    path: str
    body: object
    query: tuple = ()
    content_type: str = MERGE_PATCH


def _by_app_id(app_id):
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
