"""Fixtures of the controller's tests: an emulator for the session, a lab for each test."""

import json

import pytest

from entra_emulator import Emulator, Seeds
from entra_emulator.server import serve
from tests.controller.lab import CRDS, OPERATOR_SECRET, open_lab
from tests.emulator.checked_app import Checked


@pytest.fixture(scope="session")
def entra():
    emulator = Emulator(admin=True, seeds=Seeds(operator_secret=OPERATOR_SECRET))
    emulator.app = Checked(emulator.app)
    with serve(emulator) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(control_plane):
    control_plane.kubectl("apply", "--server-side", "-k", str(CRDS))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fhir-app-operator"}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "entra", "namespace": "fhir-app-operator"},
        "stringData": {"client-secret": OPERATOR_SECRET},
    }
    for document in (namespace, secret):
        control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(document))
    return control_plane


@pytest.fixture
async def lab(cluster, entra):
    entra.emulator.reset()
    entra.emulator.app.problems.clear()
    async with open_lab(cluster, entra) as made:
        yield made
        await made.world.connections.close()
    assert entra.emulator.app.problems == []


@pytest.fixture
async def service(lab):
    """The name of a Service that is ready, beside its server; the calls so far are forgotten."""
    await lab.ready("Resource")
    name = await lab.ready("Service")
    lab.forget_calls()
    return name
