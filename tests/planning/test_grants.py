"""What may be granted, what is, and what is taken back: literals in, actions and words out."""

from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import Grants
from fhir_app_operator.api.v1alpha1.well_known import GRAPH_APP_ID
from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning import account as accounts
from fhir_app_operator.planning import asked, grants
from fhir_app_operator.planning.model import (
    AppRoleAssignment,
    AssignAppRole,
    ConsentToScopes,
    DesiredGrants,
    ObservedGrants,
    PermissionGrant,
    PermissionIds,
    RecordedGrant,
    UnassignAppRole,
    WantedGrants,
    WithdrawScopes,
)
from tests.planning.worlds import DIRECTORY, desired, registration

URL = "https://login.example/t/adminconsent?client_id=a"
ALL = {"appRoleAssignments": "Enabled", "delegatedConsent": "Enabled"}


def tenant(*allowed, **fields):
    return Grants.model_validate(ALL | {"allowed": list(allowed)} | fields)


SERVERS = {"appRoles": ["global*"], "scopes": ["*"]}


def api(**fields):
    found = {"app_id": "app", "name": "API 'x'", "app_roles": {"reader": "r1", "writer": "r2"}}
    return WantedGrants(**found | fields)


def wanted(*apis, assigns=True, consents=True, **fields):
    return DesiredGrants(apis=apis, assigns=assigns, consents=consents, **fields)


def assignment(role_id="r1", resource_id="sp", name="a1"):
    return AppRoleAssignment(
        id=name, principal_id="me", resource_id=resource_id, app_role_id=role_id
    )


def observed(*assignments, consents=(), recorded=(), resources=None):
    return ObservedGrants(
        resources={"app": "sp"} if resources is None else resources,
        assignments=assignments, consents=consents, recorded=recorded,
    )  # fmt: skip


def consent(*scopes, resource_id="sp"):
    return PermissionGrant(id="g1", resource_id=resource_id, scopes=frozenset(scopes))


def account(*roles, scopes=(), resource_id="sp"):
    return RecordedGrant(
        resource_id=resource_id, app_roles=frozenset(roles), scopes=frozenset(scopes)
    )


@pytest.mark.parametrize(
    ("pattern", "value", "meant"),
    [
        ("globalReader", "globalReader", True),
        ("globalReader", "globalReaderX", False),
        ("global*", "globalReader", True),
        ("system.*.all", "system.Patient.all", True),
        ("system.*.all", "systemXPatientXall", False),
        ("*", "anything", True),
        ("a*a", "a", False),
        ("a*b*b", "axb", False),
        ("a*b*c", "a.b.b.c", True),
        ("*.read*", "user.read.all", True),
        ("*a" * 30 + "b", "a" * 119, False),
    ],
)
def test_a_star_stands_for_any_characters_and_a_dot_for_itself(pattern, value, meant):
    assert grants.matches(pattern, value) is meant


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        (None, False),
        (tenant(), False),
        (tenant(SERVERS), True),
        (tenant(SERVERS, appRoleAssignments="Disabled"), False),
        (tenant({"appRoles": ["globalWriter"]}), False),
        (tenant({"appId": GRAPH_APP_ID, "appRoles": ["globalReader"]}), False),
    ],
)
def test_a_servers_role_is_assigned_only_where_it_is_listed(said, allowed):
    assert grants.may_assign(said, "app", "globalReader", server=True) is allowed


def test_an_entry_without_an_api_means_registered_servers_and_no_other_api():
    assert not grants.may_assign(tenant(SERVERS), "app", "globalReader", server=False)
    assert not grants.may_consent(tenant(SERVERS), "app", "read", server=False)
    named = tenant({"wellKnown": "AzureHealthcareApis", "appRoles": ["system.*"]})
    app_id = "4f6778d8-5aef-43dc-a1ff-b073724b9495"
    assert grants.may_assign(named, app_id, "system.all.read", server=False)


def test_roles_of_microsoft_graph_are_listed_by_name_or_not_at_all():
    for entry in ({"appRoles": ["*"]}, {"wellKnown": "MicrosoftGraph", "appRoles": ["User.*"]}):
        assert not grants.may_assign(tenant(entry), GRAPH_APP_ID, "User.Read.All", server=False)
    named = tenant({"wellKnown": "MicrosoftGraph", "appRoles": ["User.Read.All"]})
    assert grants.may_assign(named, GRAPH_APP_ID, "User.Read.All", server=False)


