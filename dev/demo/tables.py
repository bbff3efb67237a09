"""What the demo shows, as tables. Not here: how it is found out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from dev.demo.administrator import Grant

_SECRET_KEYS = frozenset({"AZURE_CLIENT_SECRET"})


@dataclass(frozen=True, slots=True)
class SignInReport:
    """One sign-in that a FHIR server accepted."""

    client: str
    flow: str
    claims: Mapping[str, Any]


def registrations(objects: Iterable[Mapping[str, Any]]) -> Table:
    """Registrations as the API server has them."""
    table = _table("Registration", "Type", "Ready", "Client id", "Secret", "Expires")
    for registration in objects:
        status = registration["status"]
        active = [c for c in status.get("credentials", ()) if c["state"] == "Active"]
        ready = next(c for c in status["conditions"] if c["type"] == "Ready")
        table.add_row(
            registration["metadata"]["name"],
            registration["spec"]["type"],
            ready["status"],
            status["appId"],
            status["secretName"],
            active[0]["endTime"] if active else "",
        )
    return table


def applications(objects: Iterable[Mapping[str, Any]]) -> Table:
    """Applications as Microsoft Graph has them."""
    table = _table("Application in Entra", "URIs", "App roles", "Scopes", "Secrets")
    for application in objects:
        platforms = ("web", "spa", "publicClient")
        redirects = [f"{p}: {u}" for p in platforms for u in application[p]["redirectUris"]]
        table.add_row(
            application["displayName"],
            "\n".join([*application["identifierUris"], *redirects]),
            _count(application["appRoles"]),
            _count(application["api"]["oauth2PermissionScopes"]),
            _count(application["passwordCredentials"]),
        )
    return table


def grants(found: Iterable[Grant]) -> Table:
    """What the administrator granted."""
    table = _table("Client", "may use", "of", "as")
    for grant in found:
        table.add_row(grant.client, grant.permission, grant.api, grant.kind)
    return table


def secrets(data: Mapping[str, Mapping[str, str]]) -> Table:
    """Keys and values by Secret; what several Secrets share is one row, credentials are masked."""
    table = _table("Key", "Secret", "Value")
    holders: dict[tuple[str, str], list[str]] = {}
    for name, values in data.items():
        for key, value in values.items():
            holders.setdefault((key, value), []).append(name)
    for (key, value), names in sorted(holders.items()):
        shown = "all" if len(names) == len(data) else ", ".join(names)
        table.add_row(key, shown, masked(key, value))
    return table


def sign_ins(reports: Iterable[SignInReport]) -> Table:
    """Sign-ins that `verified_claims` let in, with what the token permits."""
    table = _table("Client", "Signed in by", "As", "Signature", "iss", "aud", "Permissions")
    for report in reports:
        claims = report.claims
        kind = "roles" if "roles" in claims else "scp"
        permissions = claims["roles"] if kind == "roles" else claims["scp"].split()
        table.add_row(
            report.client,
            report.flow,
            claims.get("upn") or claims.get("preferred_username") or "itself",
            *["ok"] * 3,
            f"{kind}: {', '.join(sorted(permissions))}",
        )
    return table


def masked(key: str, value: str) -> str:
    """`value`, or for the key of a credential nothing but its length."""
    return (
        f"•••••••• ({len(value)} characters)" if key in _SECRET_KEYS else value.replace(",", "\n")
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _count(entries: list[Any]) -> str:
    return str(len(entries)) if entries else "none"
