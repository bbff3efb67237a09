"""The real reconciler between a real API server and the emulator, driven by hand.

No Kopf, no queue: a test says when a pass runs, and time passes only when it says so. No test
lives here.
"""

import asyncio
import base64
import json
import secrets
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID
from entra_emulator.directory import permissions
from fhir_app_operator.api import names
from fhir_app_operator.controller.connections import Connections, OperatorIdentity
from fhir_app_operator.controller.fence import is_finishing
from fhir_app_operator.controller.keys import RegistrationKey
from fhir_app_operator.controller.reconciler import Outcome, Reconciler
from fhir_app_operator.controller.tenants import TenantReconciler
from fhir_app_operator.controller.world import World
from fhir_app_operator.errors import NotLeading
from fhir_app_operator.kube.access import ClusterAccess
from fhir_app_operator.kube.api_server import MERGE_PATCH, ApiServer, Request
from fhir_app_operator.kube.config_maps import ConfigMaps
from fhir_app_operator.kube.events import Events
from fhir_app_operator.kube.namespaces import Namespaces
from fhir_app_operator.kube.registrations import Registrations
from fhir_app_operator.kube.secrets import Secrets
from fhir_app_operator.kube.token_issuer import TokenIssuers

OPERATOR_SECRET = "the-operators-own"
WRITES = ("POST", "PATCH", "PUT", "DELETE")
CRDS = Path(__file__).parents[2] / "crds"
SPECS = {
    "Resource": {"type": "Resource", "resource": {"url": "https://{uri}.clinic.example"}},
    "Confidential": {
        "type": "Confidential",
        "fhirServerRef": {"name": "fhir-server"},
        "redirectUris": {"web": ["https://portal.clinic.example/callback"]},
    },
    "Public": {
        "type": "Public",
        "fhirServerRef": {"name": "fhir-server"},
        "redirectUris": {"publicClient": ["http://localhost/callback"]},
    },
    "Service": {
        "type": "Service",
        "fhirServerRef": {"name": "fhir-server"},
        "appRoles": ["globalReader"],
    },
}


def resource_path(kind, namespace, name=""):
    root = {
        "fhirapp": f"/apis/{names.API_VERSION}/namespaces/{namespace}/fhirappregistrations",
        "secret": f"/api/v1/namespaces/{namespace}/secrets",
        "configmap": f"/api/v1/namespaces/{namespace}/configmaps",
        "tenant": f"/apis/{names.API_VERSION}/entratenants",
        "namespace": "/api/v1/namespaces",
    }[kind]
    return f"{root}/{name}" if name else root


class Gate:
    """The fence of the operator's gateways; a test closes it after some more writes."""

    def __init__(self):
        self.left = None
        self.lets_finish = False

    def __call__(self):
        if self.left == 0 and not (self.lets_finish and is_finishing()):
            raise NotLeading
        if self.left:
            self.left -= 1


class OneTenant:
    """The API server as if the tenants of other labs, which went away, were not in it."""

    def __init__(self, lab):
        self._lab = lab

    def __getattr__(self, name):
        return getattr(self._lab.api, name)

    async def get(self, path, what):
        if path == resource_path("tenant", ""):
            return {"items": [await self._lab.read("tenant", self._lab.tenant)]}
        return await self._lab.api.get(path, what)


