"""Pre-authorized clients: ours as declared, those of others left alone, scopes always first."""

from dataclasses import replace

import pytest

from fhir_app_operator.api.v1alpha1 import TenantPolicy
from fhir_app_operator.api.v1alpha1.policy import Existing
from fhir_app_operator.errors import Invalid, Stalled
from fhir_app_operator.planning import grants, policy, pre_authorization
from fhir_app_operator.planning.differences import differences
from fhir_app_operator.planning.forecast import forecast
from fhir_app_operator.planning.model import (
    DesiredGrants,
    ObservedGrants,
    PreAuthorization,
    PreAuthorized,
    UpdateApplication,
)
from fhir_app_operator.planning.notices import unmanaged
from fhir_app_operator.planning.plan import plan
from tests.planning.test_plan import converged
from tests.planning.worlds import NOW, POLICY, desired, registration

URL = "https://fhir.clinic.example"
OURS = "aaaaaaaa-0000-4000-8000-000000000001"
THEIRS = "bbbbbbbb-0000-4000-8000-000000000002"
TAG = f"fhirapps.dev/pre-authorized:{OURS}"
EXTRA = {"value": "extra", "adminConsentDisplayName": "a", "adminConsentDescription": "d"}
SCOPES = {"scopes": {"custom": [EXTRA]}}


def wanted(*values, client=OURS, resource=None, **fields):
    found = desired("Resource", resource={"url": URL} | (resource or {}))
    clients = {client: frozenset(values)} if values else {}
    asked = PreAuthorization(clients=clients, **fields)
    return replace(found, application=replace(found.application, pre_authorization=asked))


def settle(world, target):
    """Plan and apply to the end; the PATCHes on the way."""
    before, world.wanted = len(world.log), target
    while actions := plan(world.wanted, world.observed, NOW, POLICY):
        assert len(world.log) - before < 9
        world.apply(actions[0])
    return [action.changes for action in world.log[before:] if hasattr(action, "changes")]


def entries(world):
    """Values by client id."""
    app = world.observed.application
    values = {scope.id: scope.value for scope in app.scopes}
    return {e.app_id: {values[i] for i in e.scope_ids} for e in app.pre_authorized}


def with_theirs(world):
    """Somebody pre-authorizes a client in the portal."""
    app = world.observed.application
    theirs = PreAuthorized(app_id=THEIRS, scope_ids=frozenset(s.id for s in app.scopes))
    app = replace(app, pre_authorized=app.pre_authorized | {theirs})
    world.observed = replace(world.observed, application=app)
    return world


def test_a_client_is_added_with_its_tag_and_goes_with_it():
    world = converged("Resource")
    (changes,) = settle(world, wanted("user_impersonation"))
    assert entries(world) == {OURS: {"user_impersonation"}}
    assert TAG in changes.tags
    settle(world, wanted())
    assert entries(world) == {}
    assert TAG not in world.observed.application.tags


def test_a_scope_comes_before_the_entry_that_names_it():
    world = converged("Resource")
    first, second = settle(world, wanted("extra", resource=SCOPES))
    assert first.scopes is not None
    assert first.pre_authorized is None
    assert second.pre_authorized is not None
    assert entries(world) == {OURS: {"extra"}}


def test_an_entry_lets_go_of_a_scope_no_later_than_the_scope_goes():
    world = converged("Resource")
    settle(world, wanted("extra", "user_impersonation", resource=SCOPES))
    with_theirs(world)
    disable, remove = settle(world, wanted("user_impersonation"))
    (ours,) = (e for e in disable.pre_authorized if e.app_id == OURS)
    assert len(ours.scope_ids) == 1
    gone = {s.id for s in disable.scopes} - {s.id for s in remove.scopes}
    assert all(not gone & entry.scope_ids for entry in remove.pre_authorized)
    assert entries(world) == {OURS: {"user_impersonation"}, THEIRS: {"user_impersonation"}}


def test_those_of_others_stay_and_are_told_unless_they_are_to_go():
    world = with_theirs(converged("Resource"))
    assert settle(world, wanted("user_impersonation")) != []
    assert entries(world).keys() == {OURS, THEIRS}
    assert "1 pre-authorized client" in unmanaged(world.wanted, world.observed.application)
    settle(world, wanted("user_impersonation", remove_unmanaged=True))
    assert entries(world).keys() == {OURS}


def test_a_client_that_the_directory_does_not_show_keeps_what_it_has():
    world = converged("Resource")
    settle(world, wanted("user_impersonation"))
    unsure = {"unsure": frozenset({OURS}), "remove_unmanaged": True}
    assert settle(world, wanted(**unsure)) == []
    assert entries(world) == {OURS: {"user_impersonation"}}


def manifest(*clients):
    return registration(
        "Resource", resource={"url": URL, "preAuthorizedClients": {"clients": list(clients)}}
    )


def values(server, index=0, client=None):
    exposure = desired("Resource", resource={"url": URL}).application.exposure
    return pre_authorization.values(server.spec.resource, exposure, index, client)


