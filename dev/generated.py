"""`python -m dev.generated`: writes the files that are made from the code, or checks them.

Not here: what is in them, which is `fhir-app-operator crds`'s business.
"""

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from dev.sandbox.programs import console_script

ROOT = Path(__file__).parents[1]


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a file is out of date.")
def main(*, check: bool) -> None:
    """Generate crds/ from the models in operator/fhir_app_operator/api."""
    target = ROOT / "crds"
    if not check:
        _write(target)
        return
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        stale = differences(Path(folder), target)
    if stale:
        click.echo(f"out of date in crds/: {', '.join(stale)}; run `make generate`", err=True)
        sys.exit(1)


def differences(fresh: Path, kept: Path) -> list[str]:
    """The names of files that only one of two folders has, or that differ."""
    names = sorted({file.name for folder in (fresh, kept) for file in folder.glob("*")})
    _, different, unreadable = filecmp.cmpfiles(fresh, kept, names, shallow=False)
    return sorted(different + unreadable)


def _write(folder: Path) -> None:
    subprocess.run([console_script("fhir-app-operator"), "crds", "--dir", folder], check=True)


if __name__ == "__main__":
    main(prog_name="python -m dev.generated")
