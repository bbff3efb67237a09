"""`az ad sp`: service principals, from an application or for a robot at once."""

from typing import Any
from uuid import uuid4

import pytest

from tests.clients.azure_cli import AzureCli


@pytest.fixture
def principal(az: AzureCli) -> dict[str, Any]:
    """A fresh service principal, as `az ad sp create` tells of it."""
    app = az("ad", "app", "create", "--display-name", f"ingest {uuid4()}")
    made: dict[str, Any] = az("ad", "sp", "create", "--id", app["appId"])
    return made


def test_a_service_principal_is_found_by_whatever_names_it(
    az: AzureCli, principal: dict[str, Any]
) -> None:
    uri = f"api://{principal['appId']}"
    az("ad", "app", "update", "--id", principal["appId"], "--identifier-uris", uri)

    ways = [
        [az("ad", "sp", "show", "--id", principal["id"])],
        [az("ad", "sp", "show", "--id", principal["appId"])],
        [az("ad", "sp", "show", "--id", uri)],
        az("ad", "sp", "list", "--display-name", principal["displayName"]),
        az("ad", "sp", "list", "--spn", uri),
    ]

    assert [[item["id"] for item in found] for found in ways] == [[principal["id"]]] * len(ways)
    assert principal["id"] in az("ad", "sp", "list", "--all", "--query", "[].id")


def test_an_application_has_one_service_principal(az: AzureCli, principal: dict[str, Any]) -> None:
    refusal = az.refused("ad", "sp", "create", "--id", principal["appId"])

    assert "is already in use" in refusal.message


def test_a_service_principal_is_changed_and_deleted(
    az: AzureCli, principal: dict[str, Any]
) -> None:
    of_it = ("--id", principal["appId"])

    az("ad", "sp", "update", *of_it, "--set", "notes=hello")
    assert az("ad", "sp", "show", *of_it)["notes"] == "hello"
    assert len(az("ad", "sp", "owner", "list", *of_it)) == 1

    az("ad", "sp", "delete", *of_it)
    assert az.refused("ad", "sp", "show", *of_it).status == 3


def test_its_own_secret_signs_in_until_it_is_deleted(
    az: AzureCli, principal: dict[str, Any]
) -> None:
    credential, of_it = ("ad", "sp", "credential"), ("--id", principal["appId"])
    password = az(*credential, "reset", *of_it)["password"]
    person = az.elsewhere()

    person.login(principal["appId"], "--password", password)
    [listed] = az(*credential, "list", *of_it)
    az(*credential, "delete", *of_it, "--key-id", listed["keyId"])

    assert az(*credential, "list", *of_it) == []
    refusal = az.elsewhere().login_refused(principal["appId"], "--password", password)
    assert "AADSTS7000215" in refusal.message


def test_its_own_certificate_signs_in(az: AzureCli, principal: dict[str, Any]) -> None:
    credential, of_it = ("ad", "sp", "credential"), ("--id", principal["appId"])

    made = az(*credential, "reset", *of_it, "--create-cert")

    assert len(az(*credential, "list", *of_it, "--cert")) == 1
    person = az.elsewhere()
    person.login(principal["appId"], "--certificate", made["fileWithCertAndPrivateKey"])


@pytest.mark.parametrize("proof", ["secret", "certificate"])
def test_a_robot_is_made_at_once(az: AzureCli, proof: str) -> None:
    name = f"robot {uuid4()}"
    more = ("--create-cert",) if proof == "certificate" else ()

    made = az("ad", "sp", "create-for-rbac", "--name", name, *more)

    assert made["displayName"] == name
    shown = (
        ("--certificate", made["fileWithCertAndPrivateKey"])
        if proof == "certificate"
        else ("--password", made["password"])
    )
    [account] = az.elsewhere().login(made["appId"], *shown)
    assert account["user"]["name"] == made["appId"]
