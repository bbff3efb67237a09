"""The sandbox's `sandbox` says what it cannot do: for a wrong name, kind or role."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dev.demo.administrator import Administrator
from dev.demo.errors import DemoError

ROOT = Path(__file__).parents[2]
STATUS = {"appId": "a", "secretName": "s"}
SERVER = {"spec": {"type": "Resource"}, "status": STATUS}
CLIENT = {"spec": {"type": "Service"}, "status": STATUS}


@pytest.fixture
def sandbox(tmp_path):
    """The command, with a kubectl that finds one object, whatever it is asked for."""

    def run(*arguments, found, **environment):
        (tmp_path / "found.json").write_text(json.dumps(found))
        kubectl = tmp_path / "kubectl"
        kubectl.write_text(f"#!/bin/sh\ncat {tmp_path / 'found.json'}\n")
        kubectl.chmod(0o700)
        path = f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"
        return subprocess.run(
            [sys.executable, "-m", "dev.demo.play", *arguments], capture_output=True, text=True,
            timeout=60, cwd=ROOT, env={"PATH": path} | environment, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("command", [("consent",), ("sign-in",), ("assign", "role")])
def test_a_name_without_its_namespace_is_a_usage_error(sandbox, command):
    answer = sandbox(command[0], "nope", *command[1:], found=CLIENT)
    assert answer.returncode == 2
    assert "NAMESPACE/NAME" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "found", "said"),
    [
        (("consent", "clinic/fhir-server"), SERVER, "is a FHIR server"),
        (("sign-in", "clinic/fhir-server"), SERVER, "is a FHIR server"),
        (("assign", "clinic/ingest", "smartUser"), CLIENT, "name its FHIR server"),
        (("consent", "clinic/ingest"), {"spec": CLIENT["spec"]}, "no application yet"),
        (("sign-in", "clinic/ingest"), CLIENT | {"status": {"appId": "a"}}, "no Secret yet"),
    ],
)
def test_what_the_wrong_kind_cannot_do_is_said(sandbox, arguments, found, said):
    answer = sandbox(*arguments, found=found)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"sandbox: {arguments[1]}")
    assert said in answer.stderr


def test_a_variable_that_is_not_set_is_named(sandbox):
    answer = sandbox("consent", "clinic/ingest", found=CLIENT)
    assert answer.returncode == 1
    assert "ENTRA_URL is not set: source" in answer.stderr


def test_a_secret_without_a_client_secret_is_told_apart_from_a_variable(sandbox, tmp_path):
    found = CLIENT | {"data": {}}
    answer = sandbox("sign-in", "clinic/ingest", found=found, ENTRA_CA=str(tmp_path))
    assert answer.returncode == 1
    assert "its Secret has no AZURE_CLIENT_SECRET" in answer.stderr


def test_a_role_that_the_server_does_not_have_is_refused_and_the_others_named():
    api = {"id": "i", "displayName": "FHIR", "appRoles": [{"id": "r", "value": "smartUser"}]}
    asked = []

    def answer(request):
        asked.append(request.method)
        return httpx.Response(200, json=api)

    with httpx.Client(base_url="https://graph", transport=httpx.MockTransport(answer)) as graph:
        administrator = Administrator(graph)
        with pytest.raises(DemoError, match="has no role nosuch, but: smartUser"):
            administrator.assign("alice", "app", {"nosuch"})
        assert asked == ["GET"]
        administrator.assign("alice", "app", {"smartUser"})
    assert asked == ["GET", "GET", "POST"]