@pytest.mark.parametrize(
    ("said", "value", "allowed"),
    [
        (None, "read", False),
        (tenant(SERVERS, delegatedConsent="Disabled"), "read", False),
        (tenant(SERVERS), "read", True),
        (tenant(SERVERS), "patient.Observation.read", False),
        (tenant({"scopes": ["patient.*"]}), "patient.Observation.read", False),
        (tenant({"scopes": ["patient.Observation.read"]}), "patient.Observation.read", True),
        (tenant(SERVERS), "patients", True),
    ],
)
def test_a_patients_scope_is_consented_to_only_by_name(said, value, allowed):
    assert grants.may_consent(said, "app", value, server=True) is allowed


def test_what_every_sign_in_needs_of_microsoft_graph_goes_without_saying():
    assert grants.may_consent(tenant(), GRAPH_APP_ID, "openid", server=False)
    assert not grants.may_consent(tenant(), GRAPH_APP_ID, "User.Read", server=False)
    assert not grants.may_consent(None, GRAPH_APP_ID, "openid", server=False)


def test_a_service_wants_its_roles_and_a_users_client_its_scopes_if_it_says_so():
    (service,) = desired("Service", grants=tenant(SERVERS)).grants.apis
    assert (service.app_roles, service.scopes) == ({"globalReader": "id-reader"}, frozenset())
    assert service.kept_role_ids == {"id-reader"}
    quiet = desired("Public", grants=tenant(SERVERS)).grants
    assert (quiet.apis, quiet.asks_users) == ((), True)
    loud = desired("Public", grants=tenant(SERVERS), consent="Admin").grants
    assert [sorted(each.grantable_scopes) for each in loud.apis] == [
        ["user_impersonation"], ["offline_access", "openid"],
    ]  # fmt: skip
    assert desired("Resource").grants == DesiredGrants()


def test_what_is_missing_and_allowed_is_granted_and_nothing_twice():
    wants = wanted(api(grantable_roles=frozenset({"reader", "writer"})))
    (action,) = grants.plan(wants, observed(assignment("r2")))
    assert action == AssignAppRole(app_id="app", resource_id="sp", app_role_id="r1", value="reader")
    after = grants.fold(observed(assignment("r2")), action)
    assert grants.plan(wants, after) == ()


def test_a_role_of_another_api_with_the_same_id_counts_for_nothing():
    wants = wanted(api(grantable_roles=frozenset({"reader"})))
    assert len(grants.plan(wants, observed(assignment(resource_id="other")))) == 1


def test_scopes_are_merged_into_the_one_grant_of_client_and_api():
    wants = wanted(
        api(app_roles={}, scopes=frozenset({"a", "b"}), grantable_scopes=frozenset("ab"))
    )
    (made,) = grants.plan(wants, observed())
    assert (made.grant_id, made.added) == (None, {"a", "b"})
    assert grants.plan(wants, grants.fold(observed(), made)) == ()
    before = observed(consents=(consent("a", "z"),))
    (changed,) = grants.plan(wants, before)
    assert (changed.grant_id, changed.added) == ("g1", {"b"})
    assert grants.fold(before, changed).consents == (consent("a", "b", "z"),)


def test_a_grant_that_ends_with_what_is_taken_back_is_made_anew():
    wants = wanted(api(app_roles={}, scopes=frozenset("a"), grantable_scopes=frozenset("a")))
    live = observed(consents=(consent("b"),), recorded=(account(scopes=["b"]),))
    withdrawn, made = grants.plan(wants, live)
    assert (withdrawn.removed, made.grant_id, made.added) == ({"b"}, None, {"a"})


def test_only_what_the_operator_granted_is_taken_back():
    live = observed(assignment("r1"), assignment("r2", name="a2"), recorded=(account("r2"),))
    wants = wanted(api(app_roles={}))
    (action,) = grants.plan(wants, live)
    assert action == UnassignAppRole(assignment=assignment("r2", name="a2"))
    after = grants.fold(live, action)
    assert grants.plan(wants, after) == ()


def test_a_role_that_is_not_allowed_any_more_is_taken_back_too():
    live = observed(assignment("r1"), recorded=(account("r1"),))
    assert grants.plan(wanted(api()), live) == (UnassignAppRole(assignment=assignment("r1")),)
    kept = wanted(api(grantable_roles=frozenset({"reader"})))
    assert grants.plan(kept, live) == ()


def test_an_api_that_nobody_asks_for_loses_what_was_granted_on_it():
    live = observed(assignment("r9", "old"), recorded=(account("r9", resource_id="old"),))
    (action,) = grants.plan(wanted(), live)
    assert action.assignment.resource_id == "old"


def test_scopes_of_others_stay_when_ours_are_taken_back():
    live = observed(consents=(consent("a", "b"),), recorded=(account(scopes=["b", "c"]),))
    wants = wanted(api(app_roles={}))
    (action,) = grants.plan(wants, live)
    assert action == WithdrawScopes(grant_id="g1", resource_id="sp", removed=frozenset("b"))
    assert grants.plan(wants, grants.fold(live, action)) == ()


