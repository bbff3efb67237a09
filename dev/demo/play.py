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
    app_id = _status(registration)["appId"]
    with administrator_at(**_entra()) as administrator:
        for grant in administrator.consent(app_id):
            click.echo(f"{grant.client} may use {grant.permission} of {grant.api} ({grant.kind})")


@main.command()
@_NAME
@click.argument("role")
@_USER
def assign(registration: str, role: str, user: str | None) -> None:
    """Give USER (alice@clinic.example, bob@clinic.example) a ROLE of a FHIR server."""
    person = _person(user)
    with administrator_at(**_entra()) as administrator:
        administrator.assign(person.id, _status(registration)["appId"], {role})
    click.echo(f"{person.display_name} has the role {role}")


@main.command("sign-in")
@_NAME
@_USER
def sign_in(registration: str, user: str | None) -> None:
    """Sign in with the registration's Secret and show what the token says (never the token)."""
    spec, secret = _get("fhirapp", registration)["spec"], _secret(registration)
    trust = Trust(Path(os.environ["ENTRA_CA"]))
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
    origin, tenant_id, client_id, client_secret = (os.environ[name] for name in names)
    return {
        "origin": origin, "tenant_id": tenant_id, "client_id": client_id,
        "client_secret": client_secret, "trust": Trust(Path(os.environ["ENTRA_CA"])),
    }  # fmt: skip


def _status(registration: str) -> dict[str, Any]:
    status: dict[str, Any] = _get("fhirapp", registration).get("status", {})
    if "appId" not in status:
        raise DemoError(f"{registration} has no application yet: kubectl describe fhirapp")
    return status


def _secret(registration: str) -> dict[str, str]:
    namespace = registration.partition("/")[0]
    body = _get("secret", f"{namespace}/{_status(registration)['secretName']}")
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
    except KeyError as error:
        sys.exit(f"sandbox: {error} is not set: source the sandbox's `env` first")
    except DemoError as error:
        sys.exit(f"sandbox: {error}")