@dataclass
class Lab:
    """One namespace and one tenant of a test's own."""

    api: ApiServer
    running: object
    world: World
    namespace: str
    tenant: str
    gate: Gate

    @property
    def emulator(self):
        return self.running.emulator

    @property
    def reconciler(self):
        return Reconciler(self.world)

    @property
    def tenants(self):
        return TenantReconciler(self.world)

    def restarted(self):
        """A new process: the same world without anything remembered."""
        connections = _connections(
            self.running.emulator.clock, self.world.secrets, self.world.sleep, self.gate
        )
        return replace(self, world=replace(self.world, connections=connections))

    # --- Kubernetes -----------------------------------------------------------------------
    async def create(self, kind, body):
        path = resource_path(kind, self.namespace)
        return await self.api.send(Request(method="POST", path=path, what=kind, body=body))

    async def read(self, kind, name):
        return await self.api.get(resource_path(kind, self.namespace, name), kind)

    async def patch(self, kind, name, body):
        request = Request(
            method="PATCH", path=resource_path(kind, self.namespace, name), what=kind,
            body=body, content_type=MERGE_PATCH,
        )  # fmt: skip
        return await self.api.send(request)

    async def delete(self, kind, name):
        path = resource_path(kind, self.namespace, name)
        return await self.api.send(Request(method="DELETE", path=path, what=kind))

    async def register(self, kind, name=None, **spec):
        name = name or {"Resource": "fhir-server"}.get(kind, kind.lower())
        text = json.dumps(SPECS[kind] | {"tenantRef": {"name": self.tenant}} | spec)
        document = {
            "apiVersion": names.API_VERSION,
            "kind": names.REGISTRATION_KIND,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": json.loads(text.replace("{uri}", self.namespace)),
        }
        await self.create("fhirapp", document)
        return name

    async def status(self, name):
        return (await self.read("fhirapp", name))["status"]

    async def conditions(self, name):
        status = await self.status(name)
        return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}

    async def forget_status(self, name):
        """Wipe the status, as a restore from a backup does."""
        path = resource_path("fhirapp", self.namespace, name) + "/status"
        await self.api.send(
            Request(method="PATCH", path=path, what="status", body={"status": None},
                    content_type=MERGE_PATCH)
        )  # fmt: skip

    async def set_status(self, name, status):
        """Write parts of the status, as somebody does who may."""
        path = resource_path("fhirapp", self.namespace, name) + "/status"
        await self.api.send(
            Request(method="PATCH", path=path, what="status", body={"status": status},
                    content_type=MERGE_PATCH)
        )  # fmt: skip

    async def events(self, name, namespace=None):
        """Events about an object; those about a tenant are in the namespace `default`."""
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace or self.namespace}/events"
        found = (await self.api.get(path, "events"))["items"]
        return [e for e in found if e["regarding"]["name"] == name]

    async def message(self, name, kind="Ready"):
        status = await self.status(name)
        return next(c["message"] for c in status["conditions"] if c["type"] == kind)

    async def secret(self, name):
        body = await self.read("secret", name)
        return body and {k: base64.b64decode(v).decode() for k, v in body["data"].items()}

    async def neighbour(self, **labels):
        """The same lab in another namespace with these labels."""
        other = replace(self, namespace=f"{self.namespace}-{uuid.uuid4().hex[:4]}")
        metadata = {"name": other.namespace, "labels": labels}
        await other.create("namespace", {"metadata": metadata})
        return other

    # --- passes ---------------------------------------------------------------------------
    async def reconcile(self, name) -> Outcome:
        return await self.reconciler.reconcile(RegistrationKey(self.namespace, name))

    async def settle(self, name, passes=10) -> Outcome:
        """Run passes until one succeeds; conflicts and waits are tried again."""
        for _ in range(passes):
            outcome = await self.reconcile(name)
            if outcome.result in ("success", "gone", "stalled"):
                return outcome
        raise AssertionError(f"still {outcome.result}: {await self.conditions(name)}")

    async def ready(self, kind, name=None, **spec):
        name = await self.register(kind, name, **spec)
        await self.settle(name)
        assert (await self.conditions(name))["Ready"] == ("True", "Succeeded"), await self.status(
            name
        )
        return name

    async def clinic(self):
        """A server and a client of each type, all ready."""
        return [await self.ready(kind) for kind in SPECS]

    def pass_time(self, length: timedelta):
        self.emulator.clock.advance(length)

    # --- Entra ----------------------------------------------------------------------------
    async def connection(self):
        """The operator's own connection, to play a person in the portal with."""
        return await self.world.connections.get(await self.world.registrations.tenant(self.tenant))

    async def application(self, name):
        object_id = (await self.status(name))["objectId"]
        entity = self.emulator.directory.store.locate(object_id)
        return entity and entity.document

    async def key_ids(self, name):
        """The key ids of the client secrets that Entra has, oldest first."""
        return [p["keyId"] for p in (await self.application(name))["passwordCredentials"]]

    async def live_key_id(self, name):
        """The key id of the credential that the Secret holds."""
        body = await self.read("secret", name)
        return body["metadata"]["annotations"][names.KEY_ID_ANNOTATION]

    async def grant(self, name, value, server="fhir-server"):
        """Assign a role of the server to a registration, as an administrator does."""
        roles = {role["value"]: role["id"] for role in (await self.application(server))["appRoles"]}
        permissions.assign(self.emulator.directory, {
            "principalId": (await self.status(name))["servicePrincipalId"],
            "resourceId": (await self.status(server))["servicePrincipalId"],
            "appRoleId": roles[value],
        })  # fmt: skip

    async def ungrant(self, name, value, server="fhir-server"):
        """Take the role back from a registration, as an administrator does."""
        roles = {role["id"]: role["value"] for role in (await self.application(server))["appRoles"]}
        principal = (await self.status(name))["servicePrincipalId"]
        for entity in list(permissions.assignments_to(self.emulator.directory, principal)):
            if roles.get(entity.document["appRoleId"]) == value:
                self.emulator.directory.store.remove(entity)

    async def accepts(self, name, secret_name=None):
        data = await self.secret(secret_name or name)
        return self.emulator.directory.accepts(data["AZURE_CLIENT_ID"], data["AZURE_CLIENT_SECRET"])

    def calls(self, *methods):
        """The operator's Graph requests so far, of these methods or of all."""
        return [
            entry
            for entry in self.emulator.requests
            if entry.caller == OPERATOR_CLIENT_ID
            and entry.path.startswith("/v1.0")
            and (not methods or entry.method in methods)
        ]

    def added(self):
        """The requests for a client secret."""
        return [call for call in self.calls("POST") if call.path.endswith("/addPassword")]

    def writes(self):
        return self.calls(*WRITES)

    def forget_calls(self):
        self.emulator.requests.clear()


