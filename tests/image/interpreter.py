"""A Python that another user can start: the one that runs the tests may be in a private home.

Not here: what is run with it.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

USER = 65532
"""The image's user; has no entry in /etc/passwd and no home, there as here."""


@dataclass(frozen=True)
class Interpreter:
    path: Path
    environment: dict[str, str]


def as_user():
    """What makes a process one of USER's; without root it can only be one of our own."""
    if os.getuid() != 0:
        return {}
    return {"user": USER, "group": USER, "extra_groups": []}


def reachable(folder):
    """A Python with pip that USER can start; copied into `folder` if need be."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = Path(sys.base_prefix, "bin", version)
    return Interpreter(found, {}) if _starts(found) else _copied(folder, version)


def _starts(python):
    try:
        code = "import pip, venv"
        done = subprocess.run([python, "-c", code], env={}, cwd="/", check=False, **as_user())
    except PermissionError:
        return False
    return done.returncode == 0


def _copied(folder, version):
    prefix, library = Path(sys.base_prefix), sysconfig.get_config_var("LDLIBRARY")
    (folder / "bin").mkdir(parents=True)
    shutil.copy(prefix / "bin" / version, folder / "bin" / version)
    (folder / "bin/python").symlink_to(version)
    shutil.copytree(prefix / "lib" / version, folder / "lib" / version, ignore=_unneeded)
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return Interpreter(folder / "bin/python", {})
    for shared in (prefix / "lib").glob(f"{library}*"):
        shutil.copy(shared, folder / "lib" / shared.name)
    return Interpreter(folder / "bin/python", {"LD_LIBRARY_PATH": str(folder / "lib")})


def _unneeded(folder, names):
    if Path(folder).name == "site-packages":
        return [name for name in names if not name.startswith("pip")]
    return [name for name in names if name in {"__pycache__", "test", "idlelib", "lib2to3"}]
