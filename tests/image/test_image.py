"""The image's file tree works as the Pod runs it: another user's, and all of it read-only."""

import json
import os
import signal
import socket
import stat
import subprocess
import time

import httpx
import pytest
import yaml

from dev.cluster.control_plane import running_control_plane
from dev.sandbox.environment import install
from dev.sandbox.tokens import NAMESPACE, SERVICE_ACCOUNT
from fhir_app_operator import __version__
from tests.image.dockerfile import ROOT
from tests.image.interpreter import USER

SECONDS = 30


def deployment_variables():
    """The variables of the Deployment; the one from the Pod's metadata as the Pod would have it."""
    document = yaml.safe_load((ROOT / "deploy/base/deployment.yaml").read_text())
    (container,) = document["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", NAMESPACE) for each in container["env"]}


def files(image):
    return [path for path in image.prefix.rglob("*") if not path.is_symlink()]


def test_it_says_its_version(image):
    done = image.run("fhir-app-operator", "version")
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")
    assert done.stderr == ""


def test_everybody_may_read_it_and_nobody_may_write_it(image):
    for path in files(image):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH, path
        assert not mode & 0o222, path
        if path.is_dir():
            assert mode & stat.S_IXOTH, path


def test_the_process_is_not_root_and_cannot_write_where_it_lives(image):
    code = """
import json, os, sys
writable = [p for p in (sys.prefix, os.environ["HOME"], os.getcwd()) if os.access(p, os.W_OK)]
print(json.dumps({"user": os.getuid(), "writable": writable}))
"""
    said = json.loads(image.run("python", "-c", code).stdout)
    user = USER if os.getuid() == 0 else os.getuid()
    assert said == {"user": user, "writable": []}
    assert user != 0


def test_it_holds_the_locked_packages_and_nothing_else(image):
    code = """
import importlib.metadata as m, json
print(json.dumps({d.name.lower().replace("_", "-"): d.version for d in m.distributions()}))
"""
    installed = json.loads(image.run("python", "-c", code).stdout)
    assert installed.pop("fhir-app-operator") == __version__
    locked = [
        line.split(" ")[0].split("==")
        for line in (ROOT / "requirements/run.txt").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    ]
    assert installed == {name: version for name, version in locked if name in installed}
    assert len(installed) >= len(locked) - 3  # those for other systems
    assert not {"pip", "setuptools", "uv-build", "starlette", "pytest"} & set(installed)


def test_every_module_is_compiled_for_good(image):
    packages = [path for path in files(image) if path.name == "site-packages"]
    sources = list(packages[0].glob("fhir_app_operator/**/*.py"))
    assert len(sources) > 30
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == 0b01, compiled  # hash-based, not checked at run time (PEP 552)


def test_a_wrong_setting_ends_it_with_code_2(image):
    done = image.run("fhir-app-operator", "run", FHIR_APP_OPERATOR_WORKERS="none")
    assert done.returncode == 2
    assert "FHIR_APP_OPERATOR_WORKERS" in done.stderr


@pytest.fixture
def cluster():
    with running_control_plane() as found:
        install(found, watch_secrets=False)
        yield found


@pytest.fixture
def service_account(cluster, shared_folder):
    """A kubeconfig of the operator's ServiceAccount that the image's user can read."""
    token = shared_folder / "token"
    token.write_text(cluster.service_account_token(NAMESPACE, SERVICE_ACCOUNT))
    kubeconfig = cluster.kubeconfig_for_token(token, shared_folder / "kubeconfig")
    for file in (token, kubeconfig):
        file.chmod(0o644)
    return kubeconfig


def free_address():
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{candidate.getsockname()[1]}"


def is_ready(address):
    try:
        return httpx.get(f"http://{address}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.control_plane
def test_it_gets_ready_with_the_deployments_variables_and_ends_on_sigterm(image, service_account):
    address = free_address()
    variables = deployment_variables() | {"FHIR_APP_OPERATOR_LISTEN_ADDRESS": address}
    with image.start(
        "fhir-app-operator", "run", KUBECONFIG=str(service_account), **variables
    ) as process:
        deadline = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < deadline and not is_ready(address):
            continue
        ready = is_ready(address)
        process.send_signal(signal.SIGTERM)
        try:
            _, log = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert ready, log
    assert process.returncode == 0, log
    assert '"stopped"' in log
