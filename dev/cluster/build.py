"""Builds the control plane's programs from their Go modules, once, into the user's cache.

The source is `dev/controlplane/`: one binary that acts as each program by the name it is called
by. Go's own module and build caches are used as they are. Not here: who asks for a build
(`binaries.py`), where Go comes from (`toolchain.py`).
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dev.cluster.cache import (
    cache_folder,
    exclusive,
    fingerprint,
    is_program,
    system_and_architecture,
)
from dev.cluster.errors import BuildError
from dev.cluster.processes import run_to_end
from dev.cluster.toolchain import Toolchain, find_toolchain

SOURCE = Path(__file__).parent.parent / "controlplane"
BINARY = "controlplane"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
HEARTBEAT_SECONDS = 10.0

_KUBERNETES = re.compile(r"^\s*k8s\.io/kubernetes v((\d+)\.(\d+)\.\d+)$", re.MULTILINE)
_NOT_FROM_THE_CALLER = {"GOOS", "GOARCH", "GOEXPERIMENT"}


def kubernetes_version() -> str:
    """The pinned Kubernetes version without its "v", such as "1.37.2"."""
    return _pinned()[1]


def built_folder(environment: Mapping[str, str]) -> Path:
    """Where a build for this machine and these pins belongs, whether it is there or not."""
    system, architecture = system_and_architecture()
    sources = fingerprint([SOURCE / name for name in ("main.go", "go.mod", "go.sum")])
    name = f"v{kubernetes_version()}-{sources}-{system}-{architecture}"
    return cache_folder(environment) / "control-plane" / name


def build(
    environment: Mapping[str, str],
    *,
    log: Callable[[str], None],
    stop: threading.Event,
    force: bool = False,
) -> Path:
    """Build the programs unless they are there, and give their folder.

    One build runs at a time on this cache: a second caller waits for the first and takes its
    result. The folder's programs appear in one step, at the end. With `force` they are built and
    replaced even if they are there; running ones are not disturbed. Raises BuildError,
    BinariesNotFoundError (no Go toolchain) or StoppedError (`stop` was set).
    """
    folder = built_folder(environment)
    with exclusive(folder.parent / "build.lock", log=log, stop=stop):
        if force or not is_complete(folder):
            toolchain = find_toolchain(environment, log=log, stop=stop)
            _build_into(folder, toolchain, Reporter(log), environment, stop=stop)
    return folder


def is_complete(folder: Path) -> bool:
    """Whether `folder` holds a whole build."""
    return all(is_program(folder / program) for program in PROGRAMS)


class Reporter:
    """Says how a build goes: at its steps, and every HEARTBEAT_SECONDS in between.

    `monotonic` is the clock, in seconds.
    """

    def __init__(
        self, log: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._monotonic = monotonic
        self._started = self._spoke = monotonic()

    def step(self, text: str) -> None:
        """Say `text` now."""
        self._spoke = self._monotonic()
        self._log(f"[{self._spoke - self._started:4.0f} s] {text}")

    def heartbeat(self, text: str) -> None:
        """Say `text` if nothing was said for HEARTBEAT_SECONDS."""
        if self._monotonic() - self._spoke >= HEARTBEAT_SECONDS:
            self.step(text)


def _build_into(
    folder: Path,
    toolchain: Toolchain,
    reporter: Reporter,
    environment: Mapping[str, str],
    *,
    stop: threading.Event,
) -> None:
    version = kubernetes_version()
    reporter.step(
        f"building the Kubernetes {version} control plane with the Go of {toolchain.origin}:"
        " once, in six to nine minutes on two cores"
    )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        go = _Go(toolchain.go, reporter, {**environment, "GOTMPDIR": str(partial)}, stop)
        go.fetch_modules()
        go.compile(partial / BINARY)
        _publish(partial / BINARY, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    reporter.step(f"built: {folder}")


class _Go:
    """The two Go commands of a build, with their progress."""

    def __init__(
        self, go: Path, reporter: Reporter, environment: Mapping[str, str], stop: threading.Event
    ) -> None:
        self._go = go
        self._reporter = reporter
        self._environment = go_environment(environment)
        self._stop = stop
        self._packages = 0

    def fetch_modules(self) -> None:
        self._reporter.step("fetching the Go modules that are not there yet (about 600 MB in all)")
        output = self._run(["list", "-deps", "."], "{} modules fetched")
        self._packages = len(output.splitlines())

    def compile(self, target: Path) -> None:
        self._reporter.step(f"compiling up to {self._packages} packages")
        options = ["-v", "-trimpath", "-buildvcs=false", f"-ldflags={linker_flags()}"]
        self._run(
            ["build", *options, "-o", str(target), "."],
            f"{{}} of up to {self._packages} packages compiled",
        )

    def _run(self, arguments: list[str], progress: str) -> str:
        lines: list[str] = []
        code, output = run_to_end(
            [str(self._go), *arguments],
            stop=self._stop,
            on_line=lines.append,
            on_poll=lambda: self._reporter.heartbeat(progress.format(len(lines))),
            env=self._environment,
            cwd=SOURCE,
        )
        if code != 0:
            tail = "\n".join(lines[-15:])
            raise BuildError(f"`go {arguments[0]}` failed with exit code {code}:\n{tail}")
        return output


def go_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment (proxies, module cache), with what decides the result fixed."""
    kept = {name: value for name, value in environment.items() if name not in _NOT_FROM_THE_CALLER}
    system, architecture = system_and_architecture()
    return kept | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOOS": system,
        "GOARCH": architecture,
    }


def linker_flags() -> str:
    """What strips the binary and gives it its version.

    Without a version the API server calls itself `v0.0.0-master+$Format:…$`, which clients refuse
    to parse.
    """
    pinned = _pinned()
    values = {"gitVersion": f"v{pinned[1]}", "gitMajor": pinned[2], "gitMinor": pinned[3]}
    values |= {"gitCommit": "unknown", "gitTreeState": "archive"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = [f"-X {package}.{k}={v}" for package in packages for k, v in values.items()]
    return " ".join(["-s", "-w", *settings])


def _pinned() -> re.Match[str]:
    found = _KUBERNETES.search((SOURCE / "go.mod").read_text())
    if found is None:
        raise BuildError(f"{SOURCE / 'go.mod'} does not require one k8s.io/kubernetes version")
    return found


def _publish(binary: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        link = folder / program
        if not link.is_symlink():
            link.symlink_to(BINARY)
    os.replace(binary, folder / BINARY)  # noqa: PTH105 - the one step that makes the folder valid
