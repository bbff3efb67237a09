"""A registration's ConfigMap: written, kept from others, deleted, on the real API server."""

from dataclasses import replace
from pathlib import Path

import pytest

from fhir_app_operator.api import names
from fhir_app_operator.errors import Conflict, Stalled
from fhir_app_operator.kube.api_server import MERGE_PATCH, Request
from fhir_app_operator.kube.config_maps import ConfigMaps

pytestmark = pytest.mark.control_plane
CRDS = Path(__file__).parents[2] / "crds"
DATA = {"FHIR_SCOPE": "x"}


def path(registration, name=""):
    root = f"/api/v1/namespaces/{registration.namespace}/configmaps"
    return f"{root}/{name}" if name else root


async def patch(api, registration, body):
    await api.send(
        Request(method="PATCH", path=path(registration, "facts"), what="c", body=body,
                content_type=MERGE_PATCH)
    )  # fmt: skip


# Not owned unless a test says so: the owner is made up, and the garbage collector would come.
async def write(api, registration, live=None, data=DATA, *, owned=False):
    return await ConfigMaps(api).write(live, registration, "facts", data, owned=owned)


async def test_what_was_written_is_read_back(api, registration):
    gateway = ConfigMaps(api)
    assert await gateway.read(registration, "facts") is None
    written = await write(api, registration)
    read = await gateway.read(registration, "facts")
    assert read.state == written.state
    state = read.state
    assert (state.ours, state.current, state.owner_reference) == (True, True, False)
    assert dict(state.data) == DATA


async def test_an_owned_one_names_its_registration(api, registration):
    written = await write(api, registration, owned=True)
    assert written.state.owner_reference
    (owner,) = written.metadata["ownerReferences"]
    assert (owner["name"], owner["uid"]) == (registration.name, registration.uid)
    assert "blockOwnerDeletion" not in owner


@pytest.fixture
async def existing(control_plane, api, registration):
    """A registration that is there: the garbage collector takes references to others off."""
    control_plane.kubectl("apply", "--server-side", "-k", str(CRDS))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    root = f"/apis/{names.API_VERSION}/namespaces/{registration.namespace}/fhirappregistrations"
    spec = {"type": "Resource", "resource": {"url": "https://fhir.clinic.example"}}
    body = {
        "apiVersion": names.API_VERSION, "kind": names.REGISTRATION_KIND, "spec": spec,
        "metadata": {"name": registration.name},
    }  # fmt: skip
    made = await api.send(Request(method="POST", path=root, what="registration", body=body))
    return replace(registration, uid=made["metadata"]["uid"])


async def test_the_owner_is_put_on_and_taken_off(api, existing):
    registration, gateway = existing, ConfigMaps(api)
    await write(api, registration)
    live = await gateway.read(registration, "facts")
    other = {"apiVersion": "v1", "kind": "Namespace", "name": "kube-system"}
    uid = (await api.get("/api/v1/namespaces/kube-system", "ns"))["metadata"]["uid"]
    await patch(api, registration, {"metadata": {"ownerReferences": [other | {"uid": uid}]}})
    with pytest.raises(Conflict):
        await gateway.set_owned(live, registration, owned=True)
    live = await gateway.read(registration, "facts")
    await gateway.set_owned(live, registration, owned=True)
    live = await gateway.read(registration, "facts")
    assert live.state.owner_reference
    await gateway.set_owned(live, registration, owned=False)
    live = await gateway.read(registration, "facts")
    assert [owner["uid"] for owner in live.metadata["ownerReferences"]] == [uid]


async def test_what_others_put_into_it_goes_and_their_labels_stay(api, registration):
    await write(api, registration)
    edit = {"data": {"MORE": "1"}, "binaryData": {"b": "AAE="}}
    await patch(api, registration, edit | {"metadata": {"labels": {"team": "blue"}}})
    live = await ConfigMaps(api).read(registration, "facts")
    assert not live.state.current
    assert "MORE" in live.state.data
    again = await write(api, registration, live)
    assert (again.state.current, dict(again.state.data)) == (True, DATA)
    assert again.metadata["labels"]["team"] == "blue"


async def test_a_key_that_is_no_longer_wanted_goes(api, registration):
    live = await write(api, registration, data=DATA | {"OLD": "1"})
    assert dict((await write(api, registration, live)).state.data) == DATA


async def test_one_of_somebody_else_is_told_apart(api, registration):
    body = {"metadata": {"name": "facts"}, "data": {"theirs": "1"}}
    request = Request(method="POST", path=path(registration), what="c", body=body)
    await api.send(request)
    live = await ConfigMaps(api).read(registration, "facts")
    assert not live.state.ours
    with pytest.raises(Conflict):
        await write(api, registration)


async def test_a_write_and_a_delete_of_what_was_read_before_an_edit_are_refused(api, registration):
    stale = await write(api, registration)
    await patch(api, registration, {"data": {"MORE": "1"}})
    with pytest.raises(Conflict):
        await write(api, registration, stale)
    with pytest.raises(Conflict):
        await ConfigMaps(api).delete(stale, registration)
    assert "MORE" in (await ConfigMaps(api).read(registration, "facts")).state.data


async def test_it_is_deleted_once_and_for_all(api, registration):
    gateway = ConfigMaps(api)
    live = await write(api, registration)
    await gateway.delete(live, registration)
    await gateway.delete(live, registration)
    assert await gateway.read(registration, "facts") is None


async def test_an_immutable_one_must_be_deleted_by_a_person(api, registration):
    live = await write(api, registration)
    await patch(api, registration, {"immutable": True})
    live = await ConfigMaps(api).read(registration, "facts")
    with pytest.raises(Stalled, match="immutable") as caught:
        await write(api, registration, live, {"FHIR_SCOPE": "y"})
    assert caught.value.reason == "ConfigMapConflict"
