"""`az ad app`: applications, their credentials, owners, and federated credentials."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.clients.azure_cli import AzureCli
from tests.emulator.federation import AUDIENCE, ISSUER, SUBJECT

TRUST = {"name": "cluster", "issuer": ISSUER, "subject": SUBJECT, "audiences": [AUDIENCE]}


@pytest.fixture
def app(az: AzureCli) -> dict[str, Any]:
    """A fresh application, as `az ad app create` tells of it."""
    made: dict[str, Any] = az("ad", "app", "create", "--display-name", f"portal {uuid4()}")
    return made


def test_an_application_is_made_once_for_a_name(az: AzureCli) -> None:
    name = f"portal {uuid4()}"
    create = ("ad", "app", "create", "--display-name", name)

    first = az(*create, "--web-redirect-uris", "https://portal.example/cb")
    second = az(*create, "--sign-in-audience", "AzureADMyOrg")

    assert first["web"]["redirectUris"] == ["https://portal.example/cb"]
    assert (second["id"], second["signInAudience"]) == (first["id"], "AzureADMyOrg")
    found = az("ad", "app", "list", "--display-name", name)
    assert [item["appId"] for item in found] == [first["appId"]]


def test_an_application_is_found_by_whatever_names_it(az: AzureCli, app: dict[str, Any]) -> None:
    uri = f"api://{app['appId']}"
    az("ad", "app", "update", "--id", app["appId"], "--identifier-uris", uri)

    ways = [
        [az("ad", "app", "show", "--id", app["id"])],
        [az("ad", "app", "show", "--id", uri)],
        az("ad", "app", "list", "--app-id", app["appId"]),
        az("ad", "app", "list", "--identifier-uri", uri),
        az("ad", "app", "list", "--filter", f"displayName eq '{app['displayName']}'"),
    ]

    assert [[item["id"] for item in found] for found in ways] == [[app["id"]]] * len(ways)
    assert app["id"] in az("ad", "app", "list", "--all", "--query", "[].id")


def test_an_update_changes_what_it_names(az: AzureCli, app: dict[str, Any]) -> None:
    change = ("--web-redirect-uris", "https://new.example/cb", "--set", "notes=hello")

    az("ad", "app", "update", "--id", app["appId"], *change)

    shown = az("ad", "app", "show", "--id", app["appId"])
    assert (shown["notes"], shown["displayName"]) == ("hello", app["displayName"])
    assert shown["web"]["redirectUris"] == ["https://new.example/cb"]


def test_a_deleted_application_is_not_found(az: AzureCli, app: dict[str, Any]) -> None:
    az("ad", "app", "delete", "--id", app["appId"])

    refusal = az.refused("ad", "app", "show", "--id", app["appId"])

    assert refusal.status == 3
    assert "does not exist" in refusal.message


def test_secrets_are_replaced_or_added(az: AzureCli, app: dict[str, Any]) -> None:
    credential = ("ad", "app", "credential")
    of_app = ("--id", app["appId"])
    az(*credential, "reset", *of_app, "--display-name", "lost")

    first = az(*credential, "reset", *of_app, "--display-name", "first")
    az(*credential, "reset", *of_app, "--append", "--display-name", "second", "--years", "2")
    listed = {item["displayName"]: item for item in az(*credential, "list", *of_app)}

    assert first["password"]
    assert listed.keys() == {"first", "second"}
    assert all(item["secretText"] is None for item in listed.values())
    az(*credential, "delete", *of_app, "--key-id", listed["first"]["keyId"])
    left = az(*credential, "list", *of_app)
    assert [item["displayName"] for item in left] == ["second"]


def test_a_certificate_that_it_makes_signs_in(az: AzureCli, app: dict[str, Any]) -> None:
    az("ad", "sp", "create", "--id", app["appId"])

    made = az("ad", "app", "credential", "reset", "--id", app["appId"], "--create-cert")
    listed = az("ad", "app", "credential", "list", "--id", app["appId"], "--cert")

    assert [(item["type"], item["key"]) for item in listed] == [("AsymmetricX509Cert", None)]
    person = az.elsewhere()
    person.login(app["appId"], "--certificate", made["fileWithCertAndPrivateKey"])


def test_federated_credentials_come_and_go(az: AzureCli, app: dict[str, Any]) -> None:
    noun = ("ad", "app", "federated-credential")
    of_app = ("--id", app["appId"])
    of_one = (*of_app, "--federated-credential-id", "cluster")
    create = (*noun, "create", *of_app, "--parameters")

    made = az(*create, json.dumps(TRUST))
    again = az.refused(*create, json.dumps(TRUST | {"subject": "another"}))
    alike = az.refused(*create, json.dumps(TRUST | {"name": "alike"}))
    az(*noun, "update", *of_one, "--parameters", json.dumps(TRUST | {"description": "ours"}))

    assert az(*noun, "show", *of_one)["description"] == "ours"
    assert [item["id"] for item in az(*noun, "list", *of_app)] == [made["id"]]
    assert "FederatedIdentityCredential with name cluster already exists." in again.message
    assert "combination of issuer and subject must be unique" in alike.message
    az(*noun, "delete", *of_one)
    assert az(*noun, "list", *of_app) == []
    assert "does not exist" in az.refused(*noun, "show", *of_one).message


def test_owners_are_added_and_removed(az: AzureCli, app: dict[str, Any]) -> None:
    principal = az("ad", "sp", "create", "--id", app["appId"])["id"]
    owner = ("ad", "app", "owner")
    of_app = ("--id", app["appId"])
    one = (*of_app, "--owner-object-id", principal)

    before = [item["id"] for item in az(*owner, "list", *of_app)]
    az(*owner, "add", *one)
    between = [item["id"] for item in az(*owner, "list", *of_app)]
    az(*owner, "remove", *one)

    assert sorted(between) == sorted([*before, principal])
    assert [item["id"] for item in az(*owner, "list", *of_app)] == before


def test_an_application_has_no_person(az: AzureCli) -> None:
    wanted = "/me request is only valid with delegated authentication flow."

    for command in (("signed-in-user", "show"), ("app", "list", "--show-mine")):
        assert wanted in az.refused("ad", *command).message


def test_any_request_can_be_made(az: AzureCli, app: dict[str, Any]) -> None:
    resource = az("cloud", "show")["endpoints"]["microsoftGraphResourceId"]
    graph = resource.rstrip("/")
    query = "$select=id,appId&$count=true&$top=1"

    page = az(
        *("rest", "--url", f"{graph}/v1.0/applications?{query}", "--resource", resource),
        *("--headers", "ConsistencyLevel=eventual"),
    )

    assert page["@odata.count"] > 1
    assert [sorted(item) for item in page["value"]] == [["appId", "id"]]
    assert page["@odata.nextLink"].startswith(f"{graph}/v1.0/applications?")
