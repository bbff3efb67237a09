"""The Secret's wire format and preconditions, on the real API server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.errors import Conflict, Stalled
from fhir_app_operator.kube.api_server import MERGE_PATCH, Request
from fhir_app_operator.kube.secrets import Content, NewCredential, Secrets, is_as_written

pytestmark = pytest.mark.control_plane
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


# Not owned unless a test says so: the owner is made up, and the garbage collector would come.
def content(registration, value=None, data=None, **fields):
    credential = value and NewCredential(
        type=CredentialType.CLIENT_SECRET,
        values={"AZURE_CLIENT_SECRET": SecretStr(value)},
        key_id=f"key-of-{value[:3]}",
        nonce="n1",
        expires_at=NOW + timedelta(days=180),
        written_at=NOW,
    )
    return Content(
        registration=registration, name="portal", data=data or {"FHIR_SCOPE": "x"},
        owned=fields.pop("owned", False), credential=credential, **fields,
    )  # fmt: skip


async def raw(api, registration):
    path = f"/api/v1/namespaces/{registration.namespace}/secrets/portal"
    return await api.get(path, "secret")


async def patch(api, registration, body):
    path = f"/api/v1/namespaces/{registration.namespace}/secrets/portal"
    await api.send(
        Request(method="PATCH", path=path, what="s", body=body, content_type=MERGE_PATCH)
    )


async def test_what_was_written_is_read_back(api, registration):
    secrets = Secrets(api)
    assert await secrets.read(registration, "portal") is None
    written = await secrets.write(None, content(registration, "canary"))
    read = await secrets.read(registration, "portal")
    assert read.state == written.state
    state = read.state
    assert (state.ours, state.current, state.owner_reference) == (True, True, False)
    assert (state.key_id, state.nonce) == ("key-of-can", "n1")
    assert (state.credential_intact, state.written_at) == (True, NOW)
    assert dict(state.data) == {"FHIR_SCOPE": "x"}
    assert is_as_written(await raw(api, registration))
    assert "canary" not in repr(read)


async def test_an_owned_secret_names_its_registration(api, registration):
    # Looked at in the answer only: without a living owner the garbage collector is quick.
    written = await Secrets(api).write(None, content(registration, owned=True))
    assert written.state.owner_reference
    (owner,) = written.metadata["ownerReferences"]
    assert (owner["name"], owner["uid"]) == (registration.name, registration.uid)
    assert "blockOwnerDeletion" not in owner


async def test_a_second_create_is_refused(api, registration):
    secrets = Secrets(api)
    await secrets.write(None, content(registration, "one"))
    with pytest.raises(Conflict):
        await secrets.write(None, content(registration, "two"))


async def test_a_late_write_of_a_dead_process_is_refused(api, registration):
    secrets = Secrets(api)
    stale = await secrets.write(None, content(registration, "one"))
    await secrets.write(stale, content(registration, "two"))
    with pytest.raises(Conflict):
        await secrets.write(stale, content(registration, "late"))
    assert (await secrets.read(registration, "portal")).state.key_id == "key-of-two"


async def test_a_patch_of_a_deleted_secret_creates_nothing(api, registration):
    secrets = Secrets(api)
    live = await secrets.write(None, content(registration, "one"))
    path = f"/api/v1/namespaces/{registration.namespace}/secrets/portal"
    await api.send(Request(method="DELETE", path=path, what="secret"))
    with pytest.raises(Conflict):
        await secrets.write(live, content(registration, "two"))
    assert await secrets.read(registration, "portal") is None


async def test_keys_that_must_go_go_and_the_credential_is_kept_or_taken_out(api, registration):
    secrets = Secrets(api)
    live = await secrets.write(None, content(registration, "one", {"A": "1", "B": "2"}))
    kept = await secrets.write(live, content(registration, data={"B": "3"}))
    assert dict(kept.state.data) == {"B": "3"}
    assert (kept.state.credential_intact, kept.state.key_id) == (True, "key-of-one")
    bare = await secrets.write(kept, content(registration, keep_credential=False))
    assert (bare.state.holds_credential, bare.state.key_id) == (False, None)
    assert set((await raw(api, registration))["data"]) == {"FHIR_SCOPE"}


@pytest.mark.parametrize(
    ("data", "intact"), [({"AZURE_CLIENT_SECRET": "eA=="}, False), ({"FHIR_SCOPE": "eQ=="}, True)]
)
async def test_an_edit_is_noticed_and_told_apart(api, registration, data, intact):
    secrets = Secrets(api)
    await secrets.write(None, content(registration, "one"))
    await patch(api, registration, {"data": data})
    state = (await secrets.read(registration, "portal")).state
    assert (state.current, state.credential_intact) == (False, intact)
    assert not is_as_written(await raw(api, registration))


async def test_bytes_that_are_no_text_are_read_as_something_unwanted(api, registration):
    secrets = Secrets(api)
    await secrets.write(None, content(registration, "one"))
    await patch(api, registration, {"data": {"FHIR_SCOPE": "//79"}})
    assert (await secrets.read(registration, "portal")).state.data["FHIR_SCOPE"] == "\ufffd"


async def test_annotations_that_were_tampered_with_are_not_trusted(api, registration):
    secrets = Secrets(api)
    await secrets.write(None, content(registration, "one"))
    notes = {"fhirapps.dev/key-id": None, "fhirapps.dev/written-at": "yesterday"}
    await patch(api, registration, {"metadata": {"annotations": notes}})
    state = (await secrets.read(registration, "portal")).state
    assert (state.credential_intact, state.written_at) == (False, None)


async def test_lengths_of_time_can_be_added_to_a_tampered_one(api, registration):
    secrets = Secrets(api)
    await secrets.write(None, content(registration, "one"))
    notes = {"fhirapps.dev/written-at": "9999-12-31T23:59:59Z"}
    await patch(api, registration, {"metadata": {"annotations": notes}})
    state = (await secrets.read(registration, "portal")).state
    assert state.written_at + timedelta(days=999) > state.written_at


async def test_another_registrations_secret_is_not_ours(api, registration):
    secrets = Secrets(api)
    await secrets.write(None, content(registration, "one"))
    other = replace(registration, uid="another")
    state = (await secrets.read(other, "portal")).state
    assert (state.ours, state.owner_reference, state.credential_intact) == (False, False, False)


async def test_an_immutable_secret_is_explained(api, registration):
    secrets = Secrets(api)
    await secrets.write(None, content(registration, "one"))
    await patch(api, registration, {"immutable": True})
    live = await secrets.read(registration, "portal")
    with pytest.raises(Stalled, match="immutable") as caught:
        await secrets.write(live, content(registration, "two"))
    assert caught.value.reason == "SecretConflict"


async def test_single_values_are_read_for_tenants(api, registration):
    secrets = Secrets(api)
    await secrets.write(None, content(registration, "one"))
    found = await secrets.value(registration.namespace, "portal", "AZURE_CLIENT_SECRET")
    assert found.get_secret_value() == "one"
    assert await secrets.value(registration.namespace, "portal", "X") is None
    assert await secrets.value(registration.namespace, "none", "X") is None
