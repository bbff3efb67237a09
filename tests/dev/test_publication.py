import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dev.sandbox.errors import SandboxError
from dev.sandbox.publication import Publication, claimed

ROOT = Path(__file__).parents[2]


def test_a_folder_that_was_made_goes_with_its_files(tmp_path):
    folder = tmp_path / "deep" / "sandbox"
    with claimed(folder) as publication:
        publication.operator_pid.write_text("1\n")
        assert publication.operator_log.exists()
    assert not folder.exists()


def test_a_folder_that_was_there_stays_with_what_is_not_ours(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with claimed(tmp_path) as publication:
        publication.env.write_text("export A=b\n")
    assert [file.name for file in tmp_path.iterdir()] == ["notes"]


def test_a_second_sandbox_is_refused_and_does_no_harm(tmp_path):
    with claimed(tmp_path / "sandbox") as publication:
        publication.env.write_text("export A=b\n")
        with (
            pytest.raises(SandboxError, match="another sandbox is running"),
            claimed(tmp_path / "sandbox"),
        ):
            pytest.fail("it was claimed twice")
        assert publication.env.exists()


def test_what_a_killed_sandbox_left_is_taken_over(tmp_path):
    folder = tmp_path / "sandbox"
    program = textwrap.dedent(f"""
        import os, pathlib, signal
        from dev.sandbox.publication import claimed
        with claimed(pathlib.Path({str(folder)!r})) as publication:
            for file in publication.files:
                file.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert (folder / "ready").exists()
    with claimed(folder):
        assert [file.name for file in folder.iterdir()] == ["operator.log"]
    assert not folder.exists()


def test_ready_is_the_first_file_to_go():
    assert Publication(Path("/sandbox")).files[0] == Path("/sandbox/ready")
