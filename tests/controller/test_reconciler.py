"""Each type comes to its declared state, with few calls, and a second pass writes nothing."""

import pytest

from entra_emulator import GRAPH_APP_ID, TENANT_ID

pytestmark = pytest.mark.control_plane

COMMON = {
    "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_AUTHORITY_HOST", "FHIR_AUDIENCE",
    "FHIR_AUTHORITY", "FHIR_ISSUER", "FHIR_JWKS_URL", "FHIR_SERVER_URL",
}  # fmt: skip
USER = {"FHIR_AUTHORIZATION_URL", "FHIR_REDIRECT_URIS", "FHIR_TOKEN_URL", "FHIR_SCOPE"}


async def versions(lab, *names):
    found = []
    for name in names:
        for kind in ("fhirapp", "secret"):
            body = await lab.read(kind, name)
            found.append(body and body["metadata"]["resourceVersion"])
    return found


async def test_a_resource_becomes_an_application_that_tokens_are_for(lab):
    name = await lab.ready("Resource")
    app = await lab.application(name)
    uri = f"https://{lab.namespace}.clinic.example"
    assert app["identifierUris"] == [uri]
    assert app["signInAudience"] == "AzureADMyOrg"
    assert {role["value"] for role in app["appRoles"]} >= {"globalReader", "smartUser"}
    assert [s["value"] for s in app["api"]["oauth2PermissionScopes"]] == ["user_impersonation"]
    assert app["passwordCredentials"] == []
    secret = await lab.secret(name)
    assert set(secret) == COMMON
    assert secret["FHIR_AUDIENCE"] == uri
    assert secret["FHIR_ISSUER"] == f"https://sts.windows.net/{TENANT_ID}/"
    status = await lab.status(name)
    assert status["audience"] == uri
    assert status["authority"] == f"{lab.running.origin}/{TENANT_ID}"
    assert status["observedGeneration"] == 1


async def test_a_confidential_client_gets_a_web_platform_and_a_secret_that_works(lab):
    await lab.ready("Resource")
    name = await lab.ready("Confidential", secret={"name": "portal-entra"})
    app = await lab.application(name)
    assert app["web"]["redirectUris"] == ["https://portal.clinic.example/callback"]
    apis = {
        entry["resourceAppId"]: entry["resourceAccess"] for entry in app["requiredResourceAccess"]
    }
    assert len(apis[GRAPH_APP_ID]) == 2
    assert {access["type"] for accesses in apis.values() for access in accesses} == {"Scope"}
    secret = await lab.secret("portal-entra")
    assert set(secret) == COMMON | USER | {"AZURE_CLIENT_SECRET"}
    assert await lab.accepts(name, "portal-entra")


async def test_a_public_client_has_no_secret_anywhere(lab):
    await lab.ready("Resource")
    name = await lab.ready("Public")
    app = await lab.application(name)
    assert app["publicClient"]["redirectUris"] == ["http://localhost/callback"]
    assert app["isFallbackPublicClient"] is True
    assert (app["passwordCredentials"], app["keyCredentials"]) == ([], [])
    assert set(await lab.secret(name)) == COMMON | USER
    assert not [call for call in lab.calls("POST") if "addPassword" in call.path]


async def test_a_service_asks_for_app_roles_found_by_value(lab):
    server = await lab.ready("Resource")
    name = await lab.ready("Service")
    roles = {role["value"]: role["id"] for role in (await lab.application(server))["appRoles"]}
    (api,) = (await lab.application(name))["requiredResourceAccess"]
    assert api["resourceAppId"] == (await lab.status(server))["appId"]
    assert api["resourceAccess"] == [{"id": roles["globalReader"], "type": "Role"}]
    secret = await lab.secret(name)
    assert set(secret) == COMMON | {"FHIR_TOKEN_URL", "FHIR_SCOPE", "AZURE_CLIENT_SECRET"}
    assert await lab.accepts(name)


