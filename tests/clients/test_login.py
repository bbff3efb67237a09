"""`az login`, `az account`, `az cloud`: signing in with every proof there is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entra_emulator import TENANT_ID
from tests.clients.azure_cli import CLOUD, AzureCli, Emulated
from tests.emulator.certified import Certified, certified
from tests.emulator.federation import AUDIENCE

ISSUER, SUBJECT = "https://cluster.example", "system:serviceaccount:clinic:ingest"


@pytest.fixture(scope="module")
def own() -> Certified:
    now = datetime.now(UTC)
    return certified(now - timedelta(days=1), now + timedelta(days=30))


@pytest.fixture(scope="module")
def robot(az: AzureCli) -> str:
    """The client id of an application that can sign in once it has a proof."""
    name = f"robot {uuid4()}"
    app_id: str = az("ad", "app", "create", "--display-name", name)["appId"]
    az("ad", "sp", "create", "--id", app_id)
    return app_id


def tenant_of(az: AzureCli) -> str:
    account = az("account", "show")
    assert account["user"]["type"] == "servicePrincipal"
    tenant: str = account["tenantId"]
    return tenant


def pem(home: Path, own: Certified) -> str:
    path = home / "robot.pem"
    path.write_text(own.key_pem + own.pem, encoding="ascii")
    path.chmod(0o600)
    return str(path)


def test_a_secret_signs_in(stranger: AzureCli, emulated: Emulated) -> None:
    [account] = stranger.login(emulated.admin_id, "--password", emulated.admin_secret)

    assert account["name"] == "N/A(tenant level account)"
    assert account["tenantId"] == TENANT_ID
    assert [one["id"] for one in stranger("account", "list")] == [account["id"]]


def test_a_wrong_secret_does_not(stranger: AzureCli, emulated: Emulated) -> None:
    refusal = stranger.login_refused(emulated.admin_id, "--password", "wrong")

    assert refusal.status == 1
    assert "AADSTS7000215" in refusal.message
    assert stranger("account", "list") == []


@pytest.mark.parametrize("more", [(), ("--use-cert-sn-issuer",)], ids=["plain", "sn-issuer"])
def test_a_certificate_signs_in(
    az: AzureCli, robot: str, own: Certified, more: tuple[str, ...]
) -> None:
    certificate = az.home / "robot.crt"
    certificate.write_text(own.pem, encoding="ascii")
    az("ad", "app", "credential", "reset", "--id", robot, "--cert", f"@{certificate}")
    person = az.elsewhere()

    person.login(robot, "--certificate", pem(person.home, own), *more)

    assert tenant_of(person) == TENANT_ID


def test_a_federated_token_signs_in(
    az: AzureCli, emulated: Emulated, robot: str, own: Certified
) -> None:
    trust(emulated, own)
    path = az.home / "trust.json"
    path.write_text(
        f'{{"name": "cluster", "issuer": "{ISSUER}", "subject": "{SUBJECT}",'
        f' "audiences": ["{AUDIENCE}"]}}',
        encoding="utf-8",
    )
    credential = ("ad", "app", "federated-credential")
    az(*credential, "create", "--id", robot, "--parameters", f"@{path}")
    person = az.elsewhere()

    person.login(robot, "--federated-token", federated_token(own))
    foreign = az.elsewhere().login_refused(
        robot, "--federated-token", federated_token(own, subject="another")
    )

    assert tenant_of(person) == TENANT_ID
    assert "AADSTS700213" in foreign.message


def test_tokens_are_for_what_was_asked(az: AzureCli) -> None:
    audiences = {
        kind: jwt.decode(
            az("account", "get-access-token", "--resource-type", kind)["accessToken"],
            options={"verify_signature": False},
        )["aud"]
        for kind in ("arm", "ms-graph")
    }

    assert audiences["arm"] == "https://management.core.windows.net/"
    assert audiences["ms-graph"] == graph_of(az)


def test_after_logout_nobody_is_signed_in(stranger: AzureCli, emulated: Emulated) -> None:
    stranger.login(emulated.admin_id, "--password", emulated.admin_secret)

    stranger("logout")

    assert stranger("account", "list") == []
    assert "az login" in stranger.refused("account", "show").message


def test_a_cloud_is_known_from_its_resource_manager_alone(
    emulated: Emulated, tmp_path: Path
) -> None:
    origin = emulated.running.origin
    az = AzureCli(emulated, tmp_path, own_cloud=False)

    az("cloud", "register", "--name", CLOUD, "--endpoint-resource-manager", f"{origin}/")
    az("cloud", "set", "--name", CLOUD)
    az.login(emulated.admin_id, "--password", emulated.admin_secret)

    endpoints = az("cloud", "show")["endpoints"]
    assert endpoints["activeDirectory"] == origin
    assert endpoints["activeDirectoryResourceId"] == "https://management.core.windows.net/"
    assert endpoints["microsoftGraphResourceId"] == f"{origin}/"
    names = az("ad", "app", "list", "--all", "--query", "[].displayName")
    assert "Administrator's tool" in names


def graph_of(az: AzureCli) -> str:
    """The name under which this cloud's Microsoft Graph is known."""
    name: str = az("cloud", "show")["endpoints"]["microsoftGraphResourceId"]
    return name


def trust(emulated: Emulated, own: Certified) -> None:
    """Give the emulator the issuer's key, which Entra would fetch."""
    form = PublicFormat.SubjectPublicKeyInfo
    key = own.key.public_key().public_bytes(Encoding.PEM, form).decode()
    body = {"issuer": ISSUER, "publicKey": key}
    with emulated.http() as client:
        client.put("/_emulator/issuers", json=body).raise_for_status()


def federated_token(own: Certified, subject: str = SUBJECT) -> str:
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": ISSUER, "sub": subject, "aud": [AUDIENCE], "iat": now, "exp": now + 600}
    return jwt.encode(claims, own.key, algorithm="RS256")
