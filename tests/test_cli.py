"""The command line: exit codes 0 good, 1 something is missing, 2 usage or setting."""

import subprocess
import sys
from pathlib import Path

import pytest

import fhir_app_operator
from dev.cluster.control_plane import running_control_plane

CONSOLE = Path(sys.executable).parent / "fhir-app-operator"


def run(*arguments, **environment):
    return subprocess.run(
        [CONSOLE, *arguments], capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin"} | environment, check=False,
    )  # fmt: skip


def test_version_is_the_installed_one():
    assert run("version").stdout.strip() == fhir_app_operator.__version__


def test_help_names_the_commands():
    text = run("--help").stdout
    assert all(
        command in text for command in ("run", "plan", "check", "explain", "crds", "version")
    )


def test_help_cuts_no_summary_off():
    assert "..." not in run("--help").stdout.partition("Commands:")[2]


def test_an_unknown_command_is_a_usage_error():
    assert run("fly").returncode == 2


@pytest.mark.parametrize("arguments", [("/portal",), ("a/b/c",), ("-n", "x", "clinic/portal")])
def test_a_name_that_plan_cannot_take_is_a_usage_error(arguments):
    answer = run("plan", *arguments)
    assert answer.returncode == 2
    assert "NAMESPACE/NAME" in answer.stderr


def test_plan_takes_a_registration_with_its_namespace(tmp_path):
    answer = run("plan", "clinic/portal", KUBECONFIG=str(tmp_path / "none"))
    assert answer.returncode == 1
    assert "no usable configuration" in answer.stderr


@pytest.mark.parametrize("name", ["portal", "/portal", "clinic/", "clinic/portal/x"])
def test_a_registration_is_named_with_its_namespace(name):
    answer = run("explain", name)
    assert answer.returncode == 2
    assert "NAMESPACE/NAME" in answer.stderr


def test_a_wrong_setting_is_named_and_ends_the_process():
    answer = run("run", FHIR_APP_OPERATOR_WORKERS="none")
    assert answer.returncode == 2
    assert "FHIR_APP_OPERATOR_WORKERS" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_no_cluster_is_something_missing(tmp_path):
    answer = run("run", KUBECONFIG=str(tmp_path / "none"))
    assert answer.returncode == 1
    assert "no usable configuration" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.control_plane
def test_missing_crds_are_something_missing():
    with running_control_plane() as cluster:
        answer = run("run", KUBECONFIG=str(cluster.kubeconfig))
    assert answer.returncode == 1
    assert "kubectl apply -k crds/" in answer.stderr


def test_the_operator_folder_does_not_shadow_the_standard_library():
    assert not (Path(__file__).parents[1] / "operator" / "__init__.py").exists()


@pytest.mark.control_plane
def test_an_address_in_use_is_named(control_plane):
    port = control_plane.url.rpartition(":")[2]
    root = Path(__file__).parents[1]
    control_plane.kubectl("apply", "--server-side", "-k", str(root / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    answer = run(
        "run", KUBECONFIG=str(control_plane.kubeconfig),
        FHIR_APP_OPERATOR_LISTEN_ADDRESS=f"127.0.0.1:{port}",
    )  # fmt: skip
    assert answer.returncode == 1
    assert "LISTEN_ADDRESS" in answer.stderr
