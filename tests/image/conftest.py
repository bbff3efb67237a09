"""The file tree of the image, made by the Dockerfile's own commands, and processes in it.

Not here: a container engine; no test needs one.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.image.dockerfile import ROOT, carry_out, context, stages, variables
from tests.image.interpreter import as_user, reachable


class Image:
    """What is at /opt/fhir-app-operator in the image: owned by another user, not writable."""

    def __init__(self, prefix, interpreter, variables):
        self.prefix = prefix
        self.variables = variables
        self._interpreter = interpreter

    def environment(self, **more):
        return self._interpreter.environment | self.variables | more

    def start(self, *command, **environment):
        """A process of the image's user, with the image's environment and working directory."""
        return subprocess.Popen(
            [self.prefix / "bin" / command[0], *command[1:]],
            env=self.environment(**environment), cwd="/", text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **as_user(),
        )  # fmt: skip

    def run(self, *command, **environment):
        with self.start(*command, **environment) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.fixture(scope="session")
def shared_folder():
    """A folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="fhir-app-operator-image-"))
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def image(shared_folder):
    interpreter = reachable(shared_folder / "python")
    tools = shared_folder / "tools"
    tools.mkdir()
    # Not a link: a virtual environment would take the link's folder for the interpreter's.
    (tools / "python").write_text(f'#!/bin/sh\nexec "{interpreter.path}" "$@"\n')
    (tools / "python").chmod(0o755)
    sources, workdir = shared_folder / "context", shared_folder / "build"
    workdir.mkdir()
    context(sources)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    _, (build, final) = stages((ROOT / "Dockerfile").read_text())
    prefix = shared_folder / "fhir-app-operator"
    carry_out(
        build, sources=sources, workdir=workdir, prefix=prefix,
        environment=kept | interpreter.environment | {"PATH": f"{tools}:{os.defpath}"},
    )  # fmt: skip
    subprocess.run(["chmod", "-R", "a-w", prefix], check=True)
    return Image(prefix, interpreter, variables(final, prefix))
