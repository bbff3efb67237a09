"""`az ad app permission`: what an application asks for, and what it was granted."""

from typing import Any
from uuid import uuid4

import pytest

from entra_emulator import GRAPH_APP_ID
from entra_emulator.constants import GRAPH_SCOPES
from tests.clients.azure_cli import AzureCli

USER_READ = GRAPH_SCOPES["User.Read"]
NOUN = ("ad", "app", "permission")
OF_GRAPH = ("--api", GRAPH_APP_ID)


@pytest.fixture
def app(az: AzureCli) -> dict[str, Any]:
    made: dict[str, Any] = az("ad", "app", "create", "--display-name", f"portal {uuid4()}")
    return made


def test_permissions_are_asked_for_and_given_up(az: AzureCli, app: dict[str, Any]) -> None:
    of_app = ("--id", app["appId"])
    wanted = ("--api-permissions", f"{USER_READ}=Scope")

    az(*NOUN, "add", *of_app, *OF_GRAPH, *wanted)

    assert az(*NOUN, "list", *of_app) == [
        {
            "resourceAppId": GRAPH_APP_ID,
            "resourceAccess": [{"id": USER_READ, "type": "Scope"}],
        }
    ]
    az(*NOUN, "delete", *of_app, *OF_GRAPH)
    assert az(*NOUN, "list", *of_app) == []


def test_scopes_are_granted_to_all_users(az: AzureCli, app: dict[str, Any]) -> None:
    of_app = ("--id", app["appId"])
    principal = az("ad", "sp", "create", *of_app)["id"]

    granted = az(*NOUN, "grant", *of_app, *OF_GRAPH, "--scope", "User.Read")
    [listed] = az(*NOUN, "list-grants", *of_app, "--show-resource-name")

    assert granted["clientId"] == principal
    assert (listed["scope"], listed["consentType"]) == ("User.Read", "AllPrincipals")
    assert listed["resourceDisplayName"] == "Microsoft Graph"


def test_without_a_service_principal_nothing_is_granted(az: AzureCli, app: dict[str, Any]) -> None:
    grant = (*NOUN, "grant", "--id", app["appId"], *OF_GRAPH, "--scope", "User.Read")

    assert "reference-property objects are not present" in az.refused(*grant).message


def test_consent_of_the_portal_is_not_to_be_had(az: AzureCli, app: dict[str, Any]) -> None:
    refusal = az.refused(*NOUN, "admin-consent", "--id", app["appId"])

    assert refusal.status == 1
