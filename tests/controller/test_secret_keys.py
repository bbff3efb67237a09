"""Presets and names of the Secret, through whole passes: nothing is issued for a new name."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from fhir_app_operator.graph.auth import ClientCredential, Probe
from tests.controller.test_certificates import CERTIFICATE

pytestmark = pytest.mark.control_plane

RENAMED = {
    "presets": ["AzureSdk", "ServiceBinding"],
    "keys": [
        {"from": "AZURE_CLIENT_SECRET", "to": "CLIENT_SECRET"},
        {"from": "FHIR_SCOPE", "to": "SCOPE"},
    ],
}


async def renamed(lab, **fields):
    await lab.ready("Resource")
    return await lab.ready("Service", **fields)


def accepts(lab, data, key):
    return lab.emulator.directory.accepts(data["AZURE_CLIENT_ID"], data[key])


async def live_keys(lab, name):
    return [each["keyId"] for each in (await lab.application(name))["passwordCredentials"]]


async def test_a_secret_with_other_names_works_and_a_second_pass_writes_nothing(lab):
    name = await renamed(lab, secret=RENAMED)
    data = await lab.secret(name)
    assert not {"AZURE_CLIENT_SECRET", "FHIR_SCOPE"} & data.keys()
    assert accepts(lab, data, "CLIENT_SECRET")
    assert data["client-secret"] == data["CLIENT_SECRET"]
    version = (await lab.read("secret", name))["metadata"]["resourceVersion"]
    lab.pass_time(timedelta(hours=25))
    await lab.settle(name)
    assert (await lab.read("secret", name))["metadata"]["resourceVersion"] == version
    status = await lab.status(name)
    assert status["audience"]
    assert status["authority"]


async def test_new_names_move_the_credential_and_issue_nothing(lab):
    name = await renamed(lab)
    before, keys = await lab.secret(name), await live_keys(lab, name)
    lab.forget_calls()
    await lab.patch("fhirapp", name, {"spec": {"secret": RENAMED}})
    await lab.settle(name)
    after = await lab.secret(name)
    assert after["CLIENT_SECRET"] == after["client-secret"] == before["AZURE_CLIENT_SECRET"]
    assert "AZURE_CLIENT_SECRET" not in after
    assert lab.writes() == []
    await lab.patch("fhirapp", name, {"spec": {"secret": None}})
    await lab.settle(name)
    assert await lab.secret(name) == before
    assert await live_keys(lab, name) == keys


@pytest.mark.parametrize("key", ["CLIENT_SECRET", "client-secret"])
async def test_an_edited_copy_of_the_secret_is_replaced_everywhere(lab, key):
    name = await renamed(lab, secret=RENAMED)
    await lab.patch("secret", name, {"data": {key: "eA=="}})
    await lab.settle(name)
    data = await lab.secret(name)
    assert data["client-secret"] == data["CLIENT_SECRET"]
    assert accepts(lab, data, "CLIENT_SECRET")
    assert len(await live_keys(lab, name)) == 2


async def test_a_renewal_comes_under_the_same_names_and_overlaps(lab):
    lifetime = {"clientSecret": {"duration": "720h", "renewBefore": "240h"}}
    name = await renamed(lab, secret=RENAMED, credential=lifetime)
    before = await lab.secret(name)
    lab.pass_time(timedelta(hours=481))
    await lab.settle(name)
    after = await lab.secret(name)
    assert before["CLIENT_SECRET"] != after["CLIENT_SECRET"]
    assert after.keys() == before.keys()
    assert accepts(lab, before, "CLIENT_SECRET")
    assert accepts(lab, after, "CLIENT_SECRET")


async def test_a_certificate_has_the_names_of_a_service_binding(lab):
    name = await renamed(lab, secret={"presets": ["ServiceBinding"]}, credential=CERTIFICATE)
    data = await lab.secret(name)
    assert not [key for key in data if key.startswith(("tls", "AZURE"))]
    proof = ClientCredential(
        private_key=SecretStr(data["private-key"]), certificate=data["certificates"]
    )
    answer = await (await lab.connection()).sign_in.probe(data["client-id"], proof)
    assert answer is Probe.ACCEPTED


async def test_names_that_cannot_be_had_are_stalled_and_the_credential_is_renewed_anyway(lab):
    lifetime = {"clientSecret": {"duration": "720h", "renewBefore": "240h"}}
    name = await renamed(lab, secret=RENAMED, credential=lifetime)
    before = await lab.secret(name)
    wrong = RENAMED | {"keys": [{"from": "AZURE_CLIENT_SECRET", "to": "client-id"}]}
    await lab.patch("fhirapp", name, {"spec": {"secret": wrong}})
    lab.pass_time(timedelta(hours=481))
    await lab.reconcile(name)
    conditions = await lab.conditions(name)
    assert conditions["Stalled"] == ("True", "InvalidSpec")
    after = await lab.secret(name)
    assert after.keys() == before.keys()
    assert after["CLIENT_SECRET"] != before["CLIENT_SECRET"]
    assert accepts(lab, after, "CLIENT_SECRET")


async def test_a_new_name_for_nothing_but_the_credential_is_reason_enough_to_write(lab):
    name = await renamed(lab)
    before = await lab.secret(name)
    keys = [{"from": "AZURE_CLIENT_SECRET", "to": "CLIENT_SECRET"}]
    await lab.patch("fhirapp", name, {"spec": {"secret": {"keys": keys}}})
    await lab.settle(name)
    after = await lab.secret(name)
    assert after.pop("CLIENT_SECRET") == before.pop("AZURE_CLIENT_SECRET")
    assert after == before
