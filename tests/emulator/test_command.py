import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entra_emulator import ADMIN_CLIENT_ID, OPERATOR_CLIENT_ID, TENANT_ID
from tests.emulator.certified import certified, claims_of
from tests.emulator.cloud import GRAPH, TOKEN

COMMAND = [sys.executable, "-m", "entra_emulator"]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.02)


@contextmanager
def started(directory: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """The command, listening, and what it wrote."""
    facts = directory / "emulator.json"
    with subprocess.Popen(
        [*COMMAND, "--dir", str(directory), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            wait_for(lambda: facts.exists() or process.poll() is not None, "emulator.json")
            assert process.poll() is None, process.communicate()[0]
            yield process, json.loads(facts.read_text())
        finally:
            process.kill()


@contextmanager
def client_of(facts: dict[str, Any]) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=facts["caFile"])
    with httpx.Client(base_url=facts["origin"], verify=context, trust_env=False) as made:
        yield made


def token(facts: dict[str, Any], **form: str) -> httpx.Response:
    with client_of(facts) as client:
        data = {"grant_type": "client_credentials", "scope": GRAPH, **form}
        return client.post(TOKEN, data=data)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_says_where_it_is_and_stops(tmp_path: Path, number: signal.Signals) -> None:
    directory = tmp_path / "new"
    with started(directory, "--admin", "--operator-secret", "hush-hush") as (process, facts):
        operator = token(facts, client_id=OPERATOR_CLIENT_ID, client_secret="hush-hush")
        admin = token(
            facts, client_id=facts["adminClientId"], client_secret=facts["adminClientSecret"]
        )
        with client_of(facts) as client:
            objects = client.get(facts["adminUrl"] + "/objects")
            began = time.monotonic()
            os.kill(process.pid, number)  # with a connection still open
            output, _ = process.communicate(timeout=10)

    assert (operator.status_code, admin.status_code, objects.status_code) == (200, 200, 200)
    assert process.returncode == 0
    assert time.monotonic() - began < 2
    assert output.splitlines() == [
        f"entra-emulator listens at {facts['origin']}, details in {directory}"
    ]
    assert facts == {
        "origin": facts["origin"],
        "caFile": str(directory / "ca.pem"),
        "tenantId": TENANT_ID,
        "operatorClientId": OPERATOR_CLIENT_ID,
        "adminClientId": ADMIN_CLIENT_ID,
        "adminClientSecret": facts["adminClientSecret"],
        "users": ["alice@clinic.example", "bob@clinic.example"],
        "adminUrl": facts["origin"] + "/_emulator",
        "tunnelUrl": None,
    }
    assert sorted(path.name for path in directory.iterdir()) == ["ca.pem", "emulator.json"]
    assert stat.S_IMODE((directory / "emulator.json").stat().st_mode) == 0o600


def test_the_operator_signs_in_with_a_federated_token(tmp_path: Path) -> None:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key_file, secret_file = tmp_path / "key.pem", tmp_path / "secret"
    key_file.write_bytes(pem)
    secret_file.write_text("admin-secret\n")
    options = [
        "--federated-issuer",
        "https://i",
        "--federated-subject",
        "s",
        "--federated-audience",
        "a",
        "--federated-key",
        str(key_file),
        "--admin-secret-file",
        str(secret_file),
    ]
    claims = {"iss": "https://i", "sub": "s", "aud": "a", "exp": int(time.time()) + 60}

    with started(tmp_path, *options) as (_, facts):
        operator = token(
            facts,
            client_id=OPERATOR_CLIENT_ID,
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            client_assertion=jwt.encode(claims, key, algorithm="RS256"),
        )
        with client_of(facts) as client:
            off = client.get("/_emulator/objects")

    assert operator.status_code == 200
    assert facts["adminClientSecret"] == "admin-secret"
    assert facts["adminUrl"] is None
    assert off.status_code == 404


def test_the_operator_signs_in_with_a_certificate(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    own = certified(now - timedelta(days=1), now + timedelta(days=1))
    file = tmp_path / "operator.pem"
    file.write_text(own.key_pem + own.pem)

    with started(tmp_path, "--operator-certificate", str(file)) as (_, facts):
        claims = claims_of(OPERATOR_CLIENT_ID, facts["origin"] + TOKEN, now)
        operator = token(
            facts,
            client_id=OPERATOR_CLIENT_ID,
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            client_assertion=own.sign(claims, {"x5t": own.x5t}),
        )

    assert operator.status_code == 200, operator.text


def test_a_tunnel_leads_here(tmp_path: Path) -> None:
    path = f"/{TENANT_ID}/v2.0/.well-known/openid-configuration"
    with started(tmp_path, "--tunnel") as (process, facts):
        context = ssl.create_default_context(cafile=facts["caFile"])
        with httpx.Client(proxy=facts["tunnelUrl"], verify=context, trust_env=False) as client:
            metadata = client.get(f"https://login.microsoftonline.com{path}").json()
            began = time.monotonic()
            os.kill(process.pid, signal.SIGTERM)  # with a connection still open
            process.communicate(timeout=10)

    assert metadata["issuer"] == f"https://login.microsoftonline.com/{TENANT_ID}/v2.0"
    assert process.returncode == 0
    assert time.monotonic() - began < 2


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=20, check=False
    )


def test_help_names_the_options() -> None:
    result = run("--help")

    assert result.returncode == 0
    for option in ("--dir", "--port", "--admin", "--operator-secret", "--federated-key"):
        assert option in result.stdout


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    here = ("--dir", str(tmp_path))
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.touch()
    text.write_text("no key")
    federated = ("--federated-issuer", "i", "--federated-subject", "s", "--federated-audience", "a")

    for options, told in (
        ((), "--dir"),
        ((*here, "--port", "x"), "--port"),
        ((*here, "--port", "70000"), "--port"),
        ((*here, "--federated-issuer", "i"), "go together"),
        ((*here, *federated, "--federated-key", str(text)), "--federated-key"),
        ((*here, "--operator-certificate", str(text)), "--operator-certificate"),
        ((*here, "--operator-certificate", str(text), "--operator-secret", "s"), "exclude"),
        ((*here, "--admin-secret-file", str(empty)), "--admin-secret-file"),
        ((*here, "--admin-secret-file", str(tmp_path / "none")), "--admin-secret-file"),
    ):
        result = run(*options)
        assert result.returncode == 2, result
        assert told in result.stderr


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        result = run("--dir", str(tmp_path), "--port", port)

    assert result.returncode == 1
    assert f"cannot listen on port {port}" in result.stderr
