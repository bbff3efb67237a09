"""A certificate that somebody else keeps in a Secret, on the real API server and the emulator."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from fhir_app_operator.graph.auth import ClientCredential, Probe
from tests.controller.test_certificates import CERTIFICATE

pytestmark = pytest.mark.control_plane

FOLLOWED = {"certificate": {"secretRef": {"name": "keeper-tls"}}}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def pair(key=None, end=datetime(2040, 1, 1, tzinfo=UTC)):
    """Key and certificate as cert-manager keeps them; no CA signs here."""
    key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "portal")])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(LONG_AGO)
        .not_valid_after(end).sign(key, SHA256())
    )  # fmt: skip
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "tls.crt": certificate.public_bytes(Encoding.PEM).decode(), "tls.key": private.decode(),
    }  # fmt: skip


async def keep(lab, data, kind="kubernetes.io/tls"):
    await lab.create(
        "secret", {"metadata": {"name": "keeper-tls"}, "type": kind, "stringData": data}
    )


async def renew(lab, data):
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    await lab.patch("secret", "keeper-tls", {"data": encoded})


async def accepts(lab, name, data):
    connection = await lab.connection()
    proof = ClientCredential(private_key=SecretStr(data["tls.key"]), certificate=data["tls.crt"])
    client_id = (await lab.secret(name))["AZURE_CLIENT_ID"]
    return await connection.sign_in.probe(client_id, proof) is Probe.ACCEPTED


@pytest.fixture(scope="module")
def first():
    return pair()


@pytest.fixture(scope="module")
def second():
    return pair()


@pytest.fixture
async def follower(lab, first):
    await lab.ready("Resource")
    await keep(lab, first)
    return await lab.ready("Service", credential=FOLLOWED)


async def test_the_certificate_is_registered_and_no_key_is_copied(lab, follower, first):
    data = await lab.secret(follower)
    assert await accepts(lab, follower, first)
    assert not {"tls.key", "tls.crt", "AZURE_CLIENT_SECRET"} & data.keys()
    [entry] = (await lab.application(follower))["keyCredentials"]
    thumbprint = base64.b64decode(entry["customKeyIdentifier"]).hex().upper()
    assert data["AZURE_CLIENT_CERTIFICATE_THUMBPRINT"] == thumbprint
    [reported] = (await lab.status(follower))["credentials"]
    assert (reported["type"], reported["endTime"]) == ("Certificate", "2040-01-01T00:00:00Z")


async def test_a_settled_one_costs_nothing(lab, follower):
    lab.forget_calls()
    before = await lab.read("fhirapp", follower)
    assert not (await lab.reconcile(follower)).changed
    assert lab.writes() == []
    assert await lab.read("fhirapp", follower) == before


async def test_a_new_certificate_overlaps_with_the_former_one(lab, follower, first, second):
    await renew(lab, second)
    await lab.settle(follower)
    assert await accepts(lab, follower, first)
    assert await accepts(lab, follower, second)
    lab.pass_time(timedelta(hours=25))
    await lab.settle(follower)
    assert not await accepts(lab, follower, first)
    assert await accepts(lab, follower, second)
    [reported] = (await lab.status(follower))["credentials"]
    assert reported["state"] == "Active"


async def test_certificates_that_change_every_hour_do_not_pile_up(lab, follower):
    for _ in range(3):
        former = await lab.live_key_id(follower)
        await renew(lab, pair())
        await lab.settle(follower)
        kept = [entry["keyId"] for entry in (await lab.application(follower))["keyCredentials"]]
        assert set(kept) == {former, await lab.live_key_id(follower)}
        lab.pass_time(timedelta(hours=1))


async def test_a_secret_that_came_before_goes_although_the_certificate_changes_every_day(
    lab, service, first
):
    await keep(lab, first)
    data = await lab.secret(service)
    await lab.patch("fhirapp", service, {"spec": {"credential": FOLLOWED}})
    for _ in range(3):
        await lab.settle(service)
        assert lab.emulator.directory.accepts(data["AZURE_CLIENT_ID"], data["AZURE_CLIENT_SECRET"])
        lab.pass_time(timedelta(hours=11))
        await renew(lab, pair())
    await lab.settle(service)
    assert (await lab.application(service))["passwordCredentials"] == []


async def test_one_that_comes_back_is_registered_anew(lab, follower, first, second):
    await renew(lab, second)
    await lab.settle(follower)
    await renew(lab, first)
    await lab.settle(follower)
    lab.pass_time(timedelta(hours=25))
    await lab.settle(follower)
    assert await accepts(lab, follower, first)
    assert not await accepts(lab, follower, second)


async def test_an_edited_thumbprint_is_put_right(lab, follower):
    before = await lab.secret(follower)
    value = base64.b64encode(b"edited").decode()
    await lab.patch("secret", follower, {"data": {"AZURE_CLIENT_CERTIFICATE_THUMBPRINT": value}})
    await lab.settle(follower)
    assert await lab.secret(follower) == before


ELLIPTIC = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (pair(ELLIPTIC), "kubernetes.io/tls", "EC key"),
        (pair(end=LONG_AGO + timedelta(days=1)), "kubernetes.io/tls", "ended at"),
        (pair() | {"tls.key": pair()["tls.key"]}, "kubernetes.io/tls", "fits"),
        ({"tls.crt": "rubbish", "tls.key": "rubbish"}, "kubernetes.io/tls", "can be read"),
        (pair(), "Opaque", "type kubernetes.io/tls"),
    ],
    ids=["EC", "ended", "of two pairs", "unreadable", "of another type"],
)
async def test_what_entra_does_not_take_is_a_persons_matter(lab, data, kind, said):
    await lab.ready("Resource")
    await keep(lab, data, kind)
    name = await lab.register("Service", credential=FOLLOWED)
    assert (await lab.settle(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "CertificateNotSupported")
    message = await lab.message(name)
    assert said in message
    assert "`credential.certificate.secretRef`" in message
    assert "BEGIN" not in message


async def test_one_that_is_not_there_yet_is_waited_for(lab, first):
    await lab.ready("Resource")
    name = await lab.register("Service", credential=FOLLOWED)
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "CertificateNotFound")
    await keep(lab, first)
    await lab.settle(name)
    assert await accepts(lab, name, first)


async def test_a_deleted_certificate_leaves_a_client_that_works(lab, follower, first):
    await lab.delete("secret", "keeper-tls")
    await lab.reconcile(follower)
    conditions = await lab.conditions(follower)
    assert conditions["Ready"][0] == "True"
    assert conditions["Synced"] == ("False", "CertificateNotFound")
    assert await accepts(lab, follower, first)


@pytest.mark.parametrize("new", [CERTIFICATE, {"clientSecret": {}}], ids=["own", "secret"])
async def test_a_switch_from_and_to_it_overlaps(lab, follower, first, new):
    none = {"certificate": {"secretRef": None, "issue": None}, "clientSecret": None}
    wanted = new if "clientSecret" in new else {"certificate": new["certificate"]}
    none["certificate"] |= wanted.get("certificate", {})
    if "clientSecret" in new:
        none = {"certificate": None} | new
    await lab.patch("fhirapp", follower, {"spec": {"credential": none}})
    await lab.settle(follower)
    issued = await lab.secret(follower)
    assert await accepts(lab, follower, first)
    following = {"issue": None, "secretRef": {"name": "keeper-tls"}}
    back = {"clientSecret": None, "certificate": following}
    lab.pass_time(timedelta(hours=25))
    await lab.settle(follower)
    assert not await accepts(lab, follower, first)
    await lab.patch("fhirapp", follower, {"spec": {"credential": back}})
    await lab.settle(follower)
    assert await accepts(lab, follower, first)
    assert not {"tls.key", "AZURE_CLIENT_SECRET"} & (await lab.secret(follower)).keys()
    assert issued["AZURE_CLIENT_ID"] == (await lab.secret(follower))["AZURE_CLIENT_ID"]


async def test_a_preset_without_a_name_for_the_thumbprint_still_tells_it(lab, first):
    await lab.ready("Resource")
    await keep(lab, first)
    name = await lab.ready(
        "Service", credential=FOLLOWED, secret={"presets": ["ServiceBinding"]}
    )  # fmt: skip
    data = await lab.secret(name)
    assert data["AZURE_CLIENT_CERTIFICATE_THUMBPRINT"]
    assert not {"certificates", "private-key"} & data.keys()
    lab.forget_calls()
    assert not (await lab.reconcile(name)).changed
    assert lab.writes() == []
