"""The operator signs in to a tenant by certificate."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from entra_emulator import Seeds
from entra_emulator.server import serve
from tests.controller.lab import open_lab

pytestmark = pytest.mark.control_plane


def key_and_certificate():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fhir-app-operator")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(pem).decode()


async def test_a_registration_is_served_with_a_certificate_from_a_tls_secret(cluster):
    key, certificate = key_and_certificate()
    secret = {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "operator-tls", "namespace": "fhir-app-operator"},
        "stringData": {"tls.key": key, "tls.crt": certificate},
    }  # fmt: skip
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(secret))
    auth = {"certificate": {"secretRef": {"name": "operator-tls"}}, "clientSecret": None}
    with serve({"seeds": Seeds(operator_certificate_pem=certificate)}) as running:
        async with open_lab(cluster, running) as lab:
            await lab.patch("tenant", lab.tenant, {"spec": {"auth": auth}})
            assert (await lab.tenants.reconcile(lab.tenant)).result == "success"
            await lab.ready("Resource")
            missing = {"certificate": {"secretRef": {"name": "none"}}}
            await lab.patch("tenant", lab.tenant, {"spec": {"auth": missing}})
            assert (await lab.tenants.reconcile(lab.tenant)).result == "waiting"
