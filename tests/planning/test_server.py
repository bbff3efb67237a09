"""The facts of FHIR servers that have no registration, as the client's manifest tells them."""

from dataclasses import replace

import pytest

from fhir_app_operator.api.v1alpha1 import Grants, ServerAddress
from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning.model import PermissionIds
from fhir_app_operator.planning.server import unregistered_server
from tests.planning.worlds import SERVER, desired

URL = "https://fhir.hospital.example/r4"
APP_ID = "99999999-9999-4999-8999-999999999999"
IDS = PermissionIds(scopes={"user_impersonation": "s"}, app_roles={"globalReader": "r"})


def server(**address):
    found = ServerAddress.model_validate({"url": URL, "appId": APP_ID} | address)
    return unregistered_server(found, IDS)


@pytest.mark.parametrize(
    ("address", "audience", "scope", "authority"),
    [
        ({}, URL, f"{URL}/.default", "https://login.example/11111111-1111-1111-1111-111111111111"),
        ({"audience": "api://fhir"}, "api://fhir", "api://fhir/.default",
         "https://login.example/11111111-1111-1111-1111-111111111111"),
        ({"audience": "api://fhir", "tokenVersion": 2}, APP_ID, "api://fhir/.default",
         "https://login.example/11111111-1111-1111-1111-111111111111/v2.0"),
        ({"audience": APP_ID}, APP_ID, f"{APP_ID}/.default",
         "https://login.example/11111111-1111-1111-1111-111111111111"),
    ],
)  # fmt: skip
def test_audience_and_authority_follow_the_version_of_its_tokens(
    address, audience, scope, authority
):
    facts = desired("Service", server=server(**address)).connection
    assert facts["FHIR_SERVER_URL"] == URL
    assert facts["FHIR_AUDIENCE"] == audience
    assert facts["FHIR_SCOPE"] == scope
    assert facts["FHIR_AUTHORITY"] == authority


def test_permissions_are_asked_for_on_its_api():
    wanted = desired("Service", server=server())
    assert {(r.resource_app_id, r.id) for r in wanted.application.resource_access} == {
        (APP_ID, "r")
    }


def test_it_does_not_count_as_a_server_of_the_tenant_s_registrations():
    """What the tenant's `grants` allow on registered servers is not meant for it."""
    grants = Grants.model_validate(
        {"appRoleAssignments": "Enabled", "allowed": [{"appRoles": ["global*"]}]}
    )
    for facts, allowed in ((SERVER, {"globalReader"}), (server(), set())):
        (api,) = desired("Service", server=facts, grants=grants).grants.apis
        assert set(api.grantable_roles) == allowed


def test_a_role_that_it_does_not_have_is_named_with_those_it_has():
    bare = replace(server(), permissions=PermissionIds(app_roles={"other": "o"}))
    with pytest.raises(Stalled, match=f"of API {APP_ID} .it has: other.; correct the value$"):
        desired("Service", server=bare)
