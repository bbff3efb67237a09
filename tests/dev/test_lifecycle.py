import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from dev.cluster.binaries import locate
from dev.cluster.control_plane import control_plane as asynchronous
from dev.cluster.control_plane import running_control_plane, start
from dev.cluster.errors import ControlPlaneError, StoppedError
from dev.cluster.ports import Ports, reserved_ports

pytestmark = pytest.mark.control_plane

ROOT = Path(__file__).parents[2]
FOUR_PROCESSES = 4


def test_an_error_in_the_block_leaves_no_process_and_no_file(family_of, living, tmp_path):
    pids = set()

    def work_that_fails() -> None:
        with running_control_plane(tmp_path / "cluster") as cluster:
            pids.update(family_of(cluster.supervisor_pid))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work_that_fails()
    assert len(pids) == FOUR_PROCESSES
    assert living(pids) == set()
    assert list(tmp_path.iterdir()) == []


async def test_two_start_at_once_and_do_not_meet(family_of, living):
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        starts = [stack.enter_async_context(asynchronous()) for _ in range(2)]
        clusters = await asyncio.gather(*starts)
        pids = set.union(*(family_of(cluster.supervisor_pid) for cluster in clusters))
        uids = {
            cluster.kubectl("get", "namespace", "kube-system", "-o=jsonpath={.metadata.uid}").stdout
            for cluster in clusters
        }
        assert len(pids) == 2 * FOUR_PROCESSES
        assert len(uids) == 2
    assert living(pids) == set()
    assert not any(cluster.folder.exists() for cluster in clusters)


async def test_a_cancelled_start_leaves_nothing(tmp_path, wait_until):
    folder = tmp_path / "cluster"
    async with asyncio.timeout(60):
        task = asyncio.create_task(asynchronous(folder).__aenter__())
        await asyncio.to_thread(wait_until, (folder / "kube-apiserver.log").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list(tmp_path.iterdir()) == []


def test_a_killed_parent_leaves_no_process_and_no_file(wait_until, family_of, living):
    program = textwrap.dedent("""
        import time
        from dev.cluster.control_plane import running_control_plane
        with running_control_plane() as cluster:
            print(cluster.supervisor_pid, cluster.folder, flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid, folder = parent.stdout.readline().split()
        pids = family_of(int(pid))
        assert len(pids) == FOUR_PROCESSES
        parent.kill()
    wait_until(lambda: not living(pids) and not Path(folder).exists())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal_and_then_leaves_nothing(number):
    with subprocess.Popen(
        [sys.executable, "-m", "dev.cluster"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as command:
        export = command.stdout.readline()
        kubeconfig = Path(export.removeprefix("export KUBECONFIG=").strip())
        assert kubeconfig.is_file()
        os.kill(command.pid, number)
        assert command.wait(10) == 0
    assert not kubeconfig.parent.exists()


def test_a_port_that_is_taken_meanwhile_means_another_try():
    attempts = []

    @contextmanager
    def first_one_taken():
        with reserved_ports() as free, socket.create_server(("127.0.0.1", 0)) as foreign:
            taken = Ports(foreign.getsockname()[1], free.etcd_peer, free.api_server)
            attempts.append(taken)
            yield taken if len(attempts) == 1 else free

    lines = []
    stop = threading.Event()
    binaries = locate(os.environ, log=print, stop=stop)
    cluster, resources = start(binaries, None, log=lines.append, stop=stop, reserve=first_one_taken)
    with resources:
        assert cluster.kubectl("get", "--raw=/readyz").stdout == "ok"
    assert len(attempts) == 2
    assert "was taken" in lines[0]
    assert "address already in use" in lines[0]


def test_a_stop_event_ends_the_start(tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError), running_control_plane(tmp_path / "cluster", stop=stop):
        pytest.fail("it started")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_refused(tmp_path):
    (tmp_path / "precious").touch()
    with (
        pytest.raises(ControlPlaneError, match="not empty"),
        running_control_plane(tmp_path),
    ):
        pytest.fail("it started")
    assert (tmp_path / "precious").exists()
