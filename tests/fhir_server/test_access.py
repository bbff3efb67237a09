"""Roles and scopes as the open-source FHIR server reads them."""

import pytest

from tests.fhir_server.access import AZURE_ROLES, ROLES, Denied, actions_of, check


def status(interaction, kind, roles, scopes=(), table=ROLES):
    try:
        check(interaction, kind, granted=actions_of(roles, table), scopes=scopes)
    except Denied as denied:
        return denied.status
    return 200


@pytest.mark.parametrize(
    ("role", "search", "create", "delete"),
    [
        ("globalReader", 200, 403, 403), ("globalExporter", 200, 403, 403),
        ("globalWriter", 200, 200, 200), ("globalAdmin", 200, 200, 200),
        ("reader", 403, 403, 403), ("", 403, 403, 403),
    ],
)  # fmt: skip
def test_a_role_allows_what_the_servers_roles_json_says(role, search, create, delete):
    found = [status(each, "Patient", [role]) for each in ("search", "create", "delete")]
    assert found == [search, create, delete]


@pytest.mark.parametrize(
    ("scope", "search", "read", "create"),
    [
        ("user.Observation.read", 200, 200, 403), ("user/Observation.rs", 200, 200, 403),
        ("user.Observation.s", 200, 403, 403), ("user.Observation.r", 403, 200, 403),
        ("user.Observation.write", 403, 403, 200), ("user$Observation.cruds", 200, 200, 200),
        ("patient.all.all", 200, 200, 200), ("patient$*.*", 200, 200, 200),
        ("user.Patient.read", 403, 403, 403), ("launch.patient", 403, 403, 403),
        ("user.Observation.rs?code=http:%2f%2floinc.org|1", 200, 200, 403),
    ],
)  # fmt: skip
def test_smart_scopes_narrow_what_a_smart_user_may(scope, search, read, create):
    found = [
        status(each, "Observation", ["smartUser"], [scope]) for each in ("search", "read", "create")
    ]
    assert found == [search, read, create]


def test_scopes_are_not_read_without_the_smart_action():
    assert status("create", "Patient", ["globalAdmin"], ["user.Observation.read"]) == 200


def test_a_smart_user_without_scopes_may_nothing():
    assert status("search", "Patient", ["smartUser"]) == 403


@pytest.mark.parametrize(
    "scopes",
    [
        ["patient.all.read", "user.all.read"], ["user.all.read", "user.Patient.rs"],
        ["user.Patient.rs-only"], ["user.all.rs", "system.all.rs"],
    ],
)  # fmt: skip
def test_mixed_and_broken_scopes_are_a_bad_request(scopes):
    assert status("search", "Patient", ["smartUser"], scopes) == 400


def test_on_a_managed_service_azures_roles_decide():
    assert status("search", "Patient", ["FHIR Data Reader"], table=AZURE_ROLES) == 200
    assert status("create", "Patient", ["FHIR Data Reader"], table=AZURE_ROLES) == 403
    assert status("search", "Patient", ["globalReader"], table=AZURE_ROLES) == 403