def _connections(clock, secret_gateway, sleep, gate):
    identity = OperatorIdentity(namespace="fhir-app-operator")
    return Connections(identity, secret_gateway, clock.now, sleep=sleep, fence=gate)


@asynccontextmanager
async def open_lab(control_plane, running):
    """Yield a lab on `control_plane` and the served emulator `running`."""
    access, gate = ClusterAccess(kubeconfig=control_plane.kubeconfig), Gate()
    api, fenced = await ApiServer.connect(access), await ApiServer.connect(access, fence=gate)
    clock = running.emulator.clock

    async def sleep(seconds):
        clock.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)

    suffix = uuid.uuid4().hex[:8]
    gateway = Secrets(fenced)
    world = World(
        registrations=Registrations(fenced),
        secrets=gateway,
        config_maps=ConfigMaps(fenced),
        namespaces=Namespaces(api),
        connections=_connections(clock, gateway, sleep, gate),
        events=Events(fenced, clock.now, "lab"),
        token_issuers=TokenIssuers(api, clock.now),
        cluster_id="lab",
        snapshot_age=timedelta(0),
        clock=clock.now,
        sleep=sleep,
        nonce=lambda: secrets.token_hex(8),
    )
    lab = Lab(api, running, world, f"lab-{suffix}", f"tenant-{suffix}", gate)
    try:
        await lab.create("namespace", {"metadata": {"name": lab.namespace}})
        await lab.create("tenant", tenant_document(lab, running))
        yield lab
    finally:
        await lab.world.connections.close()
        await fenced.close()
        await api.close()


def tenant_document(lab, running, **spec):
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.TENANT_KIND,
        "metadata": {"name": lab.tenant},
        "spec": {
            "tenantId": TENANT_ID,
            "clientId": OPERATOR_CLIENT_ID,
            "cloud": "Custom",
            "endpoints": {"authorityHost": running.origin, "graphUrl": running.origin},
            "caBundle": running.ca_pem.decode(),
            "auth": {"clientSecret": {"secretRef": {"name": "entra"}}},
            "allowedNamespaces": {"from": "All"},
        }
        | spec,
    }
