"""Each link of the chain, as it holds and as it is missing, and what to do about it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import Condition, CredentialType, Grants
from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning import secret_data
from fhir_app_operator.planning.expectation import rows
from fhir_app_operator.planning.explain import Facts, Granted, expectation, links, permissions
from fhir_app_operator.planning.model import (
    Application,
    AppRole,
    AppRoleAssignment,
    FederatedIdentityCredential,
    Observed,
    PermissionGrant,
    SecretState,
)
from fhir_app_operator.planning.server import own_server
from tests.planning.worlds import (
    FEDERATED,
    NOW,
    SERVER,
    desired,
    made,
    password,
    registration,
)

CONSENTS = (
    PermissionGrant(id="g", resource_id="sp-server", scopes=frozenset({"user_impersonation"})),
)
HELD = (
    AppRoleAssignment(
        id="x", principal_id="sp", resource_id="sp-server", app_role_id="id-reader"
    ),
)  # fmt: skip


def condition(kind, status, reason="Reason", message="do this"):
    return Condition(
        type=kind, status=status, reason=reason, message=message, last_transition_time=NOW,
        observed_generation=1,
    )  # fmt: skip


def facts(kind="Service", *, ready=True, grants=None, more=(), server=SERVER, **spec):
    """A registration for which everything is in place but what is granted."""
    wanted = desired(kind, None if kind == "Resource" else server, grants=grants, **spec)
    manifest = registration(kind, **spec)
    found = (condition("Ready", "True", "Succeeded", ""), *more) if ready else more
    status = manifest.status.model_copy(update={"conditions": found})
    has_secret = kind in ("Service", "Confidential")
    application = Application(
        object_id="o", app_id="a", passwords=(password("k1"),) if has_secret else (),
        app_roles=wanted.application.exposure.app_roles, scopes=wanted.application.exposure.scopes,
        resource_access=wanted.application.resource_access,
    )  # fmt: skip
    secret = SecretState(
        ours=True, key_id="k1", data=secret_data.data(wanted, made("a")),
        type=CredentialType.CLIENT_SECRET if has_secret else None,
    )  # fmt: skip
    return Facts(
        registration=manifest.model_copy(update={"status": status}),
        observed=Observed(application=application, service_principal_id="sp", secret=secret),
        desired=wanted,
        server=own_server(manifest) if kind == "Resource" else server,
        resources={"app-server": "sp-server"}, assignments=(), consents=(), now=NOW,
    )  # fmt: skip


def changed(given, **observed):
    return replace(given, observed=replace(given.observed, **observed))


def with_application(given, **properties):
    return changed(given, application=replace(given.observed.application, **properties))


def with_secret(given, **properties):
    return changed(given, secret=replace(given.observed.secret, **properties))


def link(given, what):
    return next(each for each in links(given) if each.what.startswith(what))


@pytest.mark.parametrize("kind", ["Resource", "Confidential", "Public", "Service"])
def test_a_chain_that_holds_has_nothing_to_do(kind):
    assert [each for each in links(facts(kind)) if each.remedy] == []


def test_the_chain_is_told_in_its_order():
    assert [each.what for each in links(facts())] == [
        "registration (Service)", "FHIR server 'fhir-server'", "its client id",
        "application (client id)", "application (object id)", "service principal (id)",
        "credential", "Secret 'portal'",
    ]  # fmt: skip
    assert [each.what for each in links(facts("Resource"))] == [
        "registration (Resource)", "application (client id)", "application (object id)",
        "service principal (id)", "exposes", "Secret 'portal'",
    ]  # fmt: skip


def test_a_registration_tells_what_keeps_it_from_being_ready():
    unready = facts(ready=False, more=(condition("Ready", "False", "PermissionDenied"),))
    assert link(unready, "registration").state == "PermissionDenied"
    assert link(unready, "registration").remedy == "do this"
    assert "operator running" in link(facts(ready=False), "registration").remedy
    assert link(facts(suspend=True), "registration").state == "suspended"


def test_what_a_reference_lacks_is_told_once():
    error = Waiting("FhirServerNotFound", "`fhirServerRef`: it does not exist")
    stopped = replace(facts(), stopped=error, desired=None, server=None)
    assert link(stopped, "what it refers to").remedy == error.message
    said = condition("Ready", "False", "FhirServerNotFound")
    twice = replace(facts(ready=False, more=(said,)), stopped=error)
    assert not [each for each in links(twice) if each.what == "what it refers to"]


def test_a_missing_application_ends_the_chain():
    missing = changed(facts(), application=None, secret=None)
    assert [(each.what, each.state) for each in links(missing)[3:]] == [
        ("application", "missing"), ("Secret 'portal'", "missing"),
    ]  # fmt: skip
    assert all(each.remedy for each in links(missing)[3:])
    binned = changed(missing, deleted_application_id="o")
    assert link(binned, "application").state == "in Entra's bin"


def test_a_missing_service_principal_is_told():
    assert link(changed(facts(), service_principal_id=None), "service principal").remedy


def test_a_server_that_exposes_nothing_yet_is_told():
    role = AppRole(
        id="r", value="v", display_name="v", description="v",
        allowed_member_types=frozenset({"User"}), is_enabled=False,
    )  # fmt: skip
    empty = with_application(facts("Resource"), app_roles=(role,), scopes=())
    assert link(empty, "exposes").state == "0 app roles, 0 scopes"
    assert link(empty, "exposes").remedy


@pytest.mark.parametrize(
    ("secret", "application", "state"),
    [
        ({"type": None}, {}, "none in the Secret"),
        ({"key_id": "k2"}, {}, "ClientSecret, which Entra does not show"),
        ({}, {"passwords": (password("k1", lifetime=-timedelta(days=1)),)}, "ended 2026-02-28"),
    ],
)  # fmt: skip
def test_a_credential_that_cannot_work_is_told(secret, application, state):
    found = link(with_application(with_secret(facts(), **secret), **application), "credential")
    assert found.state == state
    assert found.remedy


def test_a_federated_client_tells_whose_tokens_it_takes():
    trusted = FederatedIdentityCredential(name="n", issuer="i", subject="system:sa", audience="a")
    federated = with_secret(
        with_application(facts(credential=FEDERATED), federated=(trusted,)),
        type=CredentialType.FEDERATED_IDENTITY,
    )
    assert link(federated, "credential").state == "tokens of system:sa"


@pytest.mark.parametrize(
    ("secret", "state"),
    [({"ours": False}, "somebody else's"), ({"data": {}}, "does not say what it should")],
)
def test_a_secret_that_is_not_right_is_told(secret, state):
    found = link(with_secret(facts(), **secret), "Secret")
    assert found.state == state
    assert found.remedy


def test_a_secret_that_cannot_be_judged_is_only_said_to_be_there():
    assert link(replace(facts(), desired=None), "Secret").state == "is there"


def test_conditions_that_warn_are_links_too_and_good_ones_are_not():
    more = (
        condition("Synced", "False", "GraphUnavailable"), condition("CredentialExpiring", "True"),
        condition("InvalidRequest", "False"), condition("ConsentGranted", "False"),
    )  # fmt: skip
    shown = [each.what for each in links(facts(more=more))]
    assert shown[-2:] == ["Synced", "CredentialExpiring"]


def test_a_server_tells_which_people_lack_their_roles():
    lacking = facts("Resource", more=(condition("ConsentGranted", "False", "AssignmentMissing"),))
    assert link(lacking, "ConsentGranted").state == "AssignmentMissing"


def test_without_knowing_what_should_be_the_type_says_whether_there_is_a_credential():
    known = [link(replace(facts(), desired=None), "credential").state]
    assert known == ["ClientSecret, until 2026-08-28"]
    bare = links(replace(facts("Public"), desired=None))
    assert "credential" not in [each.what for each in bare]


def test_a_server_behind_a_front_door_has_a_credential():
    server = facts("Resource")
    credential = facts().desired.credential
    behind = replace(server, desired=replace(server.desired, credential=credential))
    assert link(behind, "credential").state == "none in the Secret"


def test_a_role_that_is_not_granted_needs_an_administrator():
    [role] = permissions(facts())
    assert (role.value, role.kind, role.granted) == ("globalReader", "app role", Granted.NO)
    assert "administrator" in role.remedy
    [role] = permissions(replace(facts(), assignments=HELD))
    assert (role.granted, role.remedy) == (Granted.YES, "")


def test_a_role_of_another_server_does_not_count():
    [role] = permissions(replace(facts(), assignments=HELD, resources={"app-server": "sp-other"}))
    assert role.granted is Granted.NO


def test_what_the_operator_grants_itself_needs_no_administrator():
    allowed = {"appRoleAssignments": "Enabled", "allowed": [{"appRoles": ["*"]}]}
    [role] = permissions(facts(grants=Grants.model_validate(allowed)))
    assert "`ConsentGranted` says why" in role.remedy


def test_what_cannot_be_read_is_not_said_to_be_missing():
    [role] = permissions(replace(facts(), assignments=None))
    assert role.granted is Granted.UNKNOWN
    unread = replace(facts("Confidential", consent="Admin"), consents=None)
    assert {each.granted for each in permissions(unread)} == {Granted.UNKNOWN}


def test_scopes_are_each_users_business_until_somebody_consents_for_all():
    found = {each.value: each for each in permissions(facts("Confidential"))}
    assert set(found) == {"user_impersonation", "openid", "offline_access"}
    assert {each.granted for each in found.values()} == {Granted.BY_USERS}
    found = {e.value: e for e in permissions(replace(facts("Public"), consents=CONSENTS))}
    assert found["user_impersonation"].granted is Granted.YES
    assert found["openid"].granted is Granted.BY_USERS


def test_scopes_that_an_administrator_is_to_consent_to_are_missing_until_then():
    found = permissions(facts("Confidential", consent="Admin"))
    assert {each.granted for each in found} == {Granted.NO}


def test_what_the_server_pre_authorizes_needs_nobodys_consent():
    given = replace(facts("Confidential"), pre_authorized=frozenset({"id-scope"}))
    found = {each.value: each for each in permissions(given)}
    assert found["user_impersonation"].granted is Granted.PRE_AUTHORIZED
    assert (found["user_impersonation"].remedy, found["user_impersonation"].needs_consent) == (
        "", False
    )  # fmt: skip
    assert found["openid"].needs_consent


def test_a_permission_that_the_application_does_not_ask_for_yet_is_told():
    [role] = permissions(with_application(facts(), resource_access=frozenset()))
    assert not role.is_asked
    assert "operator sees to it" in role.remedy


def test_permissions_are_spelled_as_in_manifests_and_expected_as_in_tokens():
    server = replace(
        SERVER, permissions=replace(SERVER.permissions, app_roles={"system.all.rs": "id-rs"})
    )
    given = facts(appRoles=["system/*.rs"], server=server)
    assert [each.value for each in permissions(given)] == ["system/*.rs"]
    assert dict(expectation(given).permissions) == {"system.all.rs": "system/*.rs"}


def test_a_server_expects_what_its_clients_tokens_must_say():
    expected = {row.claim: row.expected for row in rows(expectation(facts()))}
    assert expected == {
        "aud": "https://fhir.clinic.example", "iss": "https://sts.example/t/", "ver": "1.0",
        "tid": "11111111-1111-1111-1111-111111111111", "appid": "a", "roles": "globalReader",
    }  # fmt: skip
    assert expectation(facts("Confidential")).claim == "scp"
    own = expectation(facts("Resource"))
    assert (own.claim, own.client_id, own.audience) == (None, None, "https://fhir.clinic.example")


@pytest.mark.parametrize("lost", ["desired", "server"])
def test_nothing_is_expected_while_the_references_are_not_known(lost):
    assert expectation(replace(facts(), **{lost: None})) is None
    assert expectation(changed(facts(), application=None)) is None
    assert permissions(replace(facts(), desired=None)) == ()


def test_a_managed_server_has_no_application_of_its_own():
    resource = {
        "url": "https://clinic-fhir.fhir.azurehealthcareapis.com",
        "product": "AzureHealthDataServices",
    }
    known = facts("Resource", resource=resource)
    bare = replace(known, observed=replace(known.observed, application=None))
    link = next(each for each in links(bare) if each.what == "application")
    assert link.state.startswith("Microsoft's")
    assert link.remedy == ""
    assert links(bare)[-1].state == "says what it should"
    assert expectation(bare).audience == "https://clinic-fhir.fhir.azurehealthcareapis.com"


def test_what_nobody_here_can_see_is_told_and_not_missing():
    found = link(facts(more=(condition("DataPlaneAccess", "Unknown"),)), "DataPlaneAccess")
    assert found.remedy
    assert not found.is_missing
    assert link(facts(more=(condition("Synced", "False"),)), "Synced").is_missing


def test_what_a_server_without_registration_expects_is_told_as_well():
    elsewhere = replace(SERVER, registered=False)
    found = expectation(facts(server=elsewhere))
    assert set(found.permissions) == {"globalReader"}