def test_a_registration_gets_what_it_asks_for_and_the_server_has():
    server = manifest({"registrationRef": {"name": "app"}})
    client = registration("Public", scopes=["user_impersonation", "fhirUser"])
    assert values(server, client=client) == {"user_impersonation"}


def test_a_client_with_a_fault_of_its_own_gets_nothing():
    server = manifest({"registrationRef": {"name": "app"}})
    client = registration("Public", scopes=["patient/*.rs", "user/*.rs"])
    assert values(server, client=client) == frozenset()


def test_a_scope_that_the_server_does_not_declare_is_refused():
    server = manifest({"appId": OURS, "scopes": ["user_impersonation", "launch/patient"]})
    with pytest.raises(Invalid, match=r"clients\[0\].scopes\[1\]`: .* no scope 'launch/patient'"):
        values(server)


def test_a_scope_that_breaks_the_grammar_is_refused():
    server = manifest({"appId": OURS, "scopes": ["patient/*.dus"]})
    with pytest.raises(Invalid, match=r"scopes\[0\]`: 'patient/\*.dus': .*in this order"):
        values(server)


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        ("Service", {}, "no user signs in"),
        ("Public", {"tenantRef": {"name": "other"}}, "EntraTenant 'other'"),
        ("Public", {}, None),
    ],
)  # fmt: skip
def test_only_clients_of_users_in_the_same_tenant_can_be(kind, fields, why):
    found = pre_authorization.refusal(registration(kind, **fields), manifest())
    assert found is None if why is None else why in found


def test_one_that_is_being_deleted_cannot_be():
    client = registration("Public")
    leaving = client.metadata.model_copy(update={"deletion_timestamp": NOW})
    found = pre_authorization.refusal(client.model_copy(update={"metadata": leaving}), manifest())
    assert found == "it is being deleted"


def test_who_is_not_pre_authorized_is_named_with_the_reason():
    resource = manifest({"registrationRef": {"name": "app"}}).spec.resource
    (entry,) = resource.pre_authorized_clients.clients
    text = pre_authorization.described(entry, "it does not exist")
    assert text == "FhirAppRegistration 'app': it does not exist"


def test_scopes_that_the_manifest_names_are_meant_as_entra_has_them():
    server = manifest({"appId": OURS, "scopes": ["user_impersonation"]})
    assert values(server) == {"user_impersonation"}


def test_what_needs_no_consent_is_no_consent_that_is_missing():
    report = grants.report(DesiredGrants(pre_authorized=True), ObservedGrants(), "https://url")
    assert (report.status, report.reason) == ("True", "PreAuthorized")


def under(rules, *declared):
    """A server with these entries, under the policy."""
    found = desired("Resource", resource={"url": URL} | SCOPES)
    asked, broken = pre_authorization.under_policy(declared, PreAuthorization(), rules)
    application = replace(found.application, pre_authorization=asked)
    return replace(found, application=application, violations=broken, withdraws=rules.withdraws)


NARROW = TenantPolicy(scopes=("user_impersonation",))
STRICT = TenantPolicy(scopes=("user_impersonation",), existing=Existing.WITHDRAW)
BOTH = frozenset({"user_impersonation", "extra"})
NAMED = pre_authorization.Declared(app_id=OURS, values=BOTH, named=True)
ASKED = pre_authorization.Declared(app_id=OURS, values=BOTH, named=False)


def test_a_named_scope_against_the_policy_is_refused_and_said_with_its_client():
    world, target = converged("Resource", resource={"url": URL} | SCOPES), under(NARROW, NAMED)
    live = world.observed.application
    update = UpdateApplication(changes=differences(target, live), reason="x")
    with pytest.raises(Stalled, match=f"scope 'extra' for the pre-authorized client {OURS}"):
        policy.refuse(target, live, (update,))


def test_a_forecast_is_refused_where_the_scope_comes_first_and_its_client_with_the_next_step():
    world, target = converged("Resource", resource={"url": URL}), under(NARROW, NAMED)
    actions = forecast(target, world.observed, NOW, POLICY)
    assert len(actions) > 1
    with pytest.raises(Stalled, match="scope 'extra' for the pre-authorized client"):
        policy.refuse(target, world.observed.application, actions)


def test_a_scope_that_the_client_asks_for_against_the_policy_is_left_out():
    world = converged("Resource", resource={"url": URL} | SCOPES)
    target = under(NARROW, ASKED)
    assert target.violations == ()
    settle(world, target)
    assert entries(world) == {OURS: {"user_impersonation"}}


@pytest.mark.parametrize("entry", [NAMED, ASKED])
def test_what_is_there_stays_unless_the_policy_withdraws(entry):
    world = converged("Resource", resource={"url": URL} | SCOPES)
    settle(world, under(TenantPolicy(), entry))
    target = under(NARROW, entry)
    assert plan(target, world.observed, NOW, POLICY) == ()
    policy.refuse(target, world.observed.application, ())
    settle(world, under(STRICT, entry))
    assert entries(world) == {OURS: {"user_impersonation"}}
