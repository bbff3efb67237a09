"""What can be said of the Dockerfile by reading it; who reviews images looks for these things."""

import re
from pathlib import Path

import pytest
import yaml

from fhir_app_operator import __version__
from tests.image.dockerfile import ROOT, ignore_patterns, ignored, instructions, stages

TEXT = (ROOT / "Dockerfile").read_text()
HEAD, (BUILD, FINAL) = stages(TEXT)
DEPLOYMENT = yaml.safe_load((ROOT / "deploy/base/deployment.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_no_registry_is_fixed_and_both_stages_have_the_same_python():
    assert [each.name for each in HEAD] == ["ARG"]
    assert re.fullmatch(r"BASE=python:3\.\d+-slim", HEAD[0].text)
    assert BUILD.base == FINAL.base == "${BASE}"


def test_nothing_is_fetched_but_locked_packages():
    for each in instructions(TEXT):
        assert each.name != "ADD"
        assert not re.search(r"https?://|apt-get|apk |curl|wget|git ", each.text), each.text
    installs = [each.text for each in BUILD.all("RUN") if " install " in each.text]
    assert len(installs) == 3
    for text in installs:
        assert "--require-hashes" in text or "--no-index" in text
        assert "--only-binary :all:" in text or "--no-index" in text


def test_the_last_stage_installs_nothing():
    (run,) = FINAL.all("RUN")
    assert "install " not in run.text.replace("uninstall ", "")
    (copied,) = FINAL.all("COPY")
    assert copied.text.startswith("--from=build ")


def test_it_runs_as_the_user_of_the_deployment_by_number():
    user = f"{POD['securityContext']['runAsUser']}:{POD['securityContext']['runAsGroup']}"
    assert FINAL.last("USER").text == user == "65532:65532"
    position = [each.name for each in FINAL.instructions].index("USER")
    assert not {"RUN", "COPY"} & {each.name for each in FINAL.instructions[position:]}


def test_it_starts_without_a_shell():
    assert FINAL.last("ENTRYPOINT").words == ["fhir-app-operator"]
    assert FINAL.last("ENTRYPOINT").text.startswith("[")
    assert FINAL.last("CMD").words == ["run"] == CONTAINER["args"]
    assert "command" not in CONTAINER


def test_no_secret_and_no_setting_is_in_its_environment():
    assert not FINAL.all("ARG")
    names = [word.partition("=")[0] for each in FINAL.all("ENV") for word in each.words]
    assert names == ["PATH", "HOME", "PYTHONDONTWRITEBYTECODE"]


def test_the_port_is_the_one_of_the_deployment():
    assert FINAL.last("EXPOSE").text == str(CONTAINER["ports"][0]["containerPort"])


def test_the_deployment_names_the_image_of_this_version():
    assert CONTAINER["image"] == f"fhir-app-operator:{__version__}"
    assert f"--tag {CONTAINER['image']} ." in TEXT


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("operator/fhir_app_operator/cli.py", False),
        ("operator/fhir_app_operator/__pycache__/cli.cpython-313.pyc", True),
        ("requirements/run.txt", False),
        ("LICENSE", False),
        (".git/config", True),
        (".venv/bin/python", True),
        ("tests/conftest.py", True),
        (".sandbox/kubeconfig", True),
    ],
)
def test_only_what_is_copied_is_sent_to_the_builder(path, out):
    assert ignored(Path(path), ignore_patterns()) is out
