"""The API server in memory keeps the preconditions of the real one: the same tests for both."""

import itertools
import uuid

import pytest

from fhir_app_operator.api import names
from fhir_app_operator.errors import Conflict, Stalled
from fhir_app_operator.kube.access import ClusterAccess
from fhir_app_operator.kube.api_server import MERGE_PATCH, ApiServer, Gone, Request
from tests.protocol.calls import Calls, Process
from tests.protocol.memory_api_server import MemoryApiServer
from tests.protocol.operators import ApiServerGateway
from tests.protocol.virtual_time import VirtualClock

SPEC = {"type": "Resource", "resource": {"url": "https://fhir.clinic.example"}}
NUMBERS = itertools.count()


class Objects:
    """The objects of one namespace, through either gateway."""

    def __init__(self, api, namespace):
        self.api = api
        self.namespace = namespace

    def path(self, kind, name=""):
        root = "/api/v1" if kind in ("secrets", "configmaps") else f"/apis/{names.API_VERSION}"
        path = f"{root}/namespaces/{self.namespace}/{kind}"
        return f"{path}/{name}" if name else path

    async def send(self, method, path, body=None, query=()):
        content_type = MERGE_PATCH if method == "PATCH" else "application/json"
        return await self.api.send(
            Request(method=method, path=path, what="it", body=body, query=query,
                    content_type=content_type)
        )  # fmt: skip

    async def secret(self, **metadata):
        body = {"metadata": {"name": f"s{next(NUMBERS)}"} | metadata, "data": {"a": "YQ=="}}
        return await self.send("POST", self.path("secrets"), body)

    async def registration(self, **metadata):
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.REGISTRATION_KIND,
            "metadata": {"name": f"r{next(NUMBERS)}"} | metadata,
            "spec": SPEC,
        }
        return await self.send("POST", self.path("fhirappregistrations"), body)

    async def patch(self, live, body, sub="", query=()):
        return await self.send("PATCH", self.of(live) + sub, body, query)

    async def read(self, live):
        return await self.api.get(self.of(live), "it")

    async def delete(self, live):
        return await self.send("DELETE", self.of(live))

    def of(self, live):
        kind = "secrets" if "data" in live else "fhirappregistrations"
        return self.path(kind, live["metadata"]["name"])


@pytest.fixture
def in_memory():
    clock = VirtualClock()
    calls = Calls({}, lambda: 0, lambda _entry: None, lambda _entry: None)
    return ApiServerGateway(MemoryApiServer(clock), calls, Process(1))


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.control_plane)])
async def objects(request):
    if request.param == "memory":
        api = request.getfixturevalue("in_memory")
    else:
        cluster = request.getfixturevalue("control_plane")
        cluster.kubectl("apply", "--server-side", "-k", "crds")
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        api = await ApiServer.connect(ClusterAccess(kubeconfig=cluster.kubeconfig))
    namespace = f"memory-{uuid.uuid4().hex[:8]}"
    body = {"metadata": {"name": namespace}}
    await api.send(Request(method="POST", path="/api/v1/namespaces", what="ns", body=body))
    yield Objects(api, namespace)
    if request.param == "real":
        await api.close()


def version(body):
    return int(body["metadata"]["resourceVersion"])


async def test_a_create_gives_identity_and_a_second_one_conflicts(objects):
    made = await objects.secret()
    assert made["metadata"]["uid"]
    assert made["metadata"]["namespace"] == objects.namespace
    assert made["metadata"]["creationTimestamp"].endswith("Z")
    again = {"metadata": {"name": made["metadata"]["name"]}}
    with pytest.raises(Conflict) as caught:
        await objects.send("POST", objects.path("secrets"), again)
    assert not isinstance(caught.value, Gone)


async def test_what_is_absent_is_gone_for_every_verb(objects):
    path = objects.path("secrets", "absent")
    assert await objects.api.get(path, "it") is None
    for method, body in (("PATCH", {"data": {"a": "Yg=="}}), ("DELETE", None)):
        with pytest.raises(Gone):
            await objects.send(method, path, body)


async def test_a_patch_with_an_old_version_conflicts_and_changes_nothing(objects):
    first = await objects.secret()
    second = await objects.patch(first, {"data": {"a": "Yg=="}})
    assert version(second) > version(first)
    old = {"resourceVersion": first["metadata"]["resourceVersion"]}
    with pytest.raises(Conflict):
        await objects.patch(first, {"metadata": old, "data": {"a": "Yw=="}})
    assert (await objects.read(first))["data"] == {"a": "Yg=="}


