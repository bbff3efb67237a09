"""The command `entra-emulator`: the emulator as a process of its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from entra_emulator.constants import ADMIN_CLIENT_ID, OPERATOR_CLIENT_ID, TENANT_ID
from entra_emulator.directory import certificates
from entra_emulator.emulator import Emulator
from entra_emulator.exchange import ADMIN
from entra_emulator.seeds import FederatedTrust, Seeds
from entra_emulator.server import Running, serve
from entra_emulator.tunnel import lead_to

LOG = logging.getLogger("entra_emulator")
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--dir",
    "directory",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for ca.pem and emulator.json; made if it is missing.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free port.")
@click.option("--admin", is_flag=True, help="Serve the emulator's own API under /_emulator.")
@click.option("--tunnel", is_flag=True, help="Run a proxy for clients of the real host names.")
@click.option("--operator-secret", metavar="S", help="Client secret of the operator.")
@click.option(
    "--operator-certificate",
    metavar="PEMFILE",
    type=_FILE,
    help="Certificate with whose key the operator signs in.",
)
@click.option("--federated-issuer", metavar="I", help="Issuer of the operator's tokens.")
@click.option("--federated-subject", metavar="S", help="Subject of the operator's tokens.")
@click.option("--federated-audience", metavar="A", help="Audience of the operator's tokens.")
@click.option("--federated-key", type=_FILE, help="The issuer's public key (PEM).")
@click.option(
    "--admin-secret-file",
    type=_FILE,
    help="File with the client secret of the administrator's tool; else one is made.",
)
def main(  # noqa: PLR0913, PLR0917 - one parameter per option
    directory: Path,
    port: int,
    admin: bool,  # noqa: FBT001 - a flag of the command line
    tunnel: bool,  # noqa: FBT001 - the same
    operator_secret: str | None,
    operator_certificate: Path | None,
    federated_issuer: str | None,
    federated_subject: str | None,
    federated_audience: str | None,
    federated_key: Path | None,
    admin_secret_file: Path | None,
) -> None:
    """Run a local Microsoft Entra ID and Microsoft Graph on 127.0.0.1, over HTTPS.

    When it listens, DIR/ca.pem holds the certificate authority to trust and DIR/emulator.json says
    where it is, with the ids and the secret to sign in. It stops on SIGTERM and SIGINT.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    trust = _trust(federated_issuer, federated_subject, federated_audience, federated_key)
    if [operator_secret, operator_certificate, trust].count(None) < 2:  # noqa: PLR2004 - of three
        raise click.UsageError(
            "--operator-secret, --operator-certificate and --federated-… exclude each other."
        )
    seeds = Seeds(
        operator_secret=operator_secret,
        operator_certificate_pem=_certificate(operator_certificate),
        federated=trust,
        admin_secret=_secret(admin_secret_file),
    )
    emulator = Emulator(admin=admin, seeds=seeds)
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(_stop_on_signal())
        running = stack.enter_context(_serving(emulator, port))
        proxy = stack.enter_context(lead_to(running.port)) if tunnel else None
        _publish(directory, running, proxy)
        LOG.info("entra-emulator listens at %s, details in %s", running.origin, directory)
        stopped.wait()


def _trust(
    issuer: str | None, subject: str | None, audience: str | None, key: Path | None
) -> FederatedTrust | None:
    if issuer is None and subject is None and audience is None and key is None:
        return None
    if issuer is None or subject is None or audience is None or key is None:
        raise click.UsageError(
            "--federated-issuer, --federated-subject, --federated-audience and --federated-key "
            "go together."
        )
    try:
        return FederatedTrust(issuer, subject, audience, key.read_text(encoding="ascii"))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--federated-key") from error


def _certificate(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8")
        certificates.from_pem(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--operator-certificate") from error
    return text


def _secret(file: Path | None) -> str | None:
    if file is None:
        return None
    secret = file.read_text(encoding="utf-8").strip()
    if not secret:
        raise click.BadParameter("the file is empty", param_hint="--admin-secret-file")
    return secret


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _serving(emulator: Emulator, port: int) -> Iterator[Running]:
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(serve(emulator, port=port))
        except OSError as error:
            raise click.ClickException(f"cannot listen on port {port}: {error}") from error
        yield running


def _publish(directory: Path, running: Running, proxy: str | None) -> None:
    """Write the two files; emulator.json last, and at once, since others wait for it."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = directory / "ca.pem"
    _write(authority, running.ca_pem)
    facts: dict[str, Any] = {
        "origin": running.origin,
        "caFile": str(authority.absolute()),
        "tenantId": TENANT_ID,
        "operatorClientId": OPERATOR_CLIENT_ID,
        "adminClientId": ADMIN_CLIENT_ID,
        "adminClientSecret": running.emulator.seeds.admin_secret,
        "users": [user.user_principal_name for user in running.emulator.seeds.users],
        "adminUrl": f"{running.origin}{ADMIN}" if running.emulator.has_admin else None,
        "tunnelUrl": proxy,
    }
    _write(directory / "emulator.json", json.dumps(facts, indent=2).encode() + b"\n")


def _write(path: Path, content: bytes) -> None:
    """Replace the file as a whole, readable for its owner only."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    main()
