"""Becomes another program, after it has said which process that is.

It is started as a file, with nothing but the standard library, by the supervisor of `dev.cluster`,
which can give a program neither an environment nor a pid file. Its one argument is a JSON file:
`command` (the program's absolute path and its arguments), `environment` (all of it), `pidFile`.
Not here: who writes that file (`programs.py`).
"""

import json
import os
import sys
from pathlib import Path


def main(specification: Path) -> None:
    """Write the pid file in one step, then become the program; does not return."""
    wanted = json.loads(specification.read_text())
    target = Path(wanted["pidFile"])
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(f"{os.getpid()}\n")
    partial.replace(target)
    os.execve(wanted["command"][0], wanted["command"], wanted["environment"])  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]))
