"""`python -m dev.generated`: writes the files that are made from the code, or checks them.

Not here: what is in them, which is `fhir-app-operator crds`'s and `dev.reference`'s business.
"""

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from dev.reference.page import api_reference
from dev.sandbox.programs import console_script

ROOT = Path(__file__).parents[1]
_REFERENCE = "docs/api.md"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a file is out of date.")
def main(*, check: bool) -> None:
    """Generate crds/ and docs/api.md from the models in operator/fhir_app_operator/api."""
    if not check:
        _write(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        stale = outdated(Path(folder), ROOT)
    if stale:
        click.echo(f"out of date: {', '.join(stale)}; run `make generate`", err=True)
        sys.exit(1)


def outdated(fresh: Path, kept: Path) -> list[str]:
    """The generated files, as paths below two trees, that only one of them has or that differ."""
    crds = [f"crds/{name}" for name in differences(fresh / "crds", kept / "crds")]
    _, different, unreadable = filecmp.cmpfiles(fresh, kept, [_REFERENCE], shallow=False)
    return crds + different + unreadable


def differences(fresh: Path, kept: Path) -> list[str]:
    """The names of files that only one of two folders has, or that differ."""
    names = sorted({file.name for folder in (fresh, kept) for file in folder.glob("*")})
    _, different, unreadable = filecmp.cmpfiles(fresh, kept, names, shallow=False)
    return sorted(different + unreadable)


def _write(root: Path) -> None:
    crds = root / "crds"
    subprocess.run([console_script("fhir-app-operator"), "crds", "--dir", crds], check=True)
    reference = root / _REFERENCE
    reference.parent.mkdir(exist_ok=True)
    reference.write_text(api_reference())


if __name__ == "__main__":
    main(prog_name="python -m dev.generated")