async def test_a_patch_with_the_current_version_or_none_passes(objects):
    live = await objects.secret()
    current = {"resourceVersion": live["metadata"]["resourceVersion"]}
    live = await objects.patch(live, {"metadata": current, "data": {"b": "Yg=="}})
    live = await objects.patch(live, {"data": {"a": None}})
    assert live["data"] == {"b": "Yg=="}


async def test_a_write_that_changes_nothing_moves_no_version(objects):
    live = await objects.secret()
    again = await objects.patch(live, {"data": {"a": "YQ=="}})
    assert version(again) == version(live)


async def test_a_dry_run_answers_and_stores_nothing(objects):
    live = await objects.secret()
    dry = (("dryRun", "All"),)
    answer = await objects.patch(live, {"data": {"a": "Yg=="}}, query=dry)
    assert answer["data"] == {"a": "Yg=="}
    body = {"metadata": {"name": "dry"}, "data": {"a": "YQ=="}}
    await objects.send("POST", objects.path("secrets"), body, dry)
    assert await objects.api.get(objects.path("secrets", "dry"), "it") is None
    assert (await objects.read(live))["data"] == {"a": "YQ=="}
    body["metadata"]["name"] = live["metadata"]["name"]
    with pytest.raises(Conflict):
        await objects.send("POST", objects.path("secrets"), body, dry)


async def test_status_and_the_rest_are_written_apart(objects):
    live = await objects.registration()
    assert live["status"] == {"observedGeneration": -1}
    status = {"status": {"observedGeneration": 1}, "spec": {"displayName": "x"}}
    live = await objects.patch(live, status, "/status")
    assert (live["status"], live["spec"].get("displayName")) == ({"observedGeneration": 1}, None)
    live = await objects.patch(live, {"status": {"observedGeneration": 7}})
    assert live["status"] == {"observedGeneration": 1}


async def test_an_old_version_conflicts_on_status_too(objects):
    old = await objects.registration()
    await objects.patch(old, {"status": {"observedGeneration": 1}}, "/status")
    metadata = {"resourceVersion": old["metadata"]["resourceVersion"]}
    body = {"metadata": metadata, "status": {"observedGeneration": 2}}
    with pytest.raises(Conflict):
        await objects.patch(old, body, "/status")


async def test_the_generation_counts_specs(objects):
    live = await objects.registration()
    generations = [live["metadata"]["generation"]]
    for body, sub in (
        ({"spec": {"displayName": "x"}}, ""),
        ({"metadata": {"annotations": {"a": "b"}}}, ""),
        ({"status": {"observedGeneration": 1}}, "/status"),
    ):
        live = await objects.patch(live, body, sub)
        generations.append(live["metadata"]["generation"])
    assert generations == [1, 2, 2, 2]


async def test_a_finalizer_holds_what_is_deleted(objects):
    live = await objects.registration(finalizers=["example.com/a"])
    await objects.delete(live)
    going = await objects.read(live)
    assert going["metadata"]["deletionTimestamp"]
    assert going["metadata"]["generation"] == 2
    with pytest.raises(Stalled):
        await objects.patch(live, {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})
    await objects.patch(live, {"metadata": {"finalizers": []}})
    assert await objects.read(live) is None


async def test_without_a_finalizer_it_goes_at_once_and_the_name_is_free(objects):
    live = await objects.registration()
    await objects.delete(live)
    assert await objects.read(live) is None
    again = await objects.registration(name=live["metadata"]["name"])
    assert again["metadata"]["uid"] != live["metadata"]["uid"]


@pytest.mark.parametrize("mark", ["uid", "resourceVersion"])
async def test_a_delete_is_held_by_its_preconditions(objects, mark):
    place = objects.path("configmaps", "facts")
    body = {"metadata": {"name": "facts"}, "data": {"a": "1"}}
    live = await objects.send("POST", objects.path("configmaps"), body)
    marks = {mark: live["metadata"][mark] for mark in ("uid", "resourceVersion")}
    with pytest.raises(Conflict):
        await objects.send("DELETE", place, {"preconditions": marks | {mark: "1"}})
    await objects.send("DELETE", place, {"preconditions": marks})
    assert await objects.api.get(place, "it") is None


async def test_a_registration_is_found_in_the_list_of_all_namespaces(objects):
    live = await objects.registration()
    path = f"/apis/{names.API_VERSION}/fhirappregistrations"
    items = (await objects.api.get(path, "all"))["items"]
    assert live["metadata"]["uid"] in {item["metadata"]["uid"] for item in items}
