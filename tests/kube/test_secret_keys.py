"""A credential under other names: written, read back, moved and lost, on the real API server."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.controller.certificates import self_signed
from fhir_app_operator.kube.secrets import Content, NewCredential, Secrets, is_as_written
from fhir_app_operator.planning.model import OWN_NAMES
from tests.kube.test_secrets import patch, raw

pytestmark = pytest.mark.control_plane
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLIENT_SECRET, CERTIFICATE = CredentialType.CLIENT_SECRET, CredentialType.CERTIFICATE
TWICE = {"CLIENT_SECRET": "AZURE_CLIENT_SECRET", "client-secret": "AZURE_CLIENT_SECRET"}
KEYS_NOTE = "fhirapps.dev/credential-keys"


def content(registration, keys=None, kind=CLIENT_SECRET, values=None, data=None):
    credential = values and NewCredential(
        type=kind, values={part: SecretStr(value) for part, value in values.items()},
        key_id="k1", nonce="n1", expires_at=NOW + timedelta(days=9), written_at=NOW,
    )  # fmt: skip
    return Content(
        registration=registration, name="portal", data=data or {"SCOPE": "x"}, owned=False,
        credential=credential,
        credential_keys=OWN_NAMES if keys is None else {**OWN_NAMES, kind: keys},
    )  # fmt: skip


def values(live):
    return {key: value.get_secret_value() for key, value in live.data.items()}


async def published(api, registration, keys=TWICE):
    new = content(registration, keys, values={"AZURE_CLIENT_SECRET": "canary"})
    return await Secrets(api).write(None, new)


async def test_a_credential_is_written_under_each_of_its_names_and_found_again(api, registration):
    await published(api, registration)
    live = await Secrets(api).read(registration, "portal")
    assert values(live) == {"CLIENT_SECRET": "canary", "client-secret": "canary", "SCOPE": "x"}
    state = live.state
    assert (state.current, state.credential_intact, state.holds_credential) == (True,) * 3
    assert dict(state.data) == {"SCOPE": "x"}
    assert dict(state.credential_keys) == TWICE
    assert live.credential["AZURE_CLIENT_SECRET"].get_secret_value() == "canary"
    assert is_as_written(await raw(api, registration))
    assert "canary" not in repr(live)


async def test_a_credential_under_its_own_name_needs_no_annotation(api, registration):
    live = await published(api, registration, keys=None)
    assert live.state.credential_keys is None
    assert KEYS_NOTE not in live.metadata["annotations"]


@pytest.mark.parametrize("wanted", [None, {"OTHER": "AZURE_CLIENT_SECRET"}, TWICE])
async def test_a_credential_moves_to_new_names_as_it_is(api, registration, wanted):
    before = await published(api, registration)
    after = await Secrets(api).write(before, content(registration, wanted))
    keys = wanted or {"AZURE_CLIENT_SECRET": "AZURE_CLIENT_SECRET"}
    assert values(after) == dict.fromkeys(keys, "canary") | {"SCOPE": "x"}
    assert (after.state.current, after.state.credential_intact) == (True, True)
    assert after.state.key_id == "k1"
    unchanged = {"key-id", "nonce", "written-at", "expires-at", "credential-type"}
    for note in unchanged:
        name = f"fhirapps.dev/{note}"
        assert after.metadata["annotations"][name] == before.metadata["annotations"][name]


async def test_the_parts_of_a_certificate_that_were_left_out_come_back(api, registration):
    pair = self_signed("clinic/portal", 2048, NOW, NOW + timedelta(days=9))
    private = pair.private_key.get_secret_value()
    parts = {
        "tls.key": private, "tls.crt": pair.certificate,
        "tls-combined.pem": private + pair.certificate,
        "AZURE_CLIENT_CERTIFICATE_THUMBPRINT": pair.thumbprint,
    }  # fmt: skip
    few = {"certificates": "tls.crt", "private-key": "tls.key"}
    secrets = Secrets(api)
    before = await secrets.write(None, content(registration, few, CERTIFICATE, parts))
    assert before.data.keys() == few.keys() | {"SCOPE"}
    after = await secrets.write(before, content(registration, None, CERTIFICATE))
    assert values(after) == parts | {"SCOPE": "x"}
    assert after.state.credential_intact


@pytest.mark.parametrize("key", sorted(TWICE))
async def test_a_credential_with_one_edited_copy_is_not_ours_any_more(api, registration, key):
    await published(api, registration)
    await patch(api, registration, {"data": {key: "eA=="}})
    live = await Secrets(api).read(registration, "portal")
    assert (live.state.current, live.state.credential_intact) == (False, False)
    assert not is_as_written(await raw(api, registration))


@pytest.mark.parametrize(
    "note",
    [None, "no json", "[]", '{"SCOPE": "else"}', json.dumps({"SCOPE": "AZURE_CLIENT_SECRET"}),
     '{"SCOPE": ["tls.key"]}'],
)  # fmt: skip
async def test_a_forged_list_of_keys_proves_nothing_and_is_put_right(api, registration, note):
    await published(api, registration)
    await patch(api, registration, {"metadata": {"annotations": {KEYS_NOTE: note}}})
    secrets = Secrets(api)
    live = await secrets.read(registration, "portal")
    assert not live.state.credential_intact
    assert "canary" not in repr(live)
    kept = await secrets.write(live, content(registration, TWICE))
    assert not kept.state.credential_intact
    assert kept.state.data["SCOPE"] == "x"
    new = content(registration, TWICE, values={"AZURE_CLIENT_SECRET": "new"})
    after = await secrets.write(kept, new)
    assert values(after) == dict.fromkeys(TWICE, "new") | {"SCOPE": "x"}
    assert (after.state.current, after.state.credential_intact) == (True, True)


async def test_an_edited_credential_is_not_blessed_by_a_move(api, registration):
    await published(api, registration)
    await patch(api, registration, {"data": {"CLIENT_SECRET": "eA=="}})
    secrets = Secrets(api)
    live = await secrets.read(registration, "portal")
    after = await secrets.write(live, content(registration, {"OTHER": "AZURE_CLIENT_SECRET"}))
    assert not after.state.credential_intact
    assert after.data.keys() == TWICE.keys() | {"SCOPE"}


async def test_a_type_without_a_credential_keeps_none_under_any_name(api, registration):
    live = await published(api, registration)
    wanted = Content(registration=registration, name="portal", data={"SCOPE": "x"}, owned=False,
                     keep_credential=False, credential_keys={})  # fmt: skip
    after = await Secrets(api).write(live, wanted)
    assert values(after) == {"SCOPE": "x"}
    assert KEYS_NOTE not in after.metadata["annotations"]
