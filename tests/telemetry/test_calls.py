"""Calls to other servers, and that no answer can make up labels."""

import pytest
from prometheus_client import CollectorRegistry

from fhir_app_operator.graph.client import Call
from fhir_app_operator.telemetry.calls import GraphMetrics, RestMetrics
from tests.telemetry.series import series

OBJECT_ID = "4f9f9a1e-0000-4000-8000-0123456789ab"


def test_kubernetes_calls_carry_client_gos_labels():
    registry = CollectorRegistry()
    kube = RestMetrics(registry)
    kube.answered("10.96.0.1:443", "GET", 200, 0.2)
    kube.answered("10.96.0.1:443", "GET", None, 10.0)
    assert series(registry, "rest_client_requests_total") == {
        ("200", "10.96.0.1:443", "GET"): 1, ("<error>", "10.96.0.1:443", "GET"): 1,
    }  # fmt: skip
    durations = series(registry, "rest_client_request_duration_seconds_sum")
    assert durations == {("10.96.0.1:443", "GET"): 10.2}


def test_a_throttled_graph_call_is_counted_twice_over():
    registry = CollectorRegistry()
    graph = GraphMetrics(registry)
    graph.answered("GET /applications", 429, 0.1)
    graph.answered("GET /applications", 200, 0.1)
    assert series(registry, "graph_throttled_total") == {(): 1}
    assert series(registry, "graph_requests_total") == {
        ("429", "GET /applications"): 1, ("200", "GET /applications"): 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/applications", "/applications"),
        (f"/applications/{OBJECT_ID}", "/applications/{id}"),
        (f"/applications/{OBJECT_ID}/addPassword", "/applications/{id}/addPassword"),
        ("/applications(uniqueName='fhirapps-c-1')", "/applications({uniqueName})"),
        (f"/servicePrincipals(appId='{OBJECT_ID}')", "/servicePrincipals({appId})"),
        (f"/directory/deletedItems/{OBJECT_ID}/restore", "/directory/deletedItems/{id}/restore"),
        (
            f"/servicePrincipals/{OBJECT_ID}/ownedObjects/microsoft.graph.application",
            "/servicePrincipals/{id}/ownedObjects/microsoft.graph.application",
        ),
        ("/applications/not%2Fa-word", "/applications/{id}"),
    ],
)
def test_a_graph_call_is_counted_without_ids_and_names(path, kind):
    assert Call(method="GET", path=path).kind == f"GET {kind}"


def test_a_next_link_is_counted_as_the_call_that_it_continues():
    call = Call(method="GET", path="/applications/whatever?$skiptoken=x", continues="GET /a")
    assert call.kind == "GET /a"
