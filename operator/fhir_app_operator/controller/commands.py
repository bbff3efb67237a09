"""The commands that show something once: `plan` and `check`, as tables for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from fhir_app_operator.controller import check as preflight
from fhir_app_operator.controller.preview import (
    Preview,
    details,
    is_registration,
    preview,
    preview_manifest,
)
from fhir_app_operator.controller.world import World
from fhir_app_operator.errors import Stalled
from fhir_app_operator.kube.api_server import ApiServer


async def plan(world: World, filename: Path | None, namespace: str, name: str | None) -> bool:
    """Print what a pass would do for `namespace`/`name`, or for each registration in a file.

    Returns whether a pass could do it; False if something stops it.

    Raises:
        Stalled: no such registration, or a file without any.
    """
    if filename is None:
        previews = [await preview(world, namespace, name or "")]
    else:
        previews = [await preview_manifest(world, manifest) for manifest in _manifests(filename)]
    console = Console()
    for found in previews:
        _show(console, found)
    return all(found.error is None for found in previews)


def _manifests(filename: Path) -> list[dict[str, Any]]:
    try:
        found = [doc for doc in yaml.safe_load_all(filename.read_text()) if is_registration(doc)]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Stalled("NotFound", f"{filename} cannot be read as YAML: {error}") from None
    if not found:
        raise Stalled("NotFound", f"{filename} holds no FhirAppRegistration of this version")
    return found


def _show(console: Console, found: Preview) -> None:
    if found.error is not None:
        console.print(f"{found.name}: {found.error.reason}: {found.error.message}", markup=False)
        return
    if not found.actions:
        console.print(f"{found.name}: nothing to do", markup=False)
        _show_consent(console, found)
        return
    table = Table("Action", "Why", "What", title=found.name, title_justify="left", box=box.SIMPLE)
    for action in found.actions:
        table.add_row(type(action).__name__, action.reason, details(action))
    console.print(table)
    _show_consent(console, found)


def _show_consent(console: Console, found: Preview) -> None:
    if found.consent is not None:
        console.print(f"{found.name}: consent: {found.consent}", markup=False)


async def check(
    world: World, api: ApiServer, *, watch_secrets: bool, lease_namespace: str | None
) -> bool:
    """Print all findings; return whether everything is in place.

    Raises:
        Stalled, Waiting: the API server cannot be asked.
    """
    findings = await preflight.check(
        world, api, watch_secrets=watch_secrets, lease_namespace=lease_namespace
    )
    table = Table("Check", "Result", "What to do", box=box.SIMPLE)
    for finding in findings:
        good = finding.problem is None
        table.add_row(finding.check, finding.problem or "ok", "" if good else finding.remedy)
    Console().print(table)
    return all(finding.problem is None for finding in findings)
