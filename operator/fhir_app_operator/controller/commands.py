"""The commands that show something once: `plan`, `check` and `explain`, as tables for people."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from rich import box
from rich.cells import cell_len
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

_WIDE: Final = 200
"""Columns where no terminal says how many there are: in a pipe, or `kubectl exec` without one."""
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
    console = _console()
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


def _console() -> Console:
    """Standard output, as wide as its terminal; COLUMNS goes before all."""
    console = Console()
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(width=_WIDE)


def _say(console: Console, text: str) -> None:
    """Print a line as it is: broken by the terminal alone, so that links can be copied."""
    console.print(text, markup=False, soft_wrap=True)


def _show_rows(
    console: Console, title: str, headers: Sequence[str], found: Iterable[Sequence[str]]
) -> None:
    """Print a table, or one paragraph a row where its words do not fit side by side.

    Nothing is cut off, and no word broken: ids and commands are there to be copied.
    """
    texts = [tuple(row) for row in found]
    columns = list(zip(headers, *texts, strict=True))
    room = console.width - (3 * len(columns) + 1)  # each cell's padding, and the lines' place
    widths = _widths(columns, room)
    if widths:
        table = Table(title=escape(title), title_justify="left", box=box.SIMPLE)
        for header, width in zip(headers, widths, strict=True):
            table.add_column(header, width=width)
        for row in texts:
            table.add_row(*(escape(text) for text in row))
        console.print(table)
        return
    if title:
        _say(console, f"{title}\n")
    for row in texts:
        for header, text in zip(headers, row, strict=True):
            if text:
                _say(console, f"  {header}: {text}")
        _say(console, "")


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths that break no word and come to `room` at most; empty: there are none."""
    least = [max((cell_len(word) for text in texts for word in text.split()), default=0)
             for texts in columns]  # fmt: skip
    more = [max(map(cell_len, texts)) - low for texts, low in zip(columns, least, strict=True)]
    spare = room - sum(least)
    if spare < 0:
        return []
    if sum(more) > spare:
        more = [each * spare // sum(more) for each in more]
    return [low + each for low, each in zip(least, more, strict=True)]


def _show(console: Console, found: Preview) -> None:
    if found.error is not None:
        _say(console, f"{found.name}: {found.error.reason}: {found.error.message}")
        return
    if found.actions:
        cells = [(type(each).__name__, each.reason, details(each)) for each in found.actions]
        _show_rows(console, found.name, ("Action", "Why", "What"), cells)
    else:
        _say(console, f"{found.name}: nothing to do")
    if found.consent is not None:
        _say(console, f"{found.name}: consent: {found.consent}")


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
    cells = [(each.check, each.problem or "ok", each.remedy if each.problem else "")
             for each in findings]  # fmt: skip
    _show_rows(_console(), "", ("Check", "Result", "What to do"), cells)
    return all(finding.problem is None for finding in findings)


async def explain(world: World, namespace: str, name: str, *, sign_in: bool) -> bool:
    """Print the chain from `namespace`/`name` to its FHIR server; return whether it is complete.

    Raises:
        Stalled: no such registration.
    """
    found = await explaining.explain(world, namespace, name, sign_in=sign_in)
    console = _console()
    _show_chain(console, found)
    if found.permissions:
        _show_permissions(console, found)
        if found.consent_url and any(each.needs_consent for each in found.permissions):
            _say(console, f"Consent: {found.consent_url}")
    if found.attempt is not None:
        _show_attempt(console, found.attempt)
    if found.expected is not None and (found.attempt is None or found.attempt.verdict is None):
        _show_claims(console, "A token must say", rows(found.expected))
    return found.is_complete


def _show_chain(console: Console, found: Explanation) -> None:
    """The links; a remedy that is too long for a cell stands in full below them."""
    cells = [(link.what, link.state, _short(link.remedy) or "ok") for link in found.links]
    _show_rows(console, found.name, ("Link", "State", "What to do"), cells)
    for link in found.links:
        if _short(link.remedy) != link.remedy:
            _say(console, f"{link.what}: {link.remedy}\n")


def _short(remedy: str) -> str:
    return remedy if len(remedy) <= _SHORT else "see below"


def _show_permissions(console: Console, found: Explanation) -> None:
    headers = ("Permission", "Kind", "Of", "Asked", "Granted", "What to do")
    cells = [(each.value, each.kind, each.api, "yes" if each.is_asked else "no", each.granted,
              each.remedy) for each in found.permissions]  # fmt: skip
    _show_rows(console, "Permissions", headers, cells)


def _show_attempt(console: Console, attempt: Attempt) -> None:
    if attempt.verdict is not None:
        _show_claims(console, "The token says", attempt.verdict.rows)
        answer = (
            "lets it in" if attempt.verdict.status == OK else f"answers {attempt.verdict.status}"
        )
        _say(console, f"Sign-in: the FHIR server {answer}: {attempt.verdict.why}")
    if attempt.refused is not None:
        _say(console, f"Sign-in: refused, {attempt.refused.what}")
        _say(console, f"What to do: {attempt.refused.remedy}")
    if attempt.note:
        _say(console, f"Sign-in: {attempt.note}")


def _show_claims(console: Console, title: str, claims: Iterable[ClaimRow]) -> None:
    found = tuple(claims)
    headers: tuple[str, ...] = ("Claim", "The server expects")
    if any(row.found for row in found):
        headers += ("The token has", "Answer", "What to look at")
    cells = [
        (row.claim, row.expected, row.found, "ok" if row.answer == OK else str(row.answer),
         row.remedy)[: len(headers)] for row in found
    ]  # fmt: skip
    _show_rows(console, title, headers, cells)
