"""The command line: `run`, `crds`, `version`.

Exit codes: 0 good, 1 something is missing, 2 usage or a setting.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import click
import yaml
from typing_extensions import override

from fhir_app_operator import __version__

MISSING: Final = 1
USAGE: Final = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Keep Microsoft Entra app registrations for FHIR in the state declared in Git."""


@main.command()
def run() -> None:
    """Run the operator until SIGTERM; settings come from FHIR_APP_OPERATOR_* variables."""
    from fhir_app_operator import settings
    from fhir_app_operator.telemetry import logs

    try:
        loaded = settings.load()
    except settings.WrongSettings as error:
        _fail(str(error), USAGE)
    logs.configure(loaded.log_level, loaded.log_format)
    from fhir_app_operator.controller import process

    try:
        asyncio.run(process.run(loaded))
    except process.Missing as error:
        _fail(str(error), MISSING)
    except KeyboardInterrupt:
        sys.exit(0)


@main.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write one file per kind and a kustomization.yaml there, instead of standard output.",
)
def crds(folder: Path | None) -> None:
    """Print the CustomResourceDefinitions of this version."""
    from fhir_app_operator.api.v1alpha1.crd import custom_resource_definitions

    rendered = {f"{crd['metadata']['name']}.yaml": _yaml(crd)
                for crd in custom_resource_definitions()}  # fmt: skip
    if folder is None:
        click.echo("---\n".join(rendered.values()), nl=False)
        return
    folder.mkdir(parents=True, exist_ok=True)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(rendered),
    }
    for name, text in {**rendered, "kustomization.yaml": _yaml(kustomization)}.items():
        (folder / name).write_text(text)


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


class _PlainDumper(yaml.SafeDumper):
    """YAML without anchors: the API server reads them, people do not."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_PlainDumper, sort_keys=False, width=100)


def _fail(message: str, code: int) -> None:
    click.echo(f"fhir-app-operator: {message}", err=True)
    sys.exit(code)
