"""Access to the real API server: what is missing is said, tokens are read again."""

import asyncio
from pathlib import Path

import pytest

from fhir_app_operator.errors import NotLeading, Stalled, Waiting
from fhir_app_operator.kube.access import ClusterAccess, NoCluster, bearer_token
from fhir_app_operator.kube.api_server import ApiServer, Gone, Request
from fhir_app_operator.kube.namespaces import Namespaces

pytestmark = pytest.mark.control_plane


@pytest.fixture
def weak(control_plane, registration, tmp_path):
    """A kubeconfig of a ServiceAccount without any permission, by token file."""
    token = tmp_path / "token"
    control_plane.kubectl("create", "serviceaccount", "weak", "-n", registration.namespace)
    token.write_text(control_plane.service_account_token(registration.namespace, "weak"))
    return control_plane.kubeconfig_for_token(token, tmp_path / "kubeconfig"), token


async def test_a_missing_permission_names_the_verb_and_the_object(weak, registration):
    kubeconfig, _ = weak
    api = await ApiServer.connect(ClusterAccess(kubeconfig=kubeconfig))
    path = f"/api/v1/namespaces/{registration.namespace}/secrets/x"
    with pytest.raises(Stalled, match="may not GET Secret 'x'") as caught:
        await api.get(path, "Secret 'x'")
    assert caught.value.reason == "PermissionDenied"
    await api.close()


async def test_a_token_that_expired_is_read_again(weak, control_plane, registration):
    kubeconfig, token = weak
    good = token.read_text()
    token.write_text("expired")
    api = await ApiServer.connect(ClusterAccess(kubeconfig=kubeconfig))
    token.write_text(good)
    with pytest.raises(Stalled):
        await api.get("/api/v1/namespaces/x/secrets/x", "Secret 'x'")
    await api.close()


async def test_the_token_is_found_for_kopf(weak):
    kubeconfig, token = weak
    configuration = await ClusterAccess(kubeconfig=kubeconfig).load()
    assert bearer_token(configuration) == token.read_text()


async def test_certificates_need_no_token(control_plane):
    configuration = await ClusterAccess(kubeconfig=control_plane.kubeconfig).load()
    assert bearer_token(configuration) is None


@pytest.mark.parametrize("text", [None, "", "{", "apiVersion: v1\nkind: Config\n"])
async def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path, text):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NoCluster, match="kubeconfig"):
        await ClusterAccess(kubeconfig=path).load()


async def test_an_api_server_that_does_not_listen_is_weather(tmp_path, control_plane):
    text = control_plane.kubeconfig.read_text().replace(control_plane.url, "https://127.0.0.1:1")
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    api = await ApiServer.connect(ClusterAccess(kubeconfig=Path(path)))
    with pytest.raises(Waiting) as caught:
        await api.get("/api/v1/namespaces/x", "Namespace 'x'")
    assert caught.value.reason == "ApiServerUnavailable"
    await api.close()


async def test_absent_objects_are_told_apart_by_verb(api, registration):
    path = f"/api/v1/namespaces/{registration.namespace}/secrets/none"
    assert await api.get(path, "Secret") is None
    with pytest.raises(Gone):
        await api.send(Request(method="DELETE", path=path, what="Secret"))


async def test_a_refused_object_names_its_fields_and_not_its_values(api, registration):
    path = f"/api/v1/namespaces/{registration.namespace}/secrets"
    body = {"metadata": {"name": "x"}, "data": {"bad key": "Y2FuYXJ5"}}
    with pytest.raises(Stalled) as caught:
        await api.send(Request(method="POST", path=path, what="Secret", body=body))
    assert "data" in caught.value.message
    assert "canary" not in caught.value.message
    assert "Y2FuYXJ5" not in caught.value.message


async def _until_refused(api, request):
    """The admission plugin needs a moment to hear that the namespace is going."""
    async with asyncio.timeout(20):
        while True:
            await api.send(request)


async def test_a_create_in_a_terminating_namespace_waits(api, registration):
    name = registration.namespace
    body = {"metadata": {"name": "holder", "finalizers": ["example.com/hold"]}}
    path = f"/api/v1/namespaces/{name}/configmaps"
    await api.send(Request(method="POST", path=path, what="x", body=body))
    await api.send(Request(method="DELETE", path=f"/api/v1/namespaces/{name}", what="ns"))
    create = Request(
        method="POST", path=f"/api/v1/namespaces/{name}/secrets", what="s",
        body={"metadata": {"generateName": "x"}},
    )  # fmt: skip
    with pytest.raises(Waiting) as caught:
        await _until_refused(api, create)
    assert caught.value.reason == "NamespaceTerminating"
    gone = {"metadata": {"finalizers": None}}
    await api.send(Request(method="PATCH", path=f"{path}/holder", what="x", body=gone,
                           content_type="application/merge-patch+json"))  # fmt: skip


async def test_the_cluster_is_named_by_its_oldest_namespace(api):
    namespaces = Namespaces(api)
    uid = (await api.get("/api/v1/namespaces/kube-system", "ns"))["metadata"]["uid"]
    assert await namespaces.cluster_id() == uid
    absent = await namespaces.get("no-such-namespace")
    assert (absent.terminating, dict(absent.labels)) == (True, {})


async def test_no_write_starts_once_leadership_is_uncertain(control_plane, registration):
    def closed():
        raise NotLeading

    seen = []
    api = await ApiServer.connect(
        ClusterAccess(kubeconfig=control_plane.kubeconfig),
        observe=lambda _host, method, *_: seen.append(method),
        fence=closed,
    )
    path = f"/api/v1/namespaces/{registration.namespace}/configmaps"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(NotLeading):
            await api.send(Request(method=method, path=path, what="ConfigMap", body={}))
    assert seen == []
    assert await api.get(path, "ConfigMaps") is not None  # reading harms nobody
    await api.close()
