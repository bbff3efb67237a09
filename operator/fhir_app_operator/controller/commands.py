"""The commands that show something once: `plan`, `check` and `explain`, as tables for people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fhir_app_operator.controller import check as preflight
from fhir_app_operator.controller import explain as explaining
from fhir_app_operator.controller.explain import Attempt, Explanation
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
from fhir_app_operator.planning.expectation import OK, ClaimRow, rows

_UUID: Final = 36
"""Characters of an id, which must stay in one line."""
_SHORT: Final = 80
"""Characters of what fits into a cell; more stands below the table, to be copied."""


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


async def explain(world: World, namespace: str, name: str, *, sign_in: bool) -> bool:
    """Print the chain from `namespace`/`name` to its FHIR server; return whether it is complete.

    Raises:
        Stalled: no such registration.
    """
    found = await explaining.explain(world, namespace, name, sign_in=sign_in)
    console = Console()
    console.print(_chain(found))
    for link in found.links:
        if len(link.remedy) > _SHORT:
            console.print(f"{link.what}: {link.remedy}\n", markup=False, soft_wrap=True)
    if found.permissions:
        console.print(_permissions(found))
        if found.consent_url and any(each.needs_consent for each in found.permissions):
            console.print(f"Consent: {found.consent_url}", markup=False, soft_wrap=True)
    if found.attempt is not None:
        _show_attempt(console, found.attempt)
    if found.expected is not None and (found.attempt is None or found.attempt.verdict is None):
        console.print(_claims("A token must say", rows(found.expected)))
    return found.is_complete


def _chain(found: Explanation) -> Table:
    table = _table(found.name, "Link", "State", "What to do")
    table.columns[1].min_width = _UUID
    for link in found.links:
        remedy = link.remedy if len(link.remedy) <= _SHORT else "see below"
        table.add_row(escape(link.what), escape(link.state), escape(remedy) or "ok")
    return table


def _permissions(found: Explanation) -> Table:
    headers = ("Permission", "Kind", "Of", "Asked", "Granted", "What to do")
    table = _table("Permissions", *headers)
    for each in found.permissions:
        asked = "yes" if each.is_asked else "no"
        texts = (each.value, each.kind, each.api, asked, each.granted, each.remedy)
        table.add_row(*(escape(text) for text in texts))
    return table


def _table(title: str, *headers: str) -> Table:
    """A table that cuts nothing off: ids and URLs are there to be copied."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _show_attempt(console: Console, attempt: Attempt) -> None:
    if attempt.verdict is not None:
        console.print(_claims("The token says", attempt.verdict.rows))
        answer = (
            "lets it in" if attempt.verdict.status == OK else f"answers {attempt.verdict.status}"
        )
        console.print(f"Sign-in: the FHIR server {answer}: {attempt.verdict.why}", markup=False)
    if attempt.refused is not None:
        console.print(f"Sign-in: refused, {attempt.refused.what}", markup=False)
        console.print(f"What to do: {attempt.refused.remedy}", markup=False)
    if attempt.note:
        console.print(f"Sign-in: {attempt.note}", markup=False)


def _claims(title: str, claims: Iterable[ClaimRow]) -> Table:
    found = tuple(claims)
    compared = ("The token has", "Answer", "What to look at")
    headers = compared if any(row.found for row in found) else ()
    table = _table(title, "Claim", "The server expects", *headers)
    for row in found:
        answer = "ok" if row.answer == OK else str(row.answer)
        texts = (row.claim, row.expected, row.found, answer, row.remedy)
        table.add_row(*(escape(text) for text in texts[: len(table.columns)]))
    return table
