"""Who is given app roles of a server, what is missing, and what is taken back."""

import pytest

from fhir_app_operator.api.v1alpha1 import Grants, TenantPolicy
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning import account as accounts
from fhir_app_operator.planning import assignments, grants
from fhir_app_operator.planning.model import (
    AppRoleAssignment,
    AssignAppRole,
    ObservedGrants,
    RecordedGrant,
    UnassignAppRole,
)
from tests.planning.worlds import SPECS, desired

ALICE = "aaaaaaaa-0000-0000-0000-000000000001"
GROUP = "aaaaaaaa-0000-0000-0000-000000000002"
ROLES = {"globalReader": "r1", "globalWriter": "r2", "globalAdmin": "r3"}
ENABLED = Grants.model_validate({"appRoleAssignments": "Enabled", "allowed": [{"appRoles": ["*"]}]})


def given(*entries, tenant=ENABLED, policy=None, **fields):
    resource = SPECS["Resource"]["resource"] | fields | {
        "assignments": [{"principalId": who, "appRoles": list(what)} for who, what in entries]
    }  # fmt: skip
    return desired("Resource", resource=resource, grants=tenant, policy=policy).grants


def held(who, role_id, name="1"):
    return AppRoleAssignment(id=name, principal_id=who, resource_id="sp", app_role_id=role_id)


def live(*found, recorded=(), roles=None):
    return ObservedGrants(
        assignments=found, recorded=recorded, own_app_id="app", own_roles=roles or ROLES
    )


def account(who, *roles):
    return RecordedGrant(resource_id="sp", principal_id=who, app_roles=frozenset(roles))


def test_each_is_given_what_it_has_not_got_yet_and_then_nothing_is_left_to_do():
    wants = given((ALICE, ["globalReader"]), (GROUP, ["globalReader", "globalWriter"]))
    now = live(held(GROUP, "r1"))
    actions = assignments.plan(wants, now, "sp")
    assert actions == (
        AssignAppRole(app_id="app", resource_id="sp", app_role_id="r1", value="globalReader",
                      principal_id=ALICE),
        AssignAppRole(app_id="app", resource_id="sp", app_role_id="r2", value="globalWriter",
                      principal_id=GROUP),
    )  # fmt: skip
    intended = accounts.intended(now.recorded, actions)
    assert intended == (account(ALICE, "r1"), account(GROUP, "r2"))
    for action in actions:
        now = grants.fold(now, action)
    assert assignments.plan(wants, now, "sp") == ()


def test_only_what_the_account_names_is_taken_back():
    now = live(
        held(ALICE, "r1", "ours"), held(ALICE, "r2", "of others"), held(GROUP, "r1", "of others"),
        recorded=(account(ALICE, "r1"), account("gone", "r1")),
    )  # fmt: skip
    (action,) = assignments.plan(given(), now, "sp")
    assert action == UnassignAppRole(assignment=held(ALICE, "r1", "ours"))
    assert grants.plan(given(), now) == ()
    assert assignments.plan(given(tenant=None), now, "sp") == ()


def test_nothing_is_taken_back_while_the_directory_hides_a_role():
    now = live(held(ALICE, "r2"), recorded=(account(ALICE, "r2"),), roles={"globalReader": "r1"})
    assert assignments.plan(given((ALICE, ["globalWriter"])), now, "sp") == ()


def test_what_the_tenant_does_not_allow_is_told_with_the_command_that_assigns_it():
    wants = given((ALICE, ["globalReader"]), tenant=None)
    assert assignments.plan(wants, live(), "sp") == ()
    said = assignments.report(wants, live(), "sp", "https://graph.example")
    assert (said.status, said.reason) == ("False", "AssignmentMissing")
    assert f"app role 'globalReader' to {ALICE}. An" in said.message
    assert "https://graph.example/v1.0/servicePrincipals/sp/appRoleAssignedTo" in said.message
    assert f'{{"principalId": "{ALICE}", "resourceId": "sp", "appRoleId": "r1"}}' in said.message
    narrow = given((ALICE, ["globalReader"]), tenant=ENABLED.model_copy(update={"allowed": ()}))
    said = assignments.report(narrow, live(), "sp", "https://graph.example")
    assert "(not in `grants.allowed`" in said.message


def test_a_report_says_so_when_all_is_assigned():
    said = assignments.report(given((ALICE, ["globalReader"])), live(held(ALICE, "r1")), "sp", "x")
    assert (said.status, said.reason) == ("True", "Granted")


@pytest.mark.parametrize(("existing", "kept"), [("Report", True), ("Withdraw", False)])
def test_a_role_of_an_administrators_grade_is_not_given_and_kept_only_where_it_is_reported(
    existing, kept
):
    policy = TenantPolicy.model_validate({"existing": existing})
    wants = given((ALICE, ["globalAdmin"]), policy=policy)
    assert assignments.plan(wants, live(), "sp") == ()
    now = live(held(ALICE, "r3"), recorded=(account(ALICE, "r3"),))
    assert (assignments.plan(wants, now, "sp") == ()) is kept
    by_name = TenantPolicy.model_validate({"appRoles": ["globalAdmin"]})
    wants = given((ALICE, ["globalAdmin"]), policy=by_name)
    assert len(assignments.plan(wants, live(), "sp")) == 1


def test_smart_roles_are_given_as_entra_spells_them():
    roles = {"presets": ["SmartBackend"]}
    (wanted,) = given((ALICE, ["system/Patient.rs"]), appRoles=roles).assignments
    assert wanted.value == "system.Patient.rs"


@pytest.mark.parametrize("name", ["x", "system/Odd.rs"])
def test_a_role_that_the_server_does_not_declare_is_invalid(name):
    with pytest.raises(
        Invalid, match=rf"resource.assignments\[0\].appRoles\[1\]`: '{name}' is not"
    ):
        given((ALICE, ["globalReader", name]))
