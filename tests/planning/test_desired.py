"""From manifests to desired state: defaults, permissions by value, the Secret's facts."""

from dataclasses import replace

import pytest

from fhir_app_operator.api.v1alpha1 import TenantSpec
from fhir_app_operator.errors import Invalid, Stalled, Waiting
from fhir_app_operator.planning import desired as module
from fhir_app_operator.planning.clouds import directory
from fhir_app_operator.planning.model import (
    PermissionIds,
    RedirectUris,
    ResourceAccess,
)
from fhir_app_operator.planning.secret_data import resolved
from fhir_app_operator.planning.server import own_server, referenced_server
from tests.planning.worlds import DIRECTORY, SERVER, TYPES, desired, made, registration

IDS = PermissionIds(scopes={"user_impersonation": "s"}, app_roles={"globalReader": "r"})

COMMON = {
    "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_AUTHORITY_HOST", "FHIR_AUDIENCE",
    "FHIR_AUTHORITY", "FHIR_ISSUER", "FHIR_JWKS_URL", "FHIR_SERVER_URL",
}  # fmt: skip
USER = {"FHIR_AUTHORIZATION_URL", "FHIR_REDIRECT_URIS", "FHIR_TOKEN_URL", "FHIR_SCOPE"}
KEYS = {
    "Resource": COMMON,
    "Confidential": COMMON | USER,
    "Public": COMMON | USER,
    "Service": COMMON | {"FHIR_TOKEN_URL", "FHIR_SCOPE"},
}


@pytest.mark.parametrize("kind", TYPES)
def test_the_secret_has_the_keys_of_its_type(kind):
    wanted = desired(kind)
    assert set(wanted.connection) == KEYS[kind]
    assert (wanted.credential is not None) == (kind in ("Confidential", "Service"))


def test_a_service_asks_for_everything_it_was_granted():
    wanted = desired("Service")
    assert wanted.connection["FHIR_SCOPE"] == "https://fhir.clinic.example/.default"
    assert wanted.application.resource_access == {
        ResourceAccess(resource_app_id="app-server", type="Role", id="id-reader")
    }


def test_a_users_client_asks_for_its_scopes_and_for_openid():
    wanted = desired("Confidential")
    assert wanted.connection["FHIR_SCOPE"] == "https://fhir.clinic.example/user_impersonation"
    assert {(a.type, a.id) for a in wanted.application.resource_access} == {
        ("Scope", "id-scope"), ("Scope", "id-openid"), ("Scope", "id-offline"),
    }  # fmt: skip


def test_redirect_uris_keep_their_platform_and_the_manifests_order():
    wanted = desired("Public")
    assert wanted.application.redirect_uris == RedirectUris(
        spa=frozenset({"https://spa.example/"}), public_client=frozenset({"http://localhost/cb"})
    )
    assert wanted.connection["FHIR_REDIRECT_URIS"] == "https://spa.example/,http://localhost/cb"
    assert wanted.application.is_fallback_public_client


def test_a_single_page_application_is_no_native_client():
    wanted = desired("Public", redirectUris={"spa": ["https://spa.example/"]})
    assert not wanted.application.is_fallback_public_client


def test_names_default_to_the_manifests_own():
    wanted = desired("Service")
    assert wanted.application.display_name == "clinic/portal"
    assert wanted.secret_name == "portal"
    assert desired("Service", displayName="X", secret={"name": "y"}).secret_name == "y"
    assert len(desired("Service", name="n" * 200).application.display_name) <= 120


