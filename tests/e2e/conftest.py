"""The whole product once per session: a control plane and an operator process of their own."""

import json
import time
from pathlib import Path

import httpx
import pytest

from dev.demo.signing_in import Trust
from dev.sandbox.environment import running_environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def environment():
    with running_environment() as running:
        yield running


class Clinic:
    """The environment as a user and an administrator see it."""

    def __init__(self, environment):
        self.environment = environment
        self.cluster = environment.cluster
        self.entra = environment.entra
        self.operator = environment.operator
        self.trust = Trust(environment.entra.ca_file)
        self.http = httpx.Client(verify=self.trust.context(), trust_env=False)

    def apply(self, path):
        self.cluster.kubectl("apply", "-k", str(ROOT / path))

    def create(self, document):
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(document))

    def get(self, kind, name, namespace="clinic"):
        found = self.cluster.kubectl(
            "get", kind, name, f"--namespace={namespace}", "--output=json", check=False
        )
        return json.loads(found.stdout) if found.returncode == 0 else None

    def ready(self, name, namespace="clinic"):
        body = self.get("fhirapp", name, namespace)
        conditions = (body or {}).get("status", {}).get("conditions", ())
        return next((c for c in conditions if c["type"] == "Ready"), {"status": "Unknown"})

    def wait(self, condition, what, seconds=60):
        """Wait until `condition()` is true and return what it gave; the operator's log if not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
        raise AssertionError(f"{what}: not within {seconds} s\n{self.operator.log_tail()}")

    def wait_ready(self, *names, namespace="clinic"):
        for name in names:
            self.wait(lambda n=name: self.ready(n, namespace)["status"] == "True", f"{name} Ready")

    def emulator(self, method, path, **kwargs):
        answer = self.http.request(method, f"{self.entra.admin_url}{path}", **kwargs)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def graph_calls(self, *methods):
        entries = self.emulator("GET", "/requests")
        return [
            e for e in entries
            if e["caller"] == self.entra.operator_client_id and e["path"].startswith("/v1.0")
            and (not methods or e["method"] in methods)
        ]  # fmt: skip

    def forget_calls(self):
        self.emulator("DELETE", "/requests")


@pytest.fixture(scope="session")
def clinic(environment):
    made = Clinic(environment)
    made.apply("examples/clinic")
    made.wait_ready("fhir-server", "portal", "patient-app", "ingest")
    yield made
    made.http.close()
