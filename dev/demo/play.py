"""`sandbox`, a command of the sandbox: the people and programs around the operator, by hand.

An administrator who consents and assigns roles, and clients that sign in with their Secrets. Reads
the variables of the sandbox's `env`. Not here: the operator's own command line.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import jwt
from rich import box
from rich.console import Console
from rich.table import Table

from dev.demo.administrator import administrator_at
from dev.demo.errors import DemoError
from dev.demo.signing_in import Trust, is_loopback, service_token, user_token
from entra_emulator.seeds import ALICE, BOB, SeededUser

_SERVER = "Resource"
_PEOPLE = {user.user_principal_name: user for user in (ALICE, BOB)}
_NAME = click.argument("registration", metavar="NAMESPACE/NAME")
_USER = click.argument("user", required=False, type=click.Choice(list(_PEOPLE)))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Be an administrator of the sandbox's tenant, or a client with nothing but its Secret."""


@main.command()
@_NAME
def consent(registration: str) -> None:
    """Grant all that the application asks for, for all users: "admin consent"."""
    body = _registration(registration)
    if body["spec"]["type"] == _SERVER:
        raise DemoError(f"{registration} is a FHIR server: consent to what its clients ask for")
    app_id = _status(registration, body)["appId"]
    with administrator_at(**_entra()) as administrator:
        grants = administrator.consent(app_id)
        if not grants:
            click.echo(f"{registration} asks for nothing that there is to grant")
        for grant in grants:
            click.echo(f"{grant.client} may use {grant.permission} of {grant.api} ({grant.kind})")


@main.command()
@_NAME
@click.argument("role")
@_USER
def assign(registration: str, role: str, user: str | None) -> None:
    """Give USER (alice@clinic.example, bob@clinic.example) a ROLE of a FHIR server."""
    person, body = _person(user), _registration(registration)
    if body["spec"]["type"] != _SERVER:
        raise DemoError(f"{registration} has no roles: name its FHIR server")
    app_id = _status(registration, body)["appId"]
    with administrator_at(**_entra()) as administrator:
        administrator.assign(person.id, app_id, {role})
    click.echo(f"{person.display_name} has the role {role}")


@main.command("sign-in")
@_NAME
@_USER
def sign_in(registration: str, user: str | None) -> None:
    """Sign in with the registration's Secret and show what the token says (never the token)."""
    body = _registration(registration)
    spec = body["spec"]
    if spec["type"] == _SERVER:
        raise DemoError(f"{registration} is a FHIR server: one of its clients signs in")
    secret, trust = _secret(registration, body), Trust(Path(_variable("ENTRA_CA")))
    needed = "AZURE_CLIENT_SECRET" if spec["type"] == "Service" else "FHIR_REDIRECT_URIS"
    if needed not in secret:
        raise DemoError(f"{registration} cannot be tried here: its Secret has no {needed}")
    if spec["type"] == "Service":
        token = service_token(secret, trust)
    else:
        token = _user_token(secret, spec["redirectUris"], _person(user), trust)
    table = Table("Claim", "Value", box=box.SIMPLE)
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    for name in ("aud", "iss", "ver", "appid", "azp", "oid", "name", "roles", "scp"):
        if name in claims:
            value = claims[name]
            table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    Console().print(table)


def _user_token(
    secret: Mapping[str, str], redirects: Mapping[str, Any], person: SeededUser, trust: Trust
) -> str:
    uris = secret["FHIR_REDIRECT_URIS"].split(",")
    uri = next((each for each in uris if is_loopback(each)), uris[0])
    return user_token(
        secret, trust, redirect_uri=uri, user=person.user_principal_name,
        in_page=uri in redirects.get("spa", ()),
    )  # fmt: skip


def _person(user: str | None) -> SeededUser:
    return _PEOPLE[user] if user else ALICE


def _entra() -> dict[str, Any]:
    names = ("ENTRA_URL", "ENTRA_TENANT_ID", "ENTRA_ADMIN_CLIENT_ID", "ENTRA_ADMIN_CLIENT_SECRET")
    origin, tenant_id, client_id, client_secret = map(_variable, names)
    return {
        "origin": origin, "tenant_id": tenant_id, "client_id": client_id,
        "client_secret": client_secret, "trust": Trust(Path(_variable("ENTRA_CA"))),
    }  # fmt: skip


def _variable(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise DemoError(f"{name} is not set: source the sandbox's `env` first") from None


def _registration(registration: str) -> dict[str, Any]:
    namespace, _, name = registration.partition("/")
    if not namespace or not name or "/" in name:
        raise click.UsageError("name it as NAMESPACE/NAME")
    return _get("fhirapp", registration)


def _status(registration: str, body: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = body.get("status", {})
    if "appId" not in status:
        raise DemoError(f"{registration} has no application yet: kubectl describe fhirapp")
    return status


def _secret(registration: str, body: dict[str, Any]) -> dict[str, str]:
    namespace, status = registration.partition("/")[0], _status(registration, body)
    if "secretName" not in status:
        raise DemoError(f"{registration} has no Secret yet: kubectl describe fhirapp")
    body = _get("secret", f"{namespace}/{status['secretName']}")
    return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}


def _get(kind: str, registration: str) -> dict[str, Any]:
    namespace, _, name = registration.partition("/")
    answer = subprocess.run(
        ["kubectl", "get", kind, name, f"--namespace={namespace}", "--output=json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode:
        raise DemoError(answer.stderr.strip())
    body: dict[str, Any] = json.loads(answer.stdout)
    return body


if __name__ == "__main__":
    try:
        main(prog_name="sandbox")
    except DemoError as error:
        sys.exit(f"sandbox: {error}")
