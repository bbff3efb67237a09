"""What clients ask for on other APIs than their FHIR server: by value in, by id out."""

from dataclasses import replace

import pytest

from fhir_app_operator.api.v1alpha1.well_known import GRAPH_APP_ID
from fhir_app_operator.errors import Invalid, Stalled, Waiting
from fhir_app_operator.planning import asked
from fhir_app_operator.planning.model import Asked, PermissionIds
from tests.planning.worlds import GRAPH, SERVER, registration

OTHER = "aaaaaaaa-1111-1111-1111-111111111111"
DATA = "4f6778d8-5aef-43dc-a1ff-b073724b9495"
SERVER_ID = "bbbbbbbb-1111-1111-1111-111111111111"


def ask(kind, *entries, others=None, **spec):
    manifest = registration(kind, additionalPermissions=list(entries), **spec)
    shown = {GRAPH_APP_ID: GRAPH} if others is None else others
    return {api.app_id: api for api in asked.asked(manifest, SERVER.api, shown)}


def test_what_is_asked_for_is_looked_up_by_api_and_value():
    manifest = registration("Confidential", additionalPermissions=[
        {"wellKnown": "MicrosoftGraph", "scopes": ["User.Read"]},
        {"appId": OTHER, "scopes": ["a"], "appRoles": ["b"]},
        {"appId": OTHER, "scopes": ["c"]},
    ])  # fmt: skip
    assert asked.apis(manifest) == {
        GRAPH_APP_ID: {"openid", "offline_access", "User.Read"},
        OTHER: {"a", "b", "c"},
    }
    assert asked.apis(registration("Resource")) == {}


def test_entries_for_one_api_are_merged_with_what_every_sign_in_needs():
    ids = PermissionIds(
        scopes={**GRAPH.scopes, "User.Read": "1", "Mail.Read": "2"},
        app_roles={"User.Read.All": "3"},
    )
    found = ask(
        "Confidential",
        {"wellKnown": "MicrosoftGraph", "scopes": ["User.Read"], "appRoles": ["User.Read.All"]},
        {"appId": GRAPH_APP_ID, "scopes": ["Mail.Read"]},
        others={GRAPH_APP_ID: ids},
    )
    assert found[GRAPH_APP_ID] == Asked(
        app_id=GRAPH_APP_ID,
        name="Microsoft Graph",
        scopes={**GRAPH.scopes, "User.Read": "1", "Mail.Read": "2"},
        app_roles={"User.Read.All": "3"},
        required=frozenset(GRAPH.scopes),
    )
    assert len(asked.resource_access(found.values())) == 6


def test_a_service_asks_for_app_roles_of_other_apis_and_nothing_of_microsoft_graph():
    ids = PermissionIds(app_roles={"reader": "1"})
    found = ask("Service", {"appId": OTHER, "appRoles": ["reader"]}, others={OTHER: ids})
    assert found.keys() == {SERVER.app_id, OTHER}
    assert found[OTHER].app_roles == {"reader": "1"}
    assert not found[OTHER].server


def test_a_permission_that_the_api_does_not_have_is_told_with_its_place():
    ids = PermissionIds(scopes={"a": "1"})
    with pytest.raises(
        Stalled, match=r"additionalPermissions\[0\].scopes\[1\]`: 'b'.*has: a"
    ) as it:
        ask(
            "Public",
            {"appId": OTHER, "scopes": ["a", "b"]},
            others={GRAPH_APP_ID: GRAPH, OTHER: ids},
        )
    assert it.value.reason == "ScopeNotFound"
    assert "`resource`" not in it.value.message


def test_an_api_that_is_not_in_the_tenant_is_told_with_the_command_that_adds_it():
    with pytest.raises(
        Stalled, match=rf"AzureHealthcareApis is not in.*sp create --id {DATA}"
    ) as it:
        ask("Public", {"wellKnown": "AzureHealthcareApis", "scopes": ["user_impersonation"]})
    assert it.value.reason == "ScopeNotFound"


def test_what_every_sign_in_needs_is_known_as_such_in_whatever_entry_it_stands():
    entry = {"wellKnown": "MicrosoftGraph", "scopes": ["openid"]}
    assert ask("Public", entry)[GRAPH_APP_ID].required == {"openid", "offline_access"}
    graph = replace(SERVER, app_id=GRAPH_APP_ID, permissions=GRAPH).api
    found = asked.asked(registration("Public", scopes=["openid"]), graph, {GRAPH_APP_ID: GRAPH})
    assert [each.required for each in found] == [{"openid", "offline_access"}]


def test_a_tenant_that_hides_microsoft_graph_is_waited_for():
    with pytest.raises(Waiting) as it:
        ask("Public", others={GRAPH_APP_ID: PermissionIds(scopes={"openid": "1"})})
    assert it.value.reason == "GraphUnavailable"


def test_the_clients_own_server_is_not_another_api():
    manifest = registration(
        "Public", additionalPermissions=[{"appId": SERVER_ID, "scopes": ["user_impersonation"]}]
    )
    server = asked.Api(
        app_id=SERVER_ID, name="FhirAppRegistration 'x'", permissions=SERVER.permissions
    )
    with pytest.raises(Invalid, match=r"additionalPermissions\[0\]`.*in `scopes`"):
        asked.asked(manifest, server, {GRAPH_APP_ID: GRAPH, SERVER_ID: SERVER.permissions})


def test_smart_scopes_of_another_api_must_not_mix_either():
    scopes = ["patient.all.read", "user.all.read"]
    ids = PermissionIds(scopes={value: value for value in scopes})
    with pytest.raises(Invalid, match=r"additionalPermissions\[0\]`: one client must not mix"):
        ask("Public", {"appId": OTHER, "scopes": scopes}, others={GRAPH_APP_ID: GRAPH, OTHER: ids})


def test_what_only_looks_like_smart_belongs_to_the_api():
    scopes = ["user.odd.zzz", "patient.odd.zzz"]
    ids = PermissionIds(scopes={value: value for value in scopes})
    entry = {"appId": OTHER, "scopes": scopes}
    assert ask("Public", entry, others={GRAPH_APP_ID: GRAPH, OTHER: ids})[OTHER].scopes
