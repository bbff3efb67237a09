"""A gateway before a FHIR server that signs users in as the server's own application."""

from datetime import timedelta

import pytest

from entra_emulator import GRAPH_APP_ID
from tests.controller.signing_in import consent, redeemed, service_answer

pytestmark = pytest.mark.control_plane

URL = "https://{uri}.clinic.example"
CALLBACK = "https://proxy.clinic.example/.auth/login/aad/callback"
DOOR = {"url": URL, "frontDoor": {"redirectUris": [CALLBACK]}}
PLAIN = {"AZURE_CLIENT_SECRET", "FHIR_AUTHORIZATION_URL", "FHIR_TOKEN_URL", "FHIR_REDIRECT_URIS"}


async def web(lab, name):
    return (await lab.application(name))["web"]


async def test_a_user_signs_in_at_the_gateway_with_the_servers_secret(lab):
    name = await lab.ready("Resource", resource=DOOR)
    data = await lab.secret(name)

    # As App Service Authentication does it.
    asked = {"response_type": "code id_token", "nonce": "n"}
    answer = await redeemed(lab, name, scope="openid profile", **asked)

    assert answer["id_token"]["aud"] == data["AZURE_CLIENT_ID"]
    assert data.keys() >= PLAIN
    assert data["FHIR_REDIRECT_URIS"] == CALLBACK
    assert (await web(lab, name))["implicitGrantSettings"]["enableIdTokenIssuance"]
    [asked] = (await lab.application(name))["requiredResourceAccess"]
    assert asked["resourceAppId"] == GRAPH_APP_ID
    assert "ConsentGranted" not in await lab.conditions(name)


async def test_its_clients_are_served_as_those_of_any_server(lab):
    await lab.ready("Resource", resource=DOOR)
    name = await lab.ready("Service")
    await consent(lab, name)
    assert (await service_answer(lab, name))["roles"] == ["globalReader"]


async def test_its_secret_is_renewed_with_an_overlap(lab):
    name = await lab.ready("Resource", resource=DOOR)
    first = (await lab.secret(name))["AZURE_CLIENT_SECRET"]
    lab.pass_time(timedelta(hours=4320) * 2 / 3 + timedelta(days=20))
    await lab.settle(name)
    assert (await lab.secret(name))["AZURE_CLIENT_SECRET"] != first
    assert len(await lab.key_ids(name)) == 2


async def test_what_it_had_goes_with_it(lab):
    name = await lab.ready("Resource", resource=DOOR)
    await lab.patch("fhirapp", name, {"spec": {"resource": {"frontDoor": None}}})
    await lab.settle(name)
    document = await lab.application(name)
    assert document["passwordCredentials"] == []
    assert document["requiredResourceAccess"] == []
    assert document["web"]["redirectUris"] == []
    assert not document["web"]["implicitGrantSettings"]["enableIdTokenIssuance"]
    assert not PLAIN & (await lab.secret(name)).keys()
    lab.forget_calls()
    await lab.settle(name)
    assert lab.writes() == []
