"""The examples of servers elsewhere, in another namespace or in Azure: applied, signed in with."""

import jwt
import pytest

from entra_emulator.seeds import ALICE
from tests.e2e.access import Access, ask
from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.control_plane
FOLDER = ROOT / "examples" / "servers"


@pytest.fixture
def example(clinic, request):
    file, *namespaces = request.param
    clinic.cluster.kubectl("apply", "-f", str(FOLDER / file))
    found = [Access(clinic, namespace) for namespace in namespaces]
    for access in found:
        access.wait_ready()
    yield found
    for namespace in reversed(namespaces):  # Clients first: a server may wait for them.
        clinic.cluster.kubectl("delete", "fhirapp", "--all", "-n", namespace, "--timeout=120s")
        clinic.cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_every_file_of_the_folder_is_tried():
    assert {path.name for path in FOLDER.glob("*.yaml")} == {
        "across-namespaces.yaml", "managed-service.yaml"
    }  # fmt: skip


@pytest.mark.parametrize(
    "example", [("across-namespaces.yaml", "hospital", "research")], indirect=True
)
def test_a_client_of_another_namespace_gets_in(example):
    hospital, research = example
    research.consent("cohorts")
    token = research.token("cohorts")
    with hospital.serving(hospital.secret("fhir-server")) as server:
        assert ask(server, token, "GET", "Patient") == 200
        assert ask(server, token, "POST", "Patient") == 403
    hospital.clinic.wait(
        lambda: hospital.registration("fhir-server")["status"].get("clients") == 1, "it counts 1"
    )


@pytest.mark.parametrize("example", [("managed-service.yaml", "azure-fhir")], indirect=True)
def test_on_a_managed_service_the_role_in_azure_decides(example):
    (access,) = example
    access.consent("viewer")
    tokens = {"report": access.token("report"), "viewer": access.token("viewer", ALICE)}
    principal = access.secret("report")["AZURE_PRINCIPAL_ID"]
    assert jwt.decode(tokens["report"], options={"verify_signature": False})["oid"] == principal
    secret = access.secret("fhir-service")
    with access.serving(secret, azure_roles={}) as server:
        assert {ask(server, token, "GET", "Patient") for token in tokens.values()} == {403}
    given = {principal: "FHIR Data Reader", ALICE.id: "FHIR Data Contributor"}
    with access.serving(secret, azure_roles=given) as server:
        assert ask(server, tokens["report"], "GET", "Patient") == 200
        assert ask(server, tokens["report"], "POST", "Patient") == 403
        assert ask(server, tokens["viewer"], "POST", "Patient") == 201
