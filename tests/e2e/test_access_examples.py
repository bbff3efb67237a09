"""The worked examples of docs/access.md: applied as they are, consented to, signed in with."""

from dataclasses import dataclass

import pytest
import yaml

from entra_emulator.seeds import BOB
from tests.e2e.access import Access, ask
from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.control_plane
FOLDER = ROOT / "examples" / "access"


@dataclass(frozen=True)
class Example:
    """One file: its client, what the server answers, and the role that the user needs there."""

    file: str
    client: str
    answers: dict[str, int]
    role: str | None = None

    @property
    def namespace(self):
        documents = yaml.safe_load_all((FOLDER / self.file).read_text())
        return next(d["metadata"]["name"] for d in documents if d["kind"] == "Namespace")


EXAMPLES = (
    Example(
        "backend-service.yaml", "import",
        {"GET Patient": 200, "POST Observation": 201, "DELETE Observation/1": 200},
    ),
    Example(
        "single-page-app.yaml", "growth-chart", role="smartUser",
        answers={"GET Observation": 200, "POST Observation": 403,
                 "GET Patient/1": 200, "GET Patient": 403},
    ),
    Example(
        "web-app.yaml", "ward-round", role="smartUser",
        answers={"GET Patient": 200, "POST Observation": 201, "POST Patient": 403},
    ),
)  # fmt: skip


def test_every_file_of_the_folder_is_tried():
    assert {each.file for each in EXAMPLES} == {path.name for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.file)
def test_an_example_gets_in_as_it_says(clinic, example):
    access = Access(clinic, example.namespace)
    clinic.cluster.kubectl("apply", "-f", str(FOLDER / example.file))
    access.wait_ready()
    access.consent(example.client)
    person = BOB if example.role else None
    if person is not None:
        access.assign("fhir-server", person, example.role)
    token = access.token(example.client, person)
    with access.serving(access.secret("fhir-server")) as server:
        found = {each: ask(server, token, *each.split()) for each in example.answers}
    assert found == example.answers
    clinic.cluster.kubectl("delete", "-f", str(FOLDER / example.file), "--wait=false")
