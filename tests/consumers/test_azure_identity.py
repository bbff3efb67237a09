"""azure-identity, unmodified, signs in with nothing but the Secret of the preset `AzureSdk`."""

import asyncio
import contextlib

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ClientSecretCredential,
    EnvironmentCredential,
    WorkloadIdentityCredential,
)

from tests.controller.test_certificates import CERTIFICATE
from tests.controller.test_federated import federated, token, trusted_cluster

__all__ = ["trusted_cluster"]

pytestmark = pytest.mark.control_plane
SECRET, CERTIFIED = "1", "2"
"""`azpacr` or `appidacr` in a token: by what the client proved itself."""


@pytest.fixture
def here(ca_file):
    """What every credential has to be told where the authority is not Microsoft's own."""
    return {"disable_instance_discovery": True, "connection_verify": ca_file}


async def proof(credential, scope):
    """Client id and kind of proof in the token that the credential gets for the FHIR server."""

    def get():
        with contextlib.closing(credential):
            return credential.get_token(scope).token

    claims = jwt.decode(await asyncio.to_thread(get), options={"verify_signature": False})
    return claims["appid"], claims["appidacr"]


async def client(lab, **spec):
    await lab.ready("Resource")
    return await lab.secret(await lab.ready("Service", **spec))


async def test_environment_credential_with_a_client_secret(lab, here, env_from):
    data = await client(lab)
    env_from(data)
    assert await proof(EnvironmentCredential(**here), data["FHIR_SCOPE"]) == (
        data["AZURE_CLIENT_ID"], SECRET,
    )  # fmt: skip


async def test_client_secret_credential(lab, here):
    data = await client(lab)
    credential = ClientSecretCredential(
        data["AZURE_TENANT_ID"], data["AZURE_CLIENT_ID"], data["AZURE_CLIENT_SECRET"],
        authority=data["AZURE_AUTHORITY_HOST"], **here,
    )  # fmt: skip
    assert await proof(credential, data["FHIR_SCOPE"]) == (data["AZURE_CLIENT_ID"], SECRET)


async def test_client_secret_credential_after_the_keys_were_renamed(lab, here):
    keys = [
        {"from": "AZURE_CLIENT_SECRET", "to": "PASSWORD"},
        {"from": "AZURE_CLIENT_ID", "to": "USER"},
    ]
    data = await client(lab, secret={"keys": keys})
    credential = ClientSecretCredential(
        data["AZURE_TENANT_ID"], data["USER"], data["PASSWORD"],
        authority=data["AZURE_AUTHORITY_HOST"], **here,
    )  # fmt: skip
    assert await proof(credential, data["FHIR_SCOPE"]) == (data["USER"], SECRET)


async def test_a_wrong_value_is_refused(lab, here, env_from):
    data = await client(lab)
    env_from(data | {"AZURE_CLIENT_SECRET": "wrong"})
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        await proof(EnvironmentCredential(**here), data["FHIR_SCOPE"])


async def test_environment_credential_with_the_mounted_certificate(lab, here, env_from, tmp_path):
    data = await client(lab, credential=CERTIFICATE)
    mounted = tmp_path / "tls-combined.pem"
    mounted.write_text(data["tls-combined.pem"])
    env_from(data | {"AZURE_CLIENT_CERTIFICATE_PATH": str(mounted)})
    assert await proof(EnvironmentCredential(**here), data["FHIR_SCOPE"]) == (
        data["AZURE_CLIENT_ID"], CERTIFIED,
    )  # fmt: skip


async def test_certificate_credential_from_the_two_parts(lab, here):
    data = await client(lab, credential=CERTIFICATE)
    credential = CertificateCredential(
        data["AZURE_TENANT_ID"], data["AZURE_CLIENT_ID"],
        certificate_data=(data["tls.key"] + data["tls.crt"]).encode(),
        authority=data["AZURE_AUTHORITY_HOST"], **here,
    )  # fmt: skip
    assert await proof(credential, data["FHIR_SCOPE"]) == (data["AZURE_CLIENT_ID"], CERTIFIED)


@pytest.mark.usefixtures("trusted_cluster")
async def test_workload_identity_credential_with_the_pods_token(lab, here, env_from, tmp_path):
    data = await client(lab, credential=federated("ingest"))
    projected = tmp_path / "token"
    projected.write_text(await token(lab, "ingest"))
    env_from(data | {"AZURE_FEDERATED_TOKEN_FILE": str(projected)})
    assert await proof(WorkloadIdentityCredential(**here), data["FHIR_SCOPE"]) == (
        data["AZURE_CLIENT_ID"], CERTIFIED,
    )  # fmt: skip


async def test_a_config_map_and_one_key_of_the_secret_are_enough(lab, here, env_from):
    data = await client(lab, secret={"configMap": {"name": "facts"}})
    facts = (await lab.read("configmap", "facts"))["data"]
    env_from(facts | {"AZURE_CLIENT_SECRET": data["AZURE_CLIENT_SECRET"]})
    assert await proof(EnvironmentCredential(**here), facts["FHIR_SCOPE"]) == (
        facts["AZURE_CLIENT_ID"], SECRET,
    )  # fmt: skip
