"""The command line: `run`, `plan`, `check`, `explain`, `crds`, `version`.

Exit codes: 0 good, 1 something is missing, 2 usage or a setting, 3 the Lease was lost.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
import yaml
from typing_extensions import override

from fhir_app_operator import __version__

if TYPE_CHECKING:
    from fhir_app_operator.settings import Settings

MISSING: Final = 1
USAGE: Final = 2
LOST: Final = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Keep Microsoft Entra app registrations for FHIR in the state declared in Git."""


@main.command(short_help="Run the operator until SIGTERM.")
def run() -> None:
    """Run the operator until SIGTERM; settings come from FHIR_APP_OPERATOR_* variables."""
    from fhir_app_operator.telemetry import logs

    loaded = _settings()
    logs.configure(loaded.log_level, loaded.log_format)
    from fhir_app_operator.controller import process
    from fhir_app_operator.controller.leadership import LostLease

    try:
        asyncio.run(process.run(loaded))
    except process.Missing as error:
        _fail(str(error), MISSING)
    except LostLease:  # the log says so
        sys.exit(LOST)
    except KeyboardInterrupt:
        sys.exit(0)


@main.command(short_help="Show what a pass would do, and why.")
@click.option(
    "-f",
    "--filename",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with one or more FhirAppRegistrations, in the cluster or not yet.",
)
@click.option("-n", "--namespace", help="Namespace of NAME, if not default.")
@click.argument("name", required=False, metavar="[NAMESPACE/]NAME")
def plan(filename: Path | None, namespace: str | None, name: str | None) -> None:
    """Show the actions that a pass would take for NAME or a file, and why, without taking them."""
    if (filename is None) == (name is None):
        raise click.UsageError("give either NAME or --filename")
    if name is not None and "/" in name:
        if namespace is not None:
            raise click.UsageError("give either --namespace or NAMESPACE/NAME")
        namespace, name = _parts(name)
    from fhir_app_operator.controller import commands

    place = namespace or "default"
    _exit(_run_once(lambda world, _api: commands.plan(world, filename, place, name)))


@main.command(short_help="Check settings, RBAC, tenants and clocks.")
def check() -> None:
    """Check settings, RBAC, each tenant's sign-in and permissions, ownership and clocks."""
    from fhir_app_operator.controller import commands

    loaded = _settings()
    lease_namespace = loaded.namespace if loaded.leader_election else None
    _exit(_run_once(
        lambda world, api: commands.check(
            world, api, watch_secrets=loaded.watch_secrets, lease_namespace=lease_namespace
        )
    ))  # fmt: skip


@main.command(short_help="Show why a client gets in or not.")
@click.option(
    "--sign-in",
    is_flag=True,
    help="Get a token with the credential in its Secret, and compare what it says with what the "
    "FHIR server expects: 401 or 403, and why. The token is not shown.",
)
@click.argument("registration", metavar="NAMESPACE/NAME")
def explain(registration: str, *, sign_in: bool) -> None:
    """Show why a registration gets in or not: its application, permissions, grants and claims."""
    namespace, name = _parts(registration)
    from fhir_app_operator.controller import commands

    _exit(_run_once(
        lambda world, _api: commands.explain(world, namespace, name, sign_in=sign_in)
    ))  # fmt: skip


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


def _parts(registration: str) -> tuple[str, str]:
    namespace, _, name = registration.partition("/")
    if not namespace or not name or "/" in name:
        raise click.UsageError("name it as NAMESPACE/NAME")
    return namespace, name


class _PlainDumper(yaml.SafeDumper):
    """YAML without anchors: the API server reads them, people do not."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _settings() -> Settings:
    from fhir_app_operator import settings

    try:
        return settings.load()
    except settings.WrongSettings as error:
        _fail(str(error), USAGE)


def _run_once(work: Callable[[Any, Any], Coroutine[Any, Any, bool]]) -> bool:
    """Run `work` with the gateways that the operator would use; logs only what goes wrong."""
    from fhir_app_operator.controller import process
    from fhir_app_operator.telemetry import logs

    loaded = _settings()
    logs.configure("ERROR", "console")
    try:
        return asyncio.run(process.run_once(loaded, work))
    except process.Missing as error:
        _fail(str(error), MISSING)


def _exit(good: bool) -> None:  # noqa: FBT001 - the answer of a command
    sys.exit(0 if good else MISSING)


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_PlainDumper, sort_keys=False, width=100)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"fhir-app-operator: {message}", err=True)
    sys.exit(code)
