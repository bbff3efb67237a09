"""Fixtures of the controller's tests: an emulator for the session, a lab for each test."""

import json

import httpx
import pytest

from entra_emulator import Emulator, Seeds
from entra_emulator.exchange import SPOILT
from entra_emulator.server import serve
from tests.controller.lab import CRDS, OPERATOR_SECRET, open_lab
from tests.emulator.graph_schema import check


class Checked:
    """The emulator's application, with every Graph answer held against Microsoft's schema."""

    def __init__(self, app):
        self.app = app
        self.problems = []

    async def __call__(self, scope, receive, send):
        sent = []

        async def keep(message):
            sent.append(message)
            await send(message)

        await self.app(scope, receive, keep)
        if scope.get(SPOILT):
            return  # not what Graph would send, on purpose
        if sent and sent[-1]["type"] == "http.response.body" and not sent[-1].get("more_body"):
            try:
                self.hold(scope, sent)
            except Exception as problem:  # noqa: BLE001 - told at the end of the test
                self.problems.append(f"{type(problem).__name__}: {problem}")

    def hold(self, scope, sent):
        url = httpx.URL("https://localhost").copy_with(raw_path=scope["raw_path"])
        request = httpx.Request(scope["method"], url, headers=scope["headers"])
        response = httpx.Response(sent[0]["status"], headers=sent[0]["headers"])
        check(request, response, b"".join(m.get("body", b"") for m in sent[1:]))


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
