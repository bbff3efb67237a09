"""What stays in the account of what was granted, and what the tenant alone takes back."""

from datetime import UTC, datetime, timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import Grants, TenantPolicy
from fhir_app_operator.planning import account, grants
from fhir_app_operator.planning.account import Entry, GrantedApi
from fhir_app_operator.planning.model import (
    AppRoleAssignment,
    AssignAppRole,
    ConsentToScopes,
    ObservedGrants,
    PermissionGrant,
    PermissionIds,
    RecordedGrant,
    UnassignAppRole,
    WithdrawScopes,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DOUBT = timedelta(minutes=30)
ROLE = Entry("sp", None, "role", "r1")
SCOPE = Entry("sp", None, "scope", "a")
THEIRS = Entry("own", "alice", "role", "r1")
ALL = frozenset({ROLE, SCOPE, THEIRS})
APIS = {
    name: GrantedApi(
        app_id="app", permissions=PermissionIds(app_roles={"reader": "r1"}, scopes={"a": "s1"}),
        server=True,
    )
    for name in ("sp", "own")
}  # fmt: skip


def held(principal, resource="sp"):
    return AppRoleAssignment(id="x", principal_id=principal, resource_id=resource, app_role_id="r1")


def tenant(*allowed, roles="Enabled", scopes="Enabled"):
    return Grants.model_validate(
        {"appRoleAssignments": roles, "delegatedConsent": scopes, "allowed": list(allowed)}
    )


def disallowed(grants, rules=None, apis=APIS):
    policy = TenantPolicy.model_validate(rules) if rules else None
    return account.disallowed(account.records(ALL), apis, grants, policy)


def test_an_account_is_the_same_by_its_entries_and_by_its_records():
    records = account.records(ALL)
    assert len(records) == 2
    assert account.entries(records) == ALL


def test_what_an_action_grants_is_shown_once_it_is_done_and_gone_once_it_is_taken_back():
    role = AssignAppRole(app_id="app", resource_id="sp", app_role_id="r1", value="reader")
    scope = ConsentToScopes(app_id="app", resource_id="sp", grant_id=None, added=frozenset("a"))
    assert account.given(role) | account.given(scope) == {ROLE, SCOPE}
    now = grants.fold(grants.fold(ObservedGrants(), role), scope)
    assert {ROLE, SCOPE} <= account.shown(now, "me")
    gone = account.taken_back(ALL, UnassignAppRole(assignment=held("me")), "me")
    assert gone == {SCOPE, THEIRS}
    withdrawn = WithdrawScopes(grant_id="g", resource_id="sp", removed=frozenset("a"))
    # A write from a read that was behind may bring it back: only reads can tell.
    assert account.taken_back(gone, withdrawn, "me") == gone
    assert account.withdrawn(withdrawn) == {SCOPE}


def test_one_read_that_does_not_show_a_grant_forgets_nothing():
    first = account.missed(ALL, frozenset({SCOPE}), {}, NOW)
    assert first == {ROLE: NOW, THEIRS: NOW}
    later = NOW + DOUBT
    assert account.given_up(first, later - timedelta(seconds=1), DOUBT) == frozenset()
    second = account.missed(ALL, frozenset({SCOPE, THEIRS}), first, later)
    assert account.given_up(second, later, DOUBT) == {ROLE}


def test_what_the_list_does_not_have_is_not_allowed():
    assert disallowed(tenant()) == ALL
    assert disallowed(tenant({"appRoles": ["read*"]})) == {SCOPE}
    assert disallowed(tenant({"appRoles": ["*"], "scopes": ["*"]})) == frozenset()


def test_an_opt_in_that_is_off_takes_nothing_back():
    assert disallowed(tenant(roles="Disabled")) == {SCOPE}
    assert disallowed(tenant(scopes="Disabled")) == {ROLE, THEIRS}


def test_a_list_of_servers_does_not_hold_for_other_apis():
    foreign = {"sp": GrantedApi(app_id="app", permissions=APIS["sp"].permissions, server=False)}
    everything = tenant({"appRoles": ["*"], "scopes": ["*"]})
    assert disallowed(everything, apis=foreign) == {ROLE, SCOPE}
    assert disallowed(everything, apis={}) == frozenset()


@pytest.mark.parametrize(("existing", "found"), [("Report", set()), ("Withdraw", {ROLE, THEIRS})])
def test_a_policy_takes_back_only_where_it_says_so(existing, found):
    everything = tenant({"appRoles": ["*"], "scopes": ["*"]})
    assert disallowed(everything, {"appRoles": ["none"], "existing": existing}) == found


def test_what_others_hold_is_taken_back_only_where_the_account_names_them():
    own = frozenset({ROLE})
    (action,) = account.withdrawals(own, "me", (held("me"), held("alice")), ())
    assert action.assignment.principal_id == "me"
    given = frozenset({THEIRS})
    (action,) = account.withdrawals(given, "me", (held("alice", "own"), held("bob", "own")), ())
    assert action.assignment.principal_id == "alice"


def test_scopes_of_others_stay_in_the_grant():
    live = PermissionGrant(id="g", resource_id="sp", scopes=frozenset("ab"))
    (action,) = account.withdrawals(frozenset({SCOPE}), "me", (), (live,))
    assert action.removed == {"a"}
    (left,) = grants.fold(ObservedGrants(consents=(live,)), action).consents
    assert left.scopes == {"b"}


def test_a_record_without_anything_is_none():
    assert account.entries((RecordedGrant(resource_id="sp"),)) == frozenset()
