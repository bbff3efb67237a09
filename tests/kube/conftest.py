"""A gateway to the real API server, in a namespace of the test's own."""

import uuid

import pytest

from fhir_app_operator.kube.access import ClusterAccess
from fhir_app_operator.kube.api_server import ApiServer, Request
from fhir_app_operator.planning.model import Registration


@pytest.fixture
async def api(control_plane):
    gateway = await ApiServer.connect(ClusterAccess(kubeconfig=control_plane.kubeconfig))
    yield gateway
    await gateway.close()


@pytest.fixture
async def registration(api):
    namespace = f"kube-{uuid.uuid4().hex[:8]}"
    body = {"metadata": {"name": namespace}}
    await api.send(Request(method="POST", path="/api/v1/namespaces", what="ns", body=body))
    return Registration(namespace=namespace, name="portal", uid=str(uuid.uuid4()), cluster_id="c")
