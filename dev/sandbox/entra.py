"""The emulated Entra as a process, and what a client must know of it.

Not here: the emulator itself (`entra_emulator`).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.cluster.control_plane import ControlPlane
from dev.sandbox.programs import Program, Programs
from dev.sandbox.tokens import EXCHANGE_AUDIENCE, SUBJECT

_GRACE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Entra:
    """A running emulator.

    `origin` is where sign-in and Microsoft Graph are, without a trailing slash; `ca_file` is the
    authority that its certificate is from; the administrator's tool signs in with `admin_*`;
    `users` are the names that `login_hint` may have; `admin_url` is where faults, clock and
    request log are, without a trailing slash.
    """

    origin: str
    ca_file: Path
    tenant_id: str
    operator_client_id: str
    admin_client_id: str
    admin_client_secret: str = field(repr=False)
    users: tuple[str, ...]
    admin_url: str


def start_emulator(programs: Programs, cluster: ControlPlane) -> Program:
    """Start an emulator that trusts the operator's ServiceAccount in `cluster`."""
    folder = programs.folder / "entra"
    folder.mkdir()
    key = programs.folder / "service-account.pub"
    key.write_bytes(cluster.service_account_public_key)
    trust = {
        "issuer": cluster.issuer,
        "subject": SUBJECT,
        "audience": EXCHANGE_AUDIENCE,
        "key": str(key),
    }
    options = [f"--federated-{name}={value}" for name, value in trust.items()]
    program = Program(
        name="entra-emulator",
        command=("entra-emulator", f"--dir={folder}", "--port=0", "--admin", *options),
        log=programs.folder / "entra-emulator.log",
        pid_file=programs.folder / "entra-emulator.pid",
        environment={},
        grace=_GRACE_SECONDS,
    )
    programs.start(program)
    return program


def listening(programs: Programs, program: Program) -> Entra:
    """What the emulator started as `program` says of itself, once it listens."""
    facts = programs.folder / "entra" / "emulator.json"
    programs.wait(program, lambda: bool(_read(facts)), "listen")
    said = _read(facts)
    return Entra(
        origin=said["origin"],
        ca_file=Path(said["caFile"]),
        tenant_id=said["tenantId"],
        operator_client_id=said["operatorClientId"],
        admin_client_id=said["adminClientId"],
        admin_client_secret=said["adminClientSecret"],
        users=tuple(said["users"]),
        admin_url=said["adminUrl"],
    )


def _read(facts: Path) -> dict[str, Any]:
    """The document, or nothing while it is not there in full."""
    try:
        document: dict[str, Any] = json.loads(facts.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return document