@pytest.mark.parametrize(
    "wants",
    [
        wanted(assigns=False, consents=False),
        wanted(api(app_id="hidden", app_roles={})),
    ],
)
def test_nothing_is_taken_back_without_the_tenants_leave_or_while_an_api_is_not_seen(wants):
    live = observed(
        assignment("r1"), consents=(consent("a"),), recorded=(account("r1", scopes=["a"]),)
    )
    assert grants.plan(wants, live) == ()


def test_the_account_is_written_before():
    wants = wanted(
        api(grantable_roles=frozenset({"reader"}), scopes=frozenset("a"),
            grantable_scopes=frozenset("a")),
    )  # fmt: skip
    live = observed(assignment("r7"), recorded=(account("r7"), account("r0", resource_id="gone")))
    actions = grants.plan(wants, live)
    intended = accounts.intended(live.recorded, actions)
    assert intended == (account("r0", resource_id="gone"), account("r1", "r7", scopes=["a"]))


def test_a_new_api_gets_an_account_of_its_own():
    made = ConsentToScopes(app_id="app", resource_id="sp", grant_id=None, added=frozenset("a"))
    taken = UnassignAppRole(assignment=assignment())
    assert accounts.intended((), (taken, made)) == (account(scopes=["a"]),)


def test_what_is_written_is_checked_against_what_the_api_exposes_now():
    role = AssignAppRole(app_id="app", resource_id="sp", app_role_id="r1", value="reader")
    assert grants.is_exposed(role, PermissionIds(app_roles={"reader": "r1"}))
    assert not grants.is_exposed(role, PermissionIds(app_roles={"admin": "r1"}))
    scope = ConsentToScopes(app_id="app", resource_id="sp", grant_id=None, added=frozenset("a"))
    assert grants.is_exposed(scope, PermissionIds(scopes={"a": "s1"}))
    assert not grants.is_exposed(scope, PermissionIds())


def test_a_report_lists_what_is_missing_and_where_to_consent():
    said = grants.report(wanted(api(scopes=frozenset("z")), assigns=False), observed(), URL)
    assert (said.status, said.reason) == ("False", "ConsentMissing")
    assert (
        "app role 'reader' of API 'x'; app role 'writer' of API 'x'; scope 'z' of" in said.message
    )
    assert "(not in `grants.allowed` of the EntraTenant)" in said.message.partition("'z'")[2]
    assert "grants.allowed" not in said.message.partition("'z'")[0]
    assert said.message.endswith(URL)


def test_a_long_list_is_cut():
    many = api(app_roles={f"role{n:02}": f"id{n}" for n in range(25)})
    assert "and 5 more" in grants.report(wanted(many), observed(), URL).message


def test_a_report_says_so_when_all_is_granted():
    live = observed(assignment("r1"), assignment("r2"), consents=(consent("a"),))
    said = grants.report(wanted(api(scopes=frozenset("a"))), live, URL)
    assert (said.status, said.reason) == ("True", "Granted")


def test_users_consent_is_theirs_and_known_to_nobody():
    said = grants.report(wanted(asks_users=True), observed(), URL)
    assert (said.status, said.reason) == ("Unknown", "UserConsent")
    assert URL in said.message


@pytest.mark.parametrize(("unreadable", "status"), [(True, "Unknown"), (False, "False")])
def test_a_failure_is_told_with_its_own_reason(unreadable, status):
    error = Stalled("PermissionDenied", "it may not")
    said = grants.unsettled(error, URL, unreadable=unreadable)
    assert (said.status, said.reason) == (status, "PermissionDenied")
    assert URL in said.message


@pytest.mark.parametrize(
    ("age", "pending", "wait"),
    [
        (timedelta(0), 0, timedelta(minutes=1)),
        (timedelta(hours=1), 1, timedelta(minutes=30)),
        (timedelta(0), 100, timedelta(minutes=100)),
        (timedelta(days=30), 1, timedelta(days=1)),
        (timedelta(0), 5000, timedelta(days=1)),
    ],
)
def test_looks_become_rarer_with_age_and_with_company(age, pending, wait):
    assert grants.recheck_after(age, pending) == wait


def test_only_users_clients_ask_something_of_microsoft_graph():
    assert asked.apis(registration("Service")) == {}
    assert asked.apis(registration("Public")) == {GRAPH_APP_ID: {"openid", "offline_access"}}


def test_the_page_for_consent_belongs_to_tenant_and_client():
    tenant_id = DIRECTORY.tenant_id
    expected = f"https://login.example/{tenant_id}/adminconsent?client_id=app"
    assert DIRECTORY.admin_consent_url("app") == expected


def test_values_of_an_api_are_those_of_roles_and_scopes():
    assert PermissionIds(scopes={"a": "1"}, app_roles={"b": "2"}).values == {"a", "b"}
