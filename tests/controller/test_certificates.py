"""Certificates that the operator makes, against the real API server and the emulator."""

import base64
import re
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from entra_emulator import Fault
from fhir_app_operator.graph.auth import ClientCredential, Probe

pytestmark = pytest.mark.control_plane

CERTIFICATE = {"certificate": {"issue": {"duration": "720h", "renewBefore": "240h"}}}
TOKEN = re.compile(r"/oauth2/v2.0/token$")
KEYS = {"tls.crt", "tls.key", "tls-combined.pem", "AZURE_CLIENT_CERTIFICATE_THUMBPRINT"}


@pytest.fixture
async def signed(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service", credential=CERTIFICATE)
    lab.forget_calls()
    return name


async def keys(lab, name):
    """Key ids and names of the application's certificates, in the directory's order."""
    found = (await lab.application(name))["keyCredentials"]
    return {entry["keyId"]: entry["displayName"] for entry in found}


async def signs_in(lab, data):
    """Whether key and certificate of a Secret sign in at the token endpoint, through MSAL."""
    connection = await lab.connection()
    private_key = SecretStr(data["tls.key"])
    proof = ClientCredential(private_key=private_key, certificate=data["tls.crt"])
    return await connection.sign_in.probe(data["AZURE_CLIENT_ID"], proof) is Probe.ACCEPTED


async def test_a_certificate_is_registered_tried_and_published(lab, signed):
    data = await lab.secret(signed)
    assert data.keys() >= KEYS
    assert "AZURE_CLIENT_SECRET" not in data
    assert await signs_in(lab, data)
    [key_id] = await keys(lab, signed)
    assert key_id == await lab.live_key_id(signed)
    [reported] = (await lab.status(signed))["credentials"]
    assert (reported["type"], reported["keyId"], reported["state"]) == (
        "Certificate", key_id, "Active",
    )  # fmt: skip
    assert (await lab.application(signed))["passwordCredentials"] == []


async def test_what_a_workload_is_given_fits_together(lab, signed):
    data = await lab.secret(signed)
    certificate = x509.load_pem_x509_certificate(data["tls.crt"].encode())
    private = load_pem_private_key(data["tls.key"].encode(), None)
    assert certificate.public_key() == private.public_key()
    assert private.key_size == 2048
    assert data["tls-combined.pem"] == data["tls.key"] + data["tls.crt"]
    [entry] = (await lab.application(signed))["keyCredentials"]
    thumbprint = base64.b64decode(entry["customKeyIdentifier"]).hex().upper()
    assert data["AZURE_CLIENT_CERTIFICATE_THUMBPRINT"] == thumbprint
    lifetime = certificate.not_valid_after_utc - lab.world.clock()
    assert timedelta(hours=719) < lifetime <= timedelta(hours=720)


async def test_a_settled_certificate_costs_nothing_and_its_list_is_not_read(lab, signed):
    lab.forget_calls()
    lab.pass_time(timedelta(hours=1))
    await lab.settle(signed)
    lab.forget_calls()
    lab.pass_time(timedelta(hours=1))
    await lab.settle(signed)
    assert lab.writes() == []
    assert not [call for call in lab.calls("GET") if "keyCredentials" in str(call)]


async def test_a_renewal_overlaps_and_then_retires_the_old_certificate(lab, signed):
    before, old = await lab.secret(signed), await lab.live_key_id(signed)
    lab.pass_time(timedelta(hours=481))
    await lab.settle(signed)
    after, new = await lab.secret(signed), await lab.live_key_id(signed)
    assert before["tls.key"] != after["tls.key"]
    assert await signs_in(lab, before)
    assert await signs_in(lab, after)
    lab.pass_time(timedelta(hours=23))
    await lab.settle(signed)
    assert set(await keys(lab, signed)) == {old, new}
    lab.pass_time(timedelta(hours=2))
    await lab.settle(signed)
    assert set(await keys(lab, signed)) == {new}
    assert await signs_in(lab, after)


@pytest.mark.parametrize("edited", sorted(KEYS))
async def test_an_edited_certificate_is_replaced(lab, signed, edited):
    value = base64.b64encode(b"edited").decode()
    await lab.patch("secret", signed, {"data": {edited: value}})
    await lab.settle(signed)
    assert await signs_in(lab, await lab.secret(signed))
    assert len(await keys(lab, signed)) == 2


async def test_certificates_of_others_survive_every_write(lab, signed):
    entity = lab.emulator.directory.store.locate((await lab.status(signed))["objectId"])
    [own] = entity.document["keyCredentials"]
    theirs = {**own, "keyId": "0f0f0f0f-0000-4000-8000-000000000001", "displayName": "theirs"}
    lab.emulator.directory.store.replace(
        entity, {**entity.document, "keyCredentials": [own, theirs]}
    )
    lab.pass_time(timedelta(hours=481))
    await lab.settle(signed)
    lab.pass_time(timedelta(hours=25))
    await lab.settle(signed)
    assert (await keys(lab, signed))[theirs["keyId"]] == "theirs"
    assert len(await keys(lab, signed)) == 2
    assert "1 certificate" in await lab.message(signed, "Synced")


async def test_one_that_was_registered_and_never_published_is_swept(lab):
    await lab.ready("Resource")
    name = await lab.register("Service", credential=CERTIFICATE)
    secrets = lab.world.secrets

    class Gone(BaseException):
        """The process dies."""

    class Dying:
        def __getattr__(self, attribute):
            return getattr(secrets, attribute)

        async def write(self, live, content):
            raise Gone

    object.__setattr__(lab.world, "secrets", Dying())
    with pytest.raises(Gone):
        await lab.reconcile(name)
    object.__setattr__(lab.world, "secrets", secrets)
    [lost] = await keys(lab, name)
    await lab.settle(name)
    assert await signs_in(lab, await lab.secret(name))
    assert len(await keys(lab, name)) == 2
    lab.pass_time(timedelta(hours=25))
    await lab.settle(name)
    assert lost not in await keys(lab, name)
    assert await signs_in(lab, await lab.secret(name))


async def test_a_tampered_list_is_put_right_after_the_replication_window(lab, signed):
    """As after a list of certificates that a dead process sent, and that landed late."""
    entity = lab.emulator.directory.store.locate((await lab.status(signed))["objectId"])
    lab.emulator.directory.store.replace(entity, {**entity.document, "keyCredentials": []})
    outcome = await lab.settle(signed)
    assert outcome.due is not None
    lab.pass_time(timedelta(minutes=16))
    await lab.settle(signed)
    assert await signs_in(lab, await lab.secret(signed))


@pytest.mark.parametrize("unspread", ["700027", "7000215", "700016"])
async def test_it_is_published_only_once_sign_in_accepts_it(lab, unspread):
    await lab.ready("Resource")
    name = await lab.register("Service", credential=CERTIFICATE)
    lab.emulator.weather.add(Fault(path=TOKEN, times=3, status=401, code=unspread))
    await lab.settle(name)
    assert await signs_in(lab, await lab.secret(name))
    assert len(await keys(lab, name)) == 1


async def test_one_that_is_never_accepted_is_not_published_and_does_not_stay(lab):
    await lab.ready("Resource")
    name = await lab.register("Service", credential=CERTIFICATE)
    lab.emulator.weather.add(Fault(path=TOKEN, times=999, status=401, code="700027"))
    assert (await lab.reconcile(name)).result == "waiting"
    assert await lab.secret(name) is None
    assert await keys(lab, name) == {}


async def test_no_private_key_is_told_anywhere(lab, signed, capsys, caplog):
    caplog.set_level("DEBUG")
    lab.pass_time(timedelta(hours=481))
    await lab.settle(signed)
    private = (await lab.secret(signed))["tls.key"].splitlines()[1]
    body = await lab.read("secret", signed)
    told = [
        str(await lab.read("fhirapp", signed)), str(body["metadata"]), caplog.text,
        str(await lab.events(signed)), *capsys.readouterr(), repr(lab.world),
    ]  # fmt: skip
    encoded = body["data"]["tls.key"][100:160]
    assert not [text for text in told if private in text or encoded in text]
