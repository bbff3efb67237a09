"""Every type of credential with the installed operator: the examples, and what they sign in with.

The operator has its own RBAC here: what it reads of the cluster it is allowed to.
"""

import base64
import json
import ssl
from contextlib import closing

import msal
import pytest
import yaml

from tests.controller.test_following import pair
from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.control_plane

NAMESPACE = "types"
LABEL = {"fhirapps.dev/registration": "dashboard"}


def documents(path):
    for file in sorted((ROOT / path).glob("*.yaml")):
        if file.name != "kustomization.yaml":
            yield from yaml.safe_load_all(file.read_text())


def kept(data):
    """A Secret as cert-manager keeps it for the registration `dashboard`."""
    return {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "dashboard-tls", "namespace": NAMESPACE, "labels": LABEL},
        "stringData": data,
    }  # fmt: skip


@pytest.fixture(scope="module")
def types(clinic):
    """The examples of examples/credentials beside a FHIR server, in a namespace of their own."""
    [namespace] = [d for d in documents("examples/clinic") if d["kind"] == "Namespace"]
    clinic.create({**namespace, "metadata": {**namespace["metadata"], "name": NAMESPACE}})
    first = pair()
    clinic.create(kept(first))
    [server] = [d for d in documents("examples/clinic") if d["metadata"]["name"] == "fhir-server"]
    spec = json.loads(json.dumps(server["spec"]).replace("fhir.clinic", "types.clinic"))
    for document in ({**server, "spec": spec}, *documents("examples/credentials")):
        clinic.create({**document, "metadata": {**document["metadata"], "namespace": NAMESPACE}})
    clinic.wait_ready("fhir-server", "archive", "dashboard", "reports", namespace=NAMESPACE)
    clinic.first = first
    yield clinic
    clinic.cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")


def secret(clinic, name):
    body = clinic.get("secret", name, NAMESPACE)
    return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}


def signed_in(clinic, data, proof):
    """MSAL's answer for the client of a Secret, with this proof of who it is."""
    with closing(clinic.trust.session()) as session:
        application = msal.ConfidentialClientApplication(
            data["AZURE_CLIENT_ID"], client_credential=proof, instance_discovery=False,
            authority=f"{data['AZURE_AUTHORITY_HOST']}/{data['AZURE_TENANT_ID']}",
            http_client=session,
        )  # fmt: skip
        # A user's client asks for named scopes; by itself it can only ask for the API as a whole.
        api = data["FHIR_SCOPE"].split()[0].rpartition("/")[0]
        return application.acquire_token_for_client(scopes=[f"{api}/.default"])


def test_a_certificate_signs_in_from_the_secrets_keys(types):
    data = secret(types, "archive")
    parts = {
        "private_key": data["tls.key"],
        "thumbprint": data["AZURE_CLIENT_CERTIFICATE_THUMBPRINT"],
    }
    assert "access_token" in signed_in(types, data, parts)


def test_one_file_holds_key_and_certificate_as_clients_read_it(types, tmp_path):
    combined = tmp_path / "tls-combined.pem"
    combined.write_text(secret(types, "archive")["tls-combined.pem"])
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(combined)


def test_a_pod_of_the_named_service_account_signs_in_without_a_secret(types):
    data = secret(types, "reports")
    assert not {"AZURE_CLIENT_SECRET", "tls.key"} & data.keys()
    token = types.cluster.kubectl(
        "create", "token", "reports", "-n", NAMESPACE, "--audience=api://AzureADTokenExchange"
    ).stdout.strip()
    assert "access_token" in signed_in(types, data, {"client_assertion": lambda: token})


def test_a_kept_certificate_signs_in_and_the_secret_tells_its_thumbprint(types):
    data = secret(types, "dashboard")
    assert "tls.key" not in data
    proof = {
        "private_key": types.first["tls.key"],
        "thumbprint": data["AZURE_CLIENT_CERTIFICATE_THUMBPRINT"],
    }
    assert "access_token" in signed_in(types, data, proof)


def test_a_renewed_one_is_registered_at_once_because_of_its_label(types):
    before = secret(types, "dashboard")["AZURE_CLIENT_CERTIFICATE_THUMBPRINT"]
    types.create(kept(pair()))

    def changed():
        return secret(types, "dashboard")["AZURE_CLIENT_CERTIFICATE_THUMBPRINT"] != before

    types.wait(changed, "the new thumbprint, long before the resync")


def test_a_switch_takes_the_old_keys_out_of_the_secret(types):
    spec = {"credential": {"clientSecret": {}, "certificate": None}}
    types.cluster.kubectl(
        "patch", "fhirapp", "archive", "-n", NAMESPACE, "--type=merge", "-p",
        json.dumps({"spec": spec}),
    )  # fmt: skip

    def switched():
        return "AZURE_CLIENT_SECRET" in secret(types, "archive")

    types.wait(switched, "the client secret")
    data = secret(types, "archive")
    assert not {"tls.key", "tls.crt", "tls-combined.pem"} & data.keys()
    assert "access_token" in signed_in(types, data, data["AZURE_CLIENT_SECRET"])