async def test_the_secret_is_ours_typed_owned_and_stable(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    body, registration = await lab.read("secret", name), await lab.read("fhirapp", name)
    uid = registration["metadata"]["uid"]
    assert body["type"] == "Opaque"
    assert body["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "fhir-app-operator", "fhirapps.dev/registration": uid,
    }  # fmt: skip
    (owner,) = body["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["kind"]) == (uid, "FhirAppRegistration")
    assert "blockOwnerDeletion" not in owner
    (credential,) = registration["status"]["credentials"]
    notes = body["metadata"]["annotations"]
    assert notes["fhirapps.dev/key-id"] == credential["keyId"]
    assert notes["fhirapps.dev/expires-at"] == credential["endTime"]
    assert credential["state"] == "Active"
    assert "pendingCredential" not in registration["status"]


@pytest.mark.parametrize(
    ("kind", "calls", "writes"),
    [("Resource", 3, 2), ("Public", 3, 2), ("Confidential", 4, 3), ("Service", 4, 3)],
)
async def test_a_new_registration_costs_few_graph_calls(lab, kind, calls, writes):
    server = await lab.ready("Resource")
    await lab.ready("Confidential", "first")
    if kind == "Resource":
        await lab.register("Resource", "another", resource={"url": "https://a.clinic.example"})
    lab.forget_calls()
    await (lab.settle("another") if kind == "Resource" else lab.ready(kind))
    assert server
    assert (len(lab.calls()), len(lab.writes())) == (calls, writes)


async def test_a_second_pass_and_a_restart_write_nothing(lab):
    names = await lab.clinic()
    lab.forget_calls()
    before = await versions(lab, *names)
    for process in (lab, lab.restarted()):
        for name in names:
            outcome = await process.reconcile(name)
            assert (outcome.result, outcome.changed) == ("success", False)
        await process.world.connections.close()
    assert lab.writes() == []
    assert await versions(lab, *names) == before


async def test_clients_wait_for_their_server_and_say_for_what(lab):
    name = await lab.register("Service")
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "FhirServerNotFound")
    assert "'fhir-server'" in await lab.message(name)
    await lab.register("Resource")
    assert (await lab.reconcile(name)).result == "waiting"
    assert (await lab.conditions(name))["Ready"] == ("False", "FhirServerNotReady")
    assert lab.writes() == []
    await lab.settle("fhir-server")
    await lab.settle(name)
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")


@pytest.mark.parametrize(
    ("version", "uri"),
    [(1, "api://{appId}"), (2, "api://{appId}"), (2, "https://not-verified.example")],
)
async def test_identifier_uris_and_token_versions_decide_the_audience(lab, version, uri):
    resource = {"url": "http://fhir.svc", "identifierUri": uri, "tokenVersion": version}
    server = await lab.ready("Resource", resource=resource)
    app_id = (await lab.status(server))["appId"]
    own, client = await lab.secret(server), await lab.secret(await lab.ready("Service"))
    resolved = uri.replace("{appId}", app_id)
    assert own["FHIR_AUDIENCE"] == client["FHIR_AUDIENCE"] == (app_id if version == 2 else resolved)
    assert client["FHIR_SCOPE"] == f"{resolved}/.default"
    assert client["FHIR_AUTHORITY"].endswith("/v2.0") == (version == 2)
    assert client["FHIR_ISSUER"].endswith("/v2.0") == (version == 2)


async def test_a_changed_spec_is_brought_to_the_directory_and_the_secret(lab):
    await lab.ready("Resource")
    name = await lab.ready("Confidential")
    key_id = (await lab.status(name))["credentials"][0]["keyId"]
    uris = ["https://new.clinic.example/cb"]
    await lab.patch("fhirapp", name, {"spec": {"redirectUris": {"web": uris}}})
    lab.forget_calls()
    await lab.settle(name)
    (write,) = lab.writes()
    assert write.method == "PATCH"
    assert (await lab.application(name))["web"]["redirectUris"] == uris
    assert (await lab.secret(name))["FHIR_REDIRECT_URIS"] == uris[0]
    status = await lab.status(name)
    assert status["observedGeneration"] == 2
    assert [c["keyId"] for c in status["credentials"]] == [key_id]


async def test_a_role_is_changed_and_removed_by_disabling_it_first(lab):
    def custom(*values):
        return [{"value": v, "displayName": v, "description": f"may {v}"} for v in values]

    resource = {"url": "https://{uri}.clinic.example", "appRoles": {"custom": custom("a", "b")}}
    name = await lab.ready("Resource", resource=resource)
    ids = {r["value"]: r["id"] for r in (await lab.application(name))["appRoles"]}
    roles = [custom("a")[0] | {"description": "changed"}]
    await lab.patch("fhirapp", name, {"spec": {"resource": {"appRoles": {"custom": roles}}}})
    await lab.settle(name)
    after = {r["value"]: r for r in (await lab.application(name))["appRoles"]}
    assert "b" not in after
    assert (after["a"]["description"], after["a"]["id"]) == ("changed", ids["a"])
    assert all(role["isEnabled"] for role in after.values())


async def test_a_role_that_the_server_lacks_stalls_the_client_with_the_field(lab):
    await lab.ready("Resource")
    name = await lab.register("Service", appRoles=["admin"])
    assert (await lab.reconcile(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "ScopeNotFound")
    assert "`appRoles[0]`: 'admin'" in await lab.message(name)


async def test_a_reference_to_something_else_than_a_server_is_invalid(lab):
    await lab.ready("Resource")
    await lab.ready("Service", "first")
    name = await lab.register("Service", "second", fhirServerRef={"name": "first"})
    await lab.reconcile(name)
    assert (await lab.conditions(name))["Stalled"] == ("True", "InvalidSpec")
    assert "must be of type Resource" in await lab.message(name)


async def test_a_suspended_registration_is_left_alone(lab):
    await lab.ready("Resource")
    name = await lab.ready("Confidential")
    await lab.patch("fhirapp", name, {"spec": {"suspend": True, "displayName": "New"}})
    lab.forget_calls()
    await lab.reconcile(name)
    assert lab.calls() == []
    assert (await lab.conditions(name))["Synced"] == ("False", "Suspended")
    await lab.patch("fhirapp", name, {"spec": {"suspend": False}})
    await lab.settle(name)
    assert (await lab.application(name))["displayName"] == "New"