@pytest.mark.parametrize(
    ("version", "uri", "audience", "authority", "scope"),
    [
        (1, None, "https://fhir.clinic.example", "https://login.example/{t}",
         "https://fhir.clinic.example/.default"),
        (2, None, "app-9", "https://login.example/{t}/v2.0", "https://fhir.clinic.example/.default"),
        (1, "api://{appId}", "api://app-9", "https://login.example/{t}", "api://app-9/.default"),
        (2, "api://{appId}", "app-9", "https://login.example/{t}/v2.0", "api://app-9/.default"),
    ],
)  # fmt: skip
def test_audience_authority_and_scope_follow_the_servers_token_version(
    version, uri, audience, authority, scope
):
    fields = {"url": "https://fhir.clinic.example", "tokenVersion": version}
    server = registration("Resource", resource=fields | ({"identifierUri": uri} if uri else {}))
    own = desired("Resource", resource=server.spec.resource.model_dump(by_alias=True))
    assert resolved(own.connection, made("app-9"))["FHIR_AUDIENCE"] == audience
    facts = referenced_server(server, "app-9", IDS, frozenset())
    client = desired("Service", server=facts)
    assert client.connection["FHIR_AUDIENCE"] == audience
    assert client.connection["FHIR_AUTHORITY"] == authority.format(t=DIRECTORY.tenant_id)
    assert client.connection["FHIR_SCOPE"] == scope


def test_the_own_client_id_is_resolved_in_the_keys_that_may_hold_it_only():
    data = {"AZURE_CLIENT_ID": "{appId}", "FHIR_SERVER_URL": "https://x/{appId}"}
    assert resolved(data, made("a")) == {
        "AZURE_CLIENT_ID": "a",
        "FHIR_SERVER_URL": "https://x/{appId}",
    }


def test_an_unknown_permission_names_the_field_and_what_there_is():
    with pytest.raises(Stalled) as caught:
        desired("Service", appRoles=["globalReader", "admin"])
    assert caught.value.reason == "ScopeNotFound"
    assert "`appRoles[1]`: 'admin'" in caught.value.message
    assert "globalReader" in caught.value.message
    with pytest.raises(Stalled, match=r"`scopes\[0\]`"):
        desired("Public", scopes=["nothing"])


def test_a_permission_that_the_server_declares_is_waited_for():
    with pytest.raises(Waiting) as caught:
        desired("Service", appRoles=["globalWriter"])
    assert caught.value.reason == "NotYetReplicated"


def test_declared_values_are_roles_and_scopes_of_a_server():
    server = registration("Resource")
    assert {"globalReader", "user_impersonation"} <= module.declared_values(server, "t")
    assert module.declared_values(registration("Service"), "t") == frozenset()


def test_a_resource_without_resource_is_invalid():
    with pytest.raises(Invalid):
        own_server(registration("Service"))


def test_a_client_without_redirects_has_an_empty_list():
    assert desired("Public", redirectUris=None).connection["FHIR_REDIRECT_URIS"] == ""


SMART_SERVER = replace(
    SERVER,
    permissions=PermissionIds(
        scopes={"patient.all.read": "s1", "launch.patient": "s2", "fhirUser": "s3"},
        app_roles={"system.all.rs": "r1"},
    ),
)


def test_smart_scopes_are_asked_for_as_entra_spells_them_and_told_as_smart_does():
    scopes = ["patient/*.read", "launch/patient", "fhirUser"]
    wanted = desired("Public", server=SMART_SERVER, scopes=scopes)
    uri = SERVER.identifier_uri
    assert wanted.connection["FHIR_SCOPE"] == (
        f"{uri}/patient.all.read {uri}/launch.patient {uri}/fhirUser"
    )
    assert wanted.connection["FHIR_SMART_SCOPE"] == "patient/*.read launch/patient fhirUser"
    ids = {access.id for access in wanted.application.resource_access}
    assert {"s1", "s2", "s3"} < ids


def test_a_backend_service_asks_for_system_roles():
    wanted = desired("Service", server=SMART_SERVER, appRoles=["system/*.rs"])
    assert wanted.connection["FHIR_SMART_SCOPE"] == "system/*.rs"
    assert wanted.connection["FHIR_SCOPE"].endswith("/.default")
    assert {access.id for access in wanted.application.resource_access} == {"r1"}


