import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dev.cluster.binaries import from_cache
from dev.cluster.build import (
    HEARTBEAT_SECONDS,
    SOURCE,
    Reporter,
    build,
    built_folder,
    go_environment,
    kubernetes_version,
    linker_flags,
)
from dev.cluster.errors import BuildError, StoppedError

# Acts as `go`: says what it was asked, and builds only once it is let to.
FAKE_GO = """#!/bin/sh
case "$1" in
env) echo go1.26.0 ;;
list) echo one; echo two ;;
build)
    echo "$CGO_ENABLED $GOFLAGS $GOTOOLCHAIN $*" >> "$RECORD"
    echo package/one >&2
    while [ ! -e "$RELEASE" ]; do sleep 0.02; done
    if [ -e "$BROKEN" ]; then echo "main.go:1: it is broken" >&2; exit 1; fi
    while [ "$1" != "-o" ]; do shift; done
    printf '#!/bin/sh\\n' > "$2"
    chmod 755 "$2"
    ;;
esac
"""


@pytest.fixture
def environment(tmp_path):
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    return {
        "PATH": f"{go.parent}{os.pathsep}{os.defpath}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "RECORD": str(tmp_path / "record"),
        "RELEASE": str(tmp_path / "release"),
        "BROKEN": str(tmp_path / "broken"),
    }


@pytest.fixture
def release(tmp_path):
    return tmp_path / "release"


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "record"
    path.touch()
    return path


@pytest.fixture
def stop():
    return threading.Event()


def entries(environment: dict[str, str]) -> list[str]:
    return sorted(path.name for path in built_folder(environment).parent.iterdir())


def test_a_build_is_found_in_the_cache_afterwards(environment, release, record, stop):
    release.touch()
    lines = []
    assert from_cache(environment) is None
    folder = build(environment, log=lines.append, stop=stop)
    assert from_cache(environment) is not None
    assert entries(environment) == ["build.lock", folder.name]
    assert "nine minutes" in lines[0]
    assert any("compiling up to 2 packages" in line for line in lines)
    assert record.read_text().startswith("0 -mod=readonly local build -v ")


def test_a_second_build_is_not_made_unless_forced(environment, release, record, stop):
    release.touch()
    for force, builds in ((False, 1), (False, 1), (True, 2)):
        build(environment, log=print, stop=stop, force=force)
        assert len(record.read_text().splitlines()) == builds


def test_of_two_at_once_one_builds_and_the_other_waits(
    environment, release, record, stop, wait_until
):
    lines = []
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(build, environment, log=print, stop=stop)
        wait_until(record.read_text)
        second = pool.submit(build, environment, log=lines.append, stop=stop)
        wait_until(lambda: bool(lines))
        release.touch()
        assert first.result(20) == second.result(20)
    assert lines == ["another run is building the control plane: waiting for it to finish"]
    assert len(record.read_text().splitlines()) == 1


def test_the_one_that_waits_can_be_stopped(environment, release, record, stop, wait_until):
    lines = []
    impatient = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(build, environment, log=print, stop=stop)
        wait_until(record.read_text)
        second = pool.submit(build, environment, log=lines.append, stop=impatient)
        wait_until(lambda: bool(lines))
        impatient.set()
        with pytest.raises(StoppedError):
            second.result(20)
        release.touch()
        first.result(20)


def test_a_stopped_build_leaves_nothing(environment, record, stop, wait_until):
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(build, environment, log=print, stop=stop)
        wait_until(record.read_text)
        stop.set()
        with pytest.raises(StoppedError):
            building.result(20)
    assert entries(environment) == ["build.lock"]


def test_a_failed_build_leaves_nothing_and_says_what_go_said(
    environment, release, tmp_path, record, stop
):
    release.touch()
    (tmp_path / "broken").touch()
    with pytest.raises(BuildError, match=r"(?s)exit code 1.*main\.go:1: it is broken"):
        build(environment, log=print, stop=stop)
    assert entries(environment) == ["build.lock"]


def test_what_a_killed_build_left_is_cleared_by_the_next(environment, release, record, stop):
    release.touch()
    folder = built_folder(environment)
    left = folder.with_name(f".{folder.name}.partial")
    left.mkdir(parents=True)
    (left / "controlplane").touch()
    assert from_cache(environment) is None
    build(environment, log=print, stop=stop)
    assert entries(environment) == ["build.lock", folder.name]


def test_a_cache_that_lost_a_link_is_repaired(environment, release, record, stop):
    release.touch()
    folder = build(environment, log=print, stop=stop)
    (folder / "kubectl").unlink()
    build(environment, log=print, stop=stop)
    assert from_cache(environment) is not None


def test_progress_is_told_at_steps_and_every_ten_seconds_between():
    now = 100.0
    lines = []
    reporter = Reporter(lines.append, monotonic=lambda: now)
    reporter.step("begin")
    now += HEARTBEAT_SECONDS - 1
    reporter.heartbeat("too early")
    now += 1
    reporter.heartbeat("7 packages")
    now += 1
    reporter.heartbeat("too early")
    assert lines == ["[   0 s] begin", "[  10 s] 7 packages"]


def test_the_callers_target_machine_does_not_decide_the_build():
    environment = go_environment({"GOOS": "plan9", "GOARCH": "mips", "GOPROXY": "direct"})
    assert environment["GOOS"] != "plan9"
    assert environment["GOARCH"] != "mips"
    assert environment["GOPROXY"] == "direct"


def test_the_binary_is_told_its_version():
    version = kubernetes_version()
    assert f"-X k8s.io/component-base/version.gitVersion=v{version}" in linker_flags()
    assert "-X k8s.io/component-base/version.gitMinor=" in linker_flags()


def test_all_of_kubernetes_is_pinned_to_one_release():
    lines = (SOURCE / "go.mod").read_text().splitlines()
    staging = {line.split()[-1] for line in lines if "=>" in line}
    assert staging == {f"v0.{kubernetes_version().partition('.')[2]}"}
