import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dev.cluster.errors import ControlPlaneError
from dev.cluster.supervisor_client import SupervisorClient

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client():
    supervisor = SupervisorClient(None)
    yield supervisor
    supervisor.close()


def shell(client: SupervisorClient, name: str, script: str, grace: float = 1.0) -> None:
    log = client.folder / f"{name}.log"
    client.start(name, ["/bin/sh", "-c", script], log=log, grace=grace)


def test_its_folder_is_new_private_and_gone_after_close(client):
    assert client.folder.stat().st_mode & 0o777 == 0o700
    (client.folder / "deep" / "er").mkdir(parents=True)
    client.close()
    assert not client.folder.exists()


def test_a_given_empty_folder_is_emptied_again_but_stays(tmp_path):
    supervisor = SupervisorClient(tmp_path)
    (tmp_path / "file").touch()
    supervisor.close()
    assert list(tmp_path.iterdir()) == []


def test_a_given_absent_folder_is_absent_again(tmp_path):
    supervisor = SupervisorClient(tmp_path / "new")
    assert (tmp_path / "new").is_dir()
    supervisor.close()
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "precious").touch()
    with pytest.raises(ControlPlaneError, match="is not empty"):
        SupervisorClient(tmp_path)
    assert (tmp_path / "precious").exists()


def test_a_program_that_cannot_be_started_is_an_error(client):
    with pytest.raises(ControlPlaneError, match="No such file"):
        client.start("ghost", ["/no/such/program"], log=client.folder / "log", grace=1)


def test_programs_that_ended_are_reported_with_their_exit_code(client, wait_until):
    shell(client, "good", "exit 0")
    shell(client, "bad", "exit 3")
    shell(client, "ugly", "exec sleep 60")
    wait_until(lambda: client.exits() == {"good": 0, "bad": 3})


def test_programs_see_nothing_of_the_callers_environment(client, wait_until):
    shell(client, "env", "env; echo end")
    wait_until(lambda: "end" in (client.folder / "env.log").read_text())
    names = {line.split("=")[0] for line in (client.folder / "env.log").read_text().split()}
    assert names <= {"PATH", "HOME", "TMPDIR", "PWD", "SHLVL", "_", "OLDPWD", "end"}


def test_close_ends_programs_in_reverse_order_and_kills_the_deaf(tmp_path, wait_until):
    record = tmp_path / "record"
    supervisor = SupervisorClient(None)
    for name in ("first", "second"):
        trap = f"trap 'echo {name} >> {record}; exit' TERM; echo up; while :; do sleep 0.05; done"
        shell(supervisor, name, trap)
    shell(supervisor, "deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done", grace=0.2)
    logs = [supervisor.folder / f"{name}.log" for name in ("first", "second", "deaf")]
    wait_until(lambda: all("up" in log.read_text() for log in logs))
    supervisor.close()
    assert record.read_text().split() == ["second", "first"]


def test_restart_gives_the_program_a_new_process(client, wait_until, family_of):
    shell(client, "one", "exec sleep 60")
    before = family_of(client.pid)
    client.restart("one")
    after = family_of(client.pid)
    assert client.exits() == {}
    assert before & after == {client.pid}
    assert len(after) == 2


def test_after_the_supervisor_was_killed_a_request_says_so_and_close_cleans_up(
    client, wait_until, family_of, living
):
    shell(client, "one", "exec sleep 60")
    pids = family_of(client.pid)
    os.kill(client.pid, signal.SIGKILL)
    if sys.platform == "linux":  # elsewhere the kernel does not end orphans
        wait_until(lambda: not living(pids))
    with pytest.raises(ControlPlaneError, match="has ended"):
        client.exits()
    client.close()
    assert not client.folder.exists()


def test_a_fork_that_inherits_the_pipe_does_not_keep_it_alive(wait_until, living):
    program = textwrap.dedent("""
        import os, time
        from dev.cluster.supervisor_client import SupervisorClient
        client = SupervisorClient(None)
        fork = os.fork()
        if fork == 0:
            time.sleep(60)
        print(client.pid, fork, client.folder, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid, fork, folder = parent.stdout.readline().split()
        parent.kill()
        wait_until(lambda: not living([int(pid)]) and not Path(folder).exists())
        assert living([int(fork)])
        os.kill(int(fork), signal.SIGKILL)
