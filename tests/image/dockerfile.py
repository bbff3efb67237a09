"""Reads the Dockerfile, and does what its build stage says in a folder of this machine.

Not here: what must be true of it (`test_dockerfile.py`) and of the result (`test_image.py`).
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PREFIX = "/opt/fhir-app-operator"


@dataclass(frozen=True)
class Instruction:
    name: str
    text: str

    @property
    def words(self):
        """Its operands, from the JSON form or the plain one, without flags."""
        if self.text.startswith("["):
            return json.loads(self.text)
        return [word for word in self.text.split() if not word.startswith("--")]


@dataclass(frozen=True)
class Stage:
    base: str
    name: str
    instructions: list[Instruction]

    def all(self, name):
        return [each for each in self.instructions if each.name == name]

    def last(self, name):
        return self.all(name)[-1]


def instructions(text):
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    for line in joined.splitlines():
        name, _, rest = line.strip().partition(" ")
        yield Instruction(name.upper(), rest.strip())


def stages(text):
    """What comes before the first stage, and the stages in their order."""
    head, found = [], []
    for each in instructions(text):
        if each.name == "FROM":
            base, *rest = each.words
            found.append(Stage(base, rest[1] if rest else "", []))
        else:
            (found[-1].instructions if found else head).append(each)
    return head, found


def ignore_patterns():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def ignored(path, patterns):
    """Whether .dockerignore keeps `path` out: the last pattern that fits decides."""
    out = False
    parts = [part for part in (*path.parents, path) if part != Path()]
    for pattern in patterns:
        plain = pattern.removeprefix("!").removeprefix("**/")
        if any(part.match(plain) for part in parts):
            out = not pattern.startswith("!")
    return out


def context(target):
    """Copy what a build would be sent, as .dockerignore says, to `target`."""
    patterns = ignore_patterns()

    def left_out(folder, names):
        below = Path(folder).relative_to(ROOT)
        return [name for name in names if ignored(below / name, patterns)]

    shutil.copytree(ROOT, target, ignore=left_out)


def carry_out(stage, *, sources, workdir, prefix, environment):
    """Do what `stage` says, with `workdir` and `prefix` in the places of its own."""
    for each in stage.instructions:
        match each.name:
            case "COPY":
                *names, target = each.words
                for name in names:
                    _copy(sources / name, workdir / target, name)
            case "RUN":
                command = each.text.replace(PREFIX, str(prefix))
                done = subprocess.run(
                    ["sh", "-euc", command], cwd=workdir, env=environment, check=False,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                )  # fmt: skip
                assert done.returncode == 0, f"RUN {each.text}\n{done.stdout}"
            case "WORKDIR":
                assert not any(workdir.iterdir())
            case other:
                raise NotImplementedError(other)


def variables(stage, prefix):
    """The environment that `stage` sets, with `prefix` in the place of its own."""
    pairs = [word.split("=", 1) for each in stage.all("ENV") for word in each.words]
    return {name: value.replace(PREFIX, str(prefix)) for name, value in pairs}


def _copy(source, target, name):
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target if target.suffix else target / name)
