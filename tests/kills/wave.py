"""A fleet of services whose operator is killed again and again, and what must hold all the same."""

import asyncio
import base64
import json
import random
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx

from dev.demo.signing_in import Trust, service_token
from fhir_app_operator.controller.keys import RegistrationKey
from fhir_app_operator.controller.process import run_once
from fhir_app_operator.controller.reconciler import Reconciler
from fhir_app_operator.settings import load

NAMESPACE = "wave"
SERVER = "server"
LATENCY = 0.1
"""Seconds that each call to the directory takes, so that a kill lands between two of them."""
LIFE = 2.5
"""Seconds after which an operator is killed at the latest, counted from when it is ready."""
PATIENCE = 240
KEY_ID = "fhirapps.dev/key-id"


class Wave:
    """What the test does to the environment, and what it sees of it; `seed` decides the kills."""

    def __init__(self, environment, seed):
        self.environment = environment
        self.operator = environment.operator
        self.random = random.Random(seed)
        self.trust = Trust(environment.entra.ca_file)
        self.http = httpx.Client(verify=self.trust.context(), trust_env=False)
        self.kills = 0
        self._tried = {}

    def apply(self, *documents):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        self.environment.cluster.kubectl("apply", "-f", "-", stdin=text)

    def annotate(self, name, **annotations):
        patch = json.dumps({"metadata": {"annotations": annotations}})
        self.environment.cluster.kubectl(
            "patch", "fhirapp", name, "-n", NAMESPACE, "--type=merge", "-p", patch
        )

    def directory(self, method, path, **kwargs):
        answer = self.http.request(method, f"{self.environment.entra.admin_url}{path}", **kwargs)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def life(self):
        """Start the operator, let the weather turn and kill it at a random moment."""
        self._clear()  # at start it ends by itself if the API server is out of reach: no kill then
        self.operator.start()
        self._worsen()
        time.sleep(self.random.uniform(0.0, LIFE))  # the moment of death, not a wait for anything
        self.operator.stop(signal.SIGKILL)
        self.kills += 1
        self.try_secrets()

    def _worsen(self):
        """Drop connections, delay or lose answers on one side or the other, or do nothing."""
        proxy = self.environment.proxy
        match self.random.randrange(5):
            case 0:
                proxy.delay(0.05)
            case 1:
                proxy.drop()
            case 2:
                proxy.cut_after(self.random.randrange(5_000, 50_000))
            case 3:
                self._lose("PATCH|POST", "after")
            case _:
                self._lose("GET", "before")

    def _lose(self, methods, when):
        for method in methods.split("|"):
            fault = {"method": method, "path": "/v1.0/", "drop": True, "when": when, "times": 1}
            self.directory("POST", "/faults", json=fault)

    def calm(self):
        """End all faults and let the operator finish."""
        self._clear()
        self.operator.start()

    def _clear(self):
        self.environment.proxy.let_through()
        self.directory("DELETE", "/faults")

    def days_pass(self, days):
        """Do what the operator does by and by: a pass over everything, each day one.

        In this process, with a clock ahead of the directory's, since nobody can wait for overlaps
        and sweeps. The operator must not be running.
        """
        settings = load(self.operator.environment)
        keys = [RegistrationKey(NAMESPACE, b["metadata"]["name"]) for b in self.registrations()]

        async def passes(world, _api):
            patient = replace(world.policy, max_skew=timedelta(days=days + 1))
            for day in range(1, days + 1):
                later = replace(world, clock=_clock(day), policy=patient)
                reconciler = Reconciler(later)
                await asyncio.gather(*(reconciler.reconcile(key) for key in keys))
            return True

        assert asyncio.run(run_once(settings, passes))

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what}: not in time\n{self.operator.log_tail()}"
            time.sleep(0.25)
        return found

    def registrations(self):
        return self.environment.objects("fhirapps", NAMESPACE)

    def not_ready(self, but=""):
        """The names of those that are not Ready, for another reason than `but`."""
        return [
            body["metadata"]["name"]
            for body in self.registrations()
            if ready(body)["status"] != "True" and ready(body).get("reason") != but
        ]

    def secrets(self):
        """The Secrets that hold a credential, by name."""
        bodies = self.environment.objects("secrets", NAMESPACE)
        return {
            body["metadata"]["name"]: body
            for body in bodies
            if "AZURE_CLIENT_SECRET" in (body.get("data") or {})
        }

    def try_secrets(self):
        """Sign in with each Secret that was not tried in this version; a refusal raises."""
        for name, body in self.secrets().items():
            version = body["metadata"]["resourceVersion"]
            if self._tried.get(name) != version:
                service_token(decoded(body), self.trust)
                self._tried[name] = version

    def applications(self):
        objects = self.directory("GET", "/objects")
        assert objects["deleted"] == []
        return {
            app["uniqueName"]: app
            for app in objects["applications"]
            if (app.get("uniqueName") or "").startswith("fhirapps-")
        }

    def unpublished(self):
        """The credentials that no Secret holds, as (registration, key id)."""
        held = {
            name: body["metadata"]["annotations"][KEY_ID] for name, body in self.secrets().items()
        }
        applications = self.applications()
        found = []
        for body in self.registrations():
            name, uid = body["metadata"]["name"], body["metadata"]["uid"]
            application = next(app for key, app in applications.items() if key.endswith(uid))
            found += [
                (name, password["keyId"])
                for password in application["passwordCredentials"]
                if password["keyId"] != held.get(name)
            ]
        return found


def _clock(day):
    return lambda: datetime.now(UTC) + timedelta(days=day)


def ready(body):
    found = body.get("status", {}).get("conditions", ())
    return next((each for each in found if each["type"] == "Ready"), {"status": "Unknown"})


def decoded(body):
    return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}


def namespace():
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def server():
    return _registration(
        SERVER, {"type": "Resource", "resource": {"url": "https://wave.clinic.example"}}
    )


def service(number):
    spec = {
        "type": "Service",
        "fhirServerRef": {"name": SERVER},
        "appRoles": ["globalReader"],
        "credential": {"clientSecret": {"duration": "4320h", "overlap": "5s"}},
    }
    return _registration(f"service-{number:02}", spec)


def _registration(name, spec):
    return {
        "apiVersion": "fhirapps.dev/v1alpha1",
        "kind": "FhirAppRegistration",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
