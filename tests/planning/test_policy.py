"""What a tenant's policy lets a registration ask for, and what becomes of the rest."""

from dataclasses import replace

import pytest

from fhir_app_operator.api.v1alpha1 import Grants, TenantPolicy
from fhir_app_operator.api.v1alpha1.well_known import GRAPH_APP_ID
from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning import grants, policy
from fhir_app_operator.planning.differences import creation, differences
from fhir_app_operator.planning.model import (
    Application,
    AppRoleAssignment,
    Asked,
    CreateApplication,
    CreateServicePrincipal,
    ObservedGrants,
    PermissionIds,
    RecordedGrant,
    ResourceAccess,
    UpdateApplication,
    Violation,
)
from tests.planning.worlds import SERVER, desired

BOLD = replace(
    SERVER,
    permissions=PermissionIds(
        scopes={"user_impersonation": "id-scope"},
        app_roles={"globalReader": "id-reader", "globalAdmin": "id-admin"},
    ),
)
ROLES = ["globalReader", "globalAdmin"]
APP = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


def rules(**fields):
    return TenantPolicy.model_validate(fields)


def live(wanted, **fields):
    """The application as an earlier, laxer policy let it be written."""
    made = Application(object_id="o", app_id="a").with_changes(creation(wanted))
    return replace(made, **fields)


@pytest.mark.parametrize(
    ("value", "grave"),
    [
        ("globalReader", False), ("globalAdmin", True), ("Administrator", True),
        ("system.Patient.read", False), ("system.Patient.write", False),
        ("system.Patient.all", True), ("system.all.all", True), ("system.all.write", True),
        ("system.all.read", False), ("system.all.rs", False), ("system.all.crs", True),
        ("system.Patient.cruds", True), ("system.Patient.cu", False),
        ("system$*.*", True), ("system$Patient.*", True), ("system$*.rs", False),
        ("system.odd.zzz", False), ("user.all.all", False), ("global*", False),
        ("GlobalAdmin", True), ("administrator", True), ("System.All.All", True),
        ("SYSTEM$Patient.*", True),
    ],
)  # fmt: skip
def test_roles_that_may_do_everything_are_of_an_administrators_grade(value, grave):
    assert policy.is_admin_grade("app", value) is grave
    assert policy.allows_role(rules(), "app", value) is not grave
    assert policy.allows_role(rules(appRoles=[value]), "app", value)


@pytest.mark.parametrize("value", ["system/*.*", "system/Patient.cruds?a=b", "System/*.Write"])
def test_so_they_are_in_the_form_that_smart_writes(value):
    assert policy.is_admin_grade("app", value)


def test_each_role_of_microsoft_graph_is_listed_by_name():
    assert not policy.allows_role(rules(appRoles=["*", "User.*"]), GRAPH_APP_ID, "User.Read.All")
    assert policy.allows_role(rules(appRoles=["User.Read.All"]), GRAPH_APP_ID, "User.Read.All")


def test_a_narrow_list_means_what_it_says():
    narrow = rules(appRoles=["global*"], scopes=["patient.*"])
    assert policy.allows_role(narrow, "app", "globalReader")
    assert not policy.allows_role(narrow, "app", "other")
    assert policy.allows_scope(narrow, "patient.Goal.rs")
    assert not policy.allows_scope(narrow, "user_impersonation")


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("https://portal.clinic.example/callback", True),
        ("https://PORTAL.clinic.example:8443/callback", True),
        ("https://clinic.example/", False),
        ("https://evil.example/.clinic.example", False),
        ("https://portal.clinic.example.evil.example/", False),
        ("http://localhost:8080/x", True),
        ("http://127.0.0.1/x", False),
        ("msal1234://auth", True),
        ("portal://x.clinic.example/", False),
        ("https:portal.clinic.example", False),
    ],
)
def test_redirect_uris_go_by_their_host_or_by_their_own_scheme(uri, allowed):
    hosts = rules(redirectHosts=["*.clinic.example", "localhost", "msal*:"])
    assert policy.allows_redirect(hosts, uri) is allowed


def test_without_a_policy_only_roles_of_an_administrators_grade_are_barred():
    for kind in ("Confidential", "Public", "Resource"):
        assert desired(kind).violations == ()
    (found,) = desired("Service", server=BOLD, appRoles=ROLES).violations
    assert found.what == "app role 'globalAdmin' of FhirAppRegistration 'fhir-server'"


def test_what_every_sign_in_needs_is_no_violation():
    wanted = desired("Public", policy=rules(scopes=["user_impersonation"]))
    assert wanted.violations == ()


def test_an_application_against_the_policy_is_not_created():
    wanted = desired("Service", server=BOLD, appRoles=ROLES)
    create = CreateApplication(changes=creation(wanted), reason="x")
    with pytest.raises(Stalled, match="does not allow app role 'globalAdmin'") as caught:
        policy.refuse(wanted, None, (create,))
    assert caught.value.reason == "PolicyViolation"
    policy.refuse(desired("Service"), None, (create,))


