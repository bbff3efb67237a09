import json
import time

import pytest

from dev.cluster.control_plane import KubectlError
from fhir_app_operator import settings

pytestmark = pytest.mark.control_plane

NAMESPACE = "fhir-app-operator"
VARIANTS = ["deploy", "deploy/watch-secrets"]
DEADLINE_SECONDS = 30.0


def of_kind(documents: list[dict], kind: str) -> list[dict]:
    return [document for document in documents if document["kind"] == kind]


def container(documents: list[dict]) -> dict:
    (deployment,) = of_kind(documents, "Deployment")
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


@pytest.mark.parametrize("folder", VARIANTS)
def test_both_variants_hold_the_same_objects(render, folder):
    kinds = sorted(document["kind"] for document in render(folder))
    assert kinds == [
        "ClusterRole",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "CustomResourceDefinition",
        "Deployment",
        "Namespace",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    ]


@pytest.mark.parametrize("folder", VARIANTS)
def test_the_operator_takes_every_variable_of_the_deployment(render, folder):
    variables = {v["name"]: v.get("value", NAMESPACE) for v in container(render(folder))["env"]}
    loaded = settings.load(variables)
    assert loaded.namespace == NAMESPACE
    assert loaded.host_and_port == ("0.0.0.0", 8080)
    assert loaded.watch_secrets is (folder != "deploy")


def test_two_replicas_elect_a_leader(render):
    documents = render("deploy")
    (deployment,) = of_kind(documents, "Deployment")
    assert deployment["spec"]["replicas"] == 2
    variables = {v["name"] for v in container(documents)["env"]}
    assert "FHIR_APP_OPERATOR_LEADER_ELECTION" not in variables  # on unless switched off


def test_an_update_and_a_drained_node_leave_one_replica(render):
    documents = render("deploy")
    (deployment,) = of_kind(documents, "Deployment")
    update = deployment["spec"]["strategy"]["rollingUpdate"]
    assert update == {"maxSurge": 1, "maxUnavailable": 0}
    (budget,) = of_kind(documents, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    pods = deployment["spec"]["template"]
    selected = budget["spec"]["selector"]["matchLabels"]
    assert selected.items() <= pods["metadata"]["labels"].items()
    for spread in pods["spec"]["topologySpreadConstraints"]:
        assert spread["whenUnsatisfiable"] == "ScheduleAnyway"  # one node must do
        assert spread["labelSelector"]["matchLabels"] == selected


def test_the_probes_ask_for_pages_that_the_operator_has(render):
    operator = container(render("deploy"))
    assert operator["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert operator["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert operator["ports"] == [{"name": "http", "containerPort": 8080}]


def test_apply_works_in_one_go_and_again(apply):
    first, second = apply("deploy"), apply("deploy")
    assert first.stdout.count("serverside-applied") == 11
    assert second.stdout.count("serverside-applied") == 11


def test_the_pod_is_admitted_where_pod_security_is_restricted(control_plane, apply):
    apply("deploy")
    deadline = time.monotonic() + DEADLINE_SECONDS
    pods: list[dict] = []
    while not pods:
        assert time.monotonic() < deadline, events(control_plane)
        listing = control_plane.kubectl("get", "pods", f"-n={NAMESPACE}", "-o=json")
        pods = json.loads(listing.stdout)["items"]
    assert pods[0]["spec"]["serviceAccountName"] == NAMESPACE
    assert pods[0]["status"]["phase"] == "Pending"
    projected = [v["name"] for v in pods[0]["spec"]["volumes"] if "projected" in v]
    assert len(projected) == 1  # the token of its ServiceAccount


def events(control_plane) -> str:
    listing = control_plane.kubectl("get", "events", f"-n={NAMESPACE}", "-o=json")
    return str([event["message"] for event in json.loads(listing.stdout)["items"]])


def test_a_pod_without_those_restrictions_is_refused_there(control_plane, apply):
    apply("deploy")
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        control_plane.kubectl("run", "careless", "--image=careless", f"-n={NAMESPACE}")
