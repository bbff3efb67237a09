import json
from pathlib import Path

import jwt
import pytest

from dev.cluster.build import kubernetes_version
from dev.cluster.control_plane import KubectlError

pytestmark = pytest.mark.control_plane

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.dev.example}
spec:
  group: dev.example
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {size: {type: integer}}
            x-kubernetes-validations:
            - {rule: "self.size % 2 == 0", message: spec.size must be even}
"""


@pytest.fixture
def namespace(control_plane, request):
    name = request.node.name.replace("_", "-")[:60].rstrip("-")
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def account(control_plane, namespace, tmp_path):
    """A kubeconfig of a ServiceAccount without any permission."""
    control_plane.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    token = tmp_path / "token"
    token.write_text(control_plane.service_account_token(namespace, "nobody"))
    return control_plane.kubeconfig_for_token(token, tmp_path / "kubeconfig")


def owned(name: str, uid: str) -> str:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    metadata = {"name": name, "ownerReferences": [owner]}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})


def test_client_and_server_are_of_the_pinned_version(control_plane):
    done = control_plane.kubectl("version", "-o=json")
    versions = json.loads(done.stdout)
    assert done.stderr == ""
    for side in ("clientVersion", "serverVersion"):
        assert versions[side]["gitVersion"] == f"v{kubernetes_version()}"


def test_the_admin_kubeconfig_is_private_and_on_loopback(control_plane):
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert control_plane.url.startswith("https://127.0.0.1:")


def test_kubectl_says_what_went_wrong(control_plane):
    with pytest.raises(KubectlError, match='namespaces "nowhere" not found'):
        control_plane.kubectl("get", "namespace", "nowhere")
    done = control_plane.kubectl("get", "namespace", "nowhere", check=False)
    assert done.returncode == 1


def test_a_service_account_without_a_role_is_forbidden(control_plane, namespace, account):
    user = f"system:serviceaccount:{namespace}:nobody"
    me = control_plane.kubectl("auth", "whoami", "-o=json", kubeconfig=account)
    assert json.loads(me.stdout)["status"]["userInfo"]["username"] == user
    refused = control_plane.kubectl(
        "get", "secrets", "-n", namespace, kubeconfig=account, check=False
    )
    assert "Error from server (Forbidden)" in refused.stderr


def test_a_role_gives_a_service_account_what_it_names(control_plane, namespace, account):
    control_plane.kubectl(
        "create", "role", "reader", "--verb=list", "--resource=secrets", "-n", namespace
    )
    control_plane.kubectl(
        "create", "rolebinding", "reader", "--role=reader", "-n", namespace,
        f"--serviceaccount={namespace}:nobody",
    )  # fmt: skip
    listed = control_plane.kubectl("get", "secrets", "-n", namespace, kubeconfig=account)
    assert "No resources found" in listed.stderr


def test_a_token_verifies_with_the_published_key_issuer_and_audience(control_plane, namespace):
    token = control_plane.service_account_token(
        namespace, "default", audiences=["api://AzureADTokenExchange"], seconds=900
    )
    claims = jwt.decode(
        token,
        control_plane.service_account_public_key,
        algorithms=["RS256"],
        audience="api://AzureADTokenExchange",
        issuer=control_plane.issuer,
    )
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"
    assert claims["exp"] - claims["iat"] == 900


def test_a_token_for_another_audience_is_no_sign_in(control_plane, namespace, tmp_path):
    token = tmp_path / "token"
    token.write_text(control_plane.service_account_token(namespace, "default", audiences=["x"]))
    kubeconfig = control_plane.kubeconfig_for_token(token, tmp_path / "kubeconfig")
    refused = control_plane.kubectl("auth", "whoami", kubeconfig=kubeconfig, check=False)
    assert "Unauthorized" in refused.stderr


def test_what_an_object_owns_goes_with_it(control_plane, namespace):
    control_plane.kubectl("create", "configmap", "owner", "-n", namespace)
    uid = control_plane.kubectl(
        "get", "configmap", "owner", "-n", namespace, "-o=jsonpath={.metadata.uid}"
    ).stdout
    control_plane.kubectl("apply", "-n", namespace, "-f-", stdin=owned("owned", uid))
    control_plane.kubectl("delete", "configmap", "owner", "-n", namespace)
    control_plane.kubectl("wait", "--for=delete", "secret/owned", "-n", namespace, "--timeout=20s")


def test_rules_in_a_custom_resource_definition_are_enforced(control_plane, namespace):
    control_plane.kubectl("apply", "-f-", stdin=WIDGETS)
    control_plane.kubectl("wait", "--for=condition=Established", "crd/widgets.dev.example")
    widget = "{apiVersion: dev.example/v1, kind: Widget, metadata: {name: w}, spec: {size: %d}}"
    with pytest.raises(KubectlError, match=r"spec\.size must be even"):
        control_plane.kubectl("apply", "-n", namespace, "-f-", stdin=widget % 3)
    control_plane.kubectl("apply", "-n", namespace, "-f-", stdin=widget % 4)
    control_plane.kubectl("delete", "crd", "widgets.dev.example")


def test_pod_security_is_enforced_where_the_namespace_asks_for_it(control_plane, namespace):
    label = "pod-security.kubernetes.io/enforce=restricted"
    control_plane.kubectl("label", "namespace", namespace, label)
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        control_plane.kubectl("run", "root", "--image=example", "-n", namespace)


def test_a_deployment_gets_its_pod_which_stays_pending(control_plane, namespace):
    control_plane.kubectl("create", "deployment", "web", "--image=example", "-n", namespace)
    control_plane.kubectl(
        "wait", "--for=create", "pod", "-l=app=web", "-n", namespace, "--timeout=20s"
    )
    phase = "-o=jsonpath={.items[0].status.phase}"
    pods = control_plane.kubectl("get", "pod", "-l=app=web", "-n", namespace, phase)
    assert pods.stdout == "Pending"


def test_the_api_server_comes_back_on_its_port_with_its_objects(control_plane, namespace):
    control_plane.kubectl("create", "configmap", "kept", "-n", namespace)
    control_plane.restart_api_server()
    control_plane.kubectl("get", "configmap", "kept", "-n", namespace)
    assert control_plane.ended_programs() == {}


def test_kubectl_leaves_its_cache_in_the_folder(control_plane):
    control_plane.kubectl("api-resources")
    assert (control_plane.folder / "kubectl-cache").is_dir()
    assert control_plane.kubectl_path.parent != Path("/usr/bin")