def test_what_the_directory_has_stays_and_nothing_is_added():
    wanted = desired("Service", server=BOLD, appRoles=ROLES)
    application = live(wanted, display_name="old")
    update = UpdateApplication(changes=differences(wanted, application), reason="x")
    policy.refuse(wanted, application, (update, CreateServicePrincipal()))
    policy.complain(wanted)
    bare = live(wanted, resource_access=frozenset())
    with pytest.raises(Stalled, match="globalAdmin"):
        policy.refuse(
            wanted, bare, (UpdateApplication(changes=differences(wanted, bare), reason="x"),)
        )


def test_a_redirect_uri_against_the_policy_is_not_added_to_those_that_are_there():
    narrow = rules(redirectHosts=["portal.example"])
    before = desired("Confidential")
    more = ["https://portal.example/b", "https://portal.example/a", "https://evil.example/"]
    wanted = desired("Confidential", policy=narrow, redirectUris={"web": more})
    application = live(before)
    update = UpdateApplication(changes=differences(wanted, application), reason="x")
    with pytest.raises(Stalled, match=r"redirect URI 'https://evil.example/'"):
        policy.refuse(wanted, application, (update,))


def test_withdrawing_takes_it_out_of_what_is_wanted_and_says_so():
    strict = rules(existing="Withdraw", redirectHosts=["portal.example"])
    uris = {"web": ["https://portal.example/b", "https://old.example/"]}
    wanted = desired("Confidential", policy=strict, redirectUris=uris)
    assert wanted.application.redirect_uris.web == {"https://portal.example/b"}
    wanted = desired("Service", server=BOLD, policy=strict, appRoles=ROLES)
    assert {access.id for access in wanted.application.resource_access} == {"id-reader"}
    application = live(desired("Service", server=BOLD, appRoles=ROLES))
    update = UpdateApplication(changes=differences(wanted, application), reason="x")
    policy.refuse(wanted, application, (update,))
    with pytest.raises(Stalled, match=r"globalAdmin.*withdrawn") as caught:
        policy.complain(wanted)
    assert caught.value.reason == "PolicyViolation"


ALLOWED = Grants.model_validate({"appRoleAssignments": "Enabled", "allowed": [{"appRoles": ["*"]}]})
HELD = ObservedGrants(
    resources={SERVER.app_id: "sp"},
    assignments=(
        AppRoleAssignment(id="1", principal_id="me", resource_id="sp", app_role_id="id-admin"),
    ),
    recorded=(RecordedGrant(resource_id="sp", app_roles=frozenset({"id-admin"})),),
)


def test_a_role_against_the_policy_is_neither_granted_nor_taken_back_while_it_is_reported():
    wanted = desired("Service", server=BOLD, grants=ALLOWED, appRoles=["globalAdmin"]).grants
    assert grants.plan(wanted, HELD) == ()
    bare = replace(HELD, assignments=(), recorded=())
    assert grants.plan(wanted, bare) == ()
    assert "(against `policy` of" in grants.report(wanted, bare, "https://x").message


def test_a_role_that_is_withdrawn_is_taken_back():
    strict = rules(existing="Withdraw")
    wanted = desired("Service", server=BOLD, grants=ALLOWED, policy=strict, appRoles=ROLES).grants
    first, second = grants.plan(wanted, HELD)
    assert first.assignment == HELD.assignments[0]
    assert second.value == "globalReader"


def test_a_long_list_of_violations_is_cut():
    uris = [f"https://h{number}.example/" for number in range(25)]
    wanted = desired("Confidential", policy=rules(redirectHosts=[]), redirectUris={"web": uris})
    assert policy.said(wanted.violations).endswith("and 5 more")


def test_a_barred_role_bars_no_scope_of_the_same_id_and_no_role_of_another_api():
    shared = {"everything": "id-1"}
    found = (
        Asked(app_id=APP, name="x", app_roles=shared, scopes=shared),
        Asked(app_id=OTHER, name="y", app_roles=shared),
    )
    barred = frozenset({ResourceAccess(resource_app_id=APP, type="Role", id="id-1")})
    broken = [Violation(what="it", access=access) for access in barred]
    first, second = policy.allowed_only(found, broken)
    assert (first.app_roles, first.scopes, second.app_roles) == ({}, shared, shared)
    everything = Grants.model_validate(
        {
            "appRoleAssignments": "Enabled",
            "delegatedConsent": "Enabled",
            "allowed": [{"appId": api.app_id, "appRoles": ["*"], "scopes": ["*"]} for api in found],
        }
    )
    wants = [grants.wanted(everything, api, for_all=True, barred=barred) for api in found]
    assert [(sorted(w.grantable_roles), sorted(w.grantable_scopes)) for w in wants] == [
        ([], ["everything"]), (["everything"], []),
    ]  # fmt: skip
    assert wants[0].kept_role_ids == {"id-1"}