def test_clients_spell_scopes_as_their_server_does():
    fields = {"url": "https://fhir.clinic.example", "smart": {"scopeEncoding": "Dollar"}}
    ids = PermissionIds(app_roles={"system$*.rs": "r"})
    server = referenced_server(registration("Resource", resource=fields), "a", ids,
                                      frozenset())  # fmt: skip
    wanted = desired("Service", server=server, appRoles=["system/*.rs"])
    assert {access.id for access in wanted.application.resource_access} == {"r"}


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("Service", {"appRoles": ["system/*.sr"]}, r"`appRoles\[0\]`: 'system/\*.sr'"),
        ("Public", {"scopes": ["fhirUser", "patient/Foo.rs"]}, r"`scopes\[1\]`"),
        ("Public", {"scopes": ["patient/*.rs", "user/*.rs"]}, "`scopes`: one client"),
        ("Public", {"scopes": ["patient/*.rs", "patient/*.read"]}, "`scopes`: one client"),
    ],
)
def test_scopes_that_no_server_takes_are_refused_with_the_field(kind, fields, reason):
    with pytest.raises(Invalid, match=reason):
        desired(kind, server=SMART_SERVER, **fields)


def test_what_the_server_lacks_is_told_in_smarts_form():
    with pytest.raises(Stalled, match=r"'patient/Goal.rs' .*it has: fhirUser, launch/patient"):
        desired("Public", server=SMART_SERVER, scopes=["patient/Goal.rs"])


def test_entries_of_others_are_removed_where_that_is_asked_for():
    fields = {"url": "https://fhir.clinic.example", "appRoles": {"unmanaged": "Remove"}}
    found = desired("Resource", resource=fields).application
    assert (found.remove_unmanaged_app_roles, found.remove_unmanaged_scopes) == (True, False)


def test_the_orphan_policy_gives_the_secret_a_life_of_its_own():
    assert desired("Service").secret_owned
    assert not desired("Service", deletionPolicy="Orphan").secret_owned


def test_lifetimes_come_from_the_manifest_or_are_the_default():
    assert desired("Service").credential.duration.total_seconds() == 4320 * 3600
    given = desired("Service", credential={"clientSecret": {"duration": "1h30m", "overlap": "5m"}})
    assert given.credential.duration.total_seconds() == 5400
    assert given.credential.overlap.total_seconds() == 300


TENANT = {"tenantId": DIRECTORY.tenant_id, "clientId": DIRECTORY.tenant_id}


@pytest.mark.parametrize(
    ("cloud", "login", "graph"),
    [
        ("Public", "login.microsoftonline.com", "graph.microsoft.com"),
        ("USGovernment", "login.microsoftonline.us", "graph.microsoft.us"),
        ("USGovernmentDoD", "login.microsoftonline.us", "dod-graph.microsoft.us"),
        ("China", "login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_each_cloud_has_its_endpoints(cloud, login, graph):
    found = directory(TenantSpec.model_validate(TENANT | {"cloud": cloud}))
    assert (found.authority_host, found.graph_url) == (f"https://{login}", f"https://{graph}")
    assert found.graph_scope == f"https://{graph}/.default"
    assert found.openid_configuration_url(2).endswith("/v2.0/.well-known/openid-configuration")


def test_a_custom_cloud_brings_its_own():
    endpoints = {"authorityHost": "https://a:1", "graphUrl": "https://g:2"}
    spec = TenantSpec.model_validate(TENANT | {"cloud": "Custom", "endpoints": endpoints})
    assert directory(spec).authorization_url.startswith("https://a:1/")
    with pytest.raises(ValueError, match="endpoints"):
        directory(TenantSpec.model_validate(TENANT | {"cloud": "Custom"}))


def test_the_default_client_scope_is_user_impersonation():
    assert SERVER.permissions.scopes.keys() == {"user_impersonation"}
    assert desired("Public", scopes=None).application.resource_access
