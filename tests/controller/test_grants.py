"""What is granted, by whom, and what a registration says about it."""

import re
from datetime import timedelta
from functools import partial

import pytest

from entra_emulator import GRAPH_APP_ID, OPERATOR_CLIENT_ID, Fault
from entra_emulator.constants import GRAPH_APP_ROLES
from entra_emulator.directory import permissions
from entra_emulator.directory.store import Kind
from fhir_app_operator.controller import commands
from fhir_app_operator.controller.check import check
from fhir_app_operator.kube.api_server import MERGE_PATCH, Request
from tests.controller.lab import OneTenant, resource_path
from tests.controller.meddling import before_grant

pytestmark = pytest.mark.control_plane

ROLES = ("AppRoleAssignment.ReadWrite.All", "Application.Read.All")
CONSENT = ("DelegatedPermissionGrant.ReadWrite.All",)
EVERYTHING = {
    "appRoleAssignments": "Enabled", "delegatedConsent": "Enabled",
    "allowed": [{"appRoles": ["global*"], "scopes": ["*"]}],
}  # fmt: skip


def principal_of(lab, app_id):
    (found,) = lab.emulator.directory.store.find(Kind.SERVICE_PRINCIPAL, "appId", app_id)
    return found


def permit(lab, *values):
    """Let the operator's own application hold further permissions of Microsoft Graph."""
    operator = principal_of(lab, OPERATOR_CLIENT_ID)
    graph = principal_of(lab, GRAPH_APP_ID)
    for value in values:
        permissions.assign(lab.emulator.directory, {
            "principalId": operator.id, "resourceId": graph.id,
            "appRoleId": GRAPH_APP_ROLES[value],
        })  # fmt: skip


async def opt_in(lab, **grants):
    await lab.patch("tenant", lab.tenant, {"spec": {"grants": EVERYTHING | grants}})


async def ids(lab, name):
    status = await lab.status(name)
    return status["servicePrincipalId"], status["appId"]


async def held(lab, name, server="fhir-server"):
    """The values of the server's roles that a registration holds."""
    principal, _ = await ids(lab, name)
    _, app_id = await ids(lab, server)
    resource = principal_of(lab, app_id)
    return sorted(permissions.role_values(lab.emulator.directory, principal, resource))


async def consented(lab, name):
    """The scopes that all users consented to, by API."""
    principal, _ = await ids(lab, name)
    found = [e.document for e in permissions.grants_to(lab.emulator.directory, principal)]
    return {entry["resourceId"]: set(entry["scope"].split()) for entry in found}


async def settle_later(lab, name):
    """Settle until no read is behind: the directory may hide a young client."""
    for _ in range(3):
        lab.pass_time(timedelta(minutes=2))
        await lab.settle(name)


async def consent(lab, name):
    return (await lab.conditions(name)).get("ConsentGranted")


async def test_without_the_opt_in_a_service_is_ready_and_says_who_must_consent(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    _, app_id = await ids(lab, name)
    assert await consent(lab, name) == ("False", "ConsentMissing")
    message = await lab.message(name, "ConsentGranted")
    assert "app role 'globalReader' of FhirAppRegistration 'fhir-server'" in message
    assert f"/adminconsent?client_id={app_id}" in message
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")
    assert "Stalled" not in await lab.conditions(name)
    assert await held(lab, name) == []


async def test_it_looks_again_ever_more_rarely_until_somebody_has_consented(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    lab.forget_calls()
    outcome = await lab.reconcile(name)
    assert outcome.due <= timedelta(minutes=1)
    assert [c for c in lab.calls() if "appRoleAssignments" in c.path] == []
    await lab.grant(name, "globalReader")
    lab.pass_time(timedelta(minutes=1))
    outcome = await lab.reconcile(name)
    assert await consent(lab, name) == ("True", "Granted")
    assert outcome.due is None or outcome.due > timedelta(hours=1)
    assert len([c for c in lab.calls() if "appRoleAssignments" in c.path]) == 1
    assert lab.writes() == []
    lab.pass_time(timedelta(hours=1))
    await lab.reconcile(name)
    assert len([c for c in lab.calls() if "appRoleAssignments" in c.path]) == 1


async def test_a_look_is_taken_when_it_is_due(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    lab.pass_time(timedelta(hours=4))
    outcome = await lab.reconcile(name)
    for _ in range(3):
        lab.forget_calls()
        lab.pass_time(outcome.due)
        outcome = await lab.reconcile(name)
        assert len([c for c in lab.calls() if "appRoleAssignments" in c.path]) == 1


async def test_after_a_restart_the_looks_are_spread(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    lab.pass_time(timedelta(hours=10))
    await lab.reconcile(name)
    restarted = lab.restarted()
    lab.forget_calls()
    outcome = await restarted.reconcile(name)
    assert outcome.due <= timedelta(hours=5, minutes=1)  # the test itself takes some seconds
    await restarted.world.connections.close()


async def test_enabled_roles_are_assigned_with_few_calls_and_the_token_has_them(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    lab.forget_calls()
    name = await lab.ready("Service")
    assert await held(lab, name) == ["globalReader"]
    assert await consent(lab, name) == ("True", "Granted")
    assert (len(lab.calls()), len(lab.writes())) == (7, 4)
    lab.forget_calls()
    await lab.reconcile(name)
    assert lab.writes() == []
    (account,) = (await lab.status(name))["grants"]
    assert account["resourceId"] == (await ids(lab, "fhir-server"))[0]


async def test_a_role_that_is_not_allowed_is_not_assigned_and_the_message_says_why(lab):
    permit(lab, *ROLES)
    await opt_in(lab, allowed=[{"appRoles": ["globalReader"]}])
    await lab.ready("Resource")
    name = await lab.ready("Service", appRoles=["globalReader", "globalWriter"])
    assert await held(lab, name) == ["globalReader"]
    assert await consent(lab, name) == ("False", "ConsentMissing")
    message = await lab.message(name, "ConsentGranted")
    assert "'globalWriter'" in message
    assert "grants.allowed" in message
    assert "globalReader" not in message


async def test_what_the_manifest_drops_is_taken_back_and_what_people_granted_stays(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.ready("Service", appRoles=["globalReader", "globalWriter"])
    await lab.grant(name, "globalExporter")
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalWriter"]}})
    await lab.settle(name)
    assert await held(lab, name) == ["globalExporter", "globalWriter"]


async def test_a_narrower_list_takes_back_what_the_operator_granted(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.ready("Service")
    await opt_in(lab, allowed=[])
    await lab.reconcile(name)
    assert await held(lab, name) == []
    assert await consent(lab, name) == ("False", "ConsentMissing")


async def test_a_forged_account_takes_nothing_from_anybody_else(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    victim = await lab.ready("Service", "victim")
    name = await lab.ready("Service")
    forged = (await lab.status(victim))["grants"]
    await lab.api.send(
        Request(method="PATCH", path=resource_path("fhirapp", lab.namespace, name) + "/status",
                what="status", body={"status": {"grants": forged}}, content_type=MERGE_PATCH)
    )  # fmt: skip
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalWriter"]}})
    await lab.settle(name)
    assert await held(lab, victim) == ["globalReader"]


async def test_a_grant_whose_answer_was_lost_is_known_as_ours_later(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.register("Service")
    lab.emulator.weather.add(
        Fault(path=re.compile("appRoleAssignments$"), method="POST", when="after", status=500)
    )
    await lab.settle(name)
    lab.pass_time(timedelta(minutes=2))
    await lab.settle(name)
    assert await consent(lab, name) == ("True", "Granted")
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalWriter"]}})
    await lab.settle(name)
    assert await held(lab, name) == ["globalWriter"]


async def test_an_operator_that_may_not_assign_says_which_permission_it_lacks(lab):
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.ready("Service")
    assert await consent(lab, name) == ("False", "PermissionDenied")
    assert "AppRoleAssignment.ReadWrite.All" in await lab.message(name, "ConsentGranted")
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")


async def test_consent_that_cannot_be_read_is_unknown(lab):
    await lab.ready("Resource")
    name = await lab.ready("Public", consent="Admin")
    assert await consent(lab, name) == ("False", "ConsentMissing")
    lab.pass_time(timedelta(minutes=1))
    await lab.reconcile(name)
    assert await consent(lab, name) == ("Unknown", "PermissionDenied")
    assert "Directory.Read.All" in await lab.message(name, "ConsentGranted")


async def test_users_are_asked_themselves_unless_the_manifest_says_otherwise(lab):
    permit(lab, *CONSENT)
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.ready("Confidential")
    assert await consent(lab, name) == ("Unknown", "UserConsent")
    assert await consented(lab, name) == {}


async def test_admin_consent_is_given_where_the_manifest_asks_and_taken_back(lab):
    permit(lab, *CONSENT)
    await opt_in(lab)
    await lab.ready("Resource")
    lab.forget_calls()
    name = await lab.ready("Confidential", consent="Admin")
    await settle_later(lab, name)
    resource, _ = await ids(lab, "fhir-server")
    graph = principal_of(lab, GRAPH_APP_ID).id
    assert await consented(lab, name) == {
        resource: {"user_impersonation"}, graph: {"openid", "offline_access"},
    }  # fmt: skip
    assert await consent(lab, name) == ("True", "Granted")
    await lab.patch("fhirapp", name, {"spec": {"consent": None}})
    await lab.settle(name)
    assert await consented(lab, name) == {}
    for _ in range(3):  # what was withdrawn may come back: it stays in the account for a while
        lab.pass_time(timedelta(minutes=20))
        await lab.settle(name)
    assert "grants" not in await lab.status(name)


async def test_a_spec_that_changes_right_before_the_write_is_not_granted(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.register("Service")
    edit = partial(lab.patch, "fhirapp", name, {"spec": {"appRoles": ["globalWriter"]}})
    busy, meddler = before_grant(lab, name, edit)
    assert (await busy.reconcile(name)).result == "waiting"
    assert meddler.left == 0
    assert await held(lab, name) == []
    await lab.settle(name)
    assert await held(lab, name) == ["globalWriter"]


async def test_check_names_the_permissions_that_the_opt_ins_need(lab):
    async def checked():
        fresh = lab.restarted()
        found = await check(fresh.world, OneTenant(lab), watch_secrets=False, lease_namespace=None)
        await fresh.world.connections.close()
        mine = [each for each in found if lab.tenant in each.check]
        return [each.problem for each in mine if each.check.endswith("for `grants`")]

    assert await checked() == []
    await opt_in(lab)
    (problem,) = await checked()
    assert all(permission in problem for permission in (*ROLES, *CONSENT))
    permit(lab, *ROLES, *CONSENT)
    assert await checked() == [None]


async def test_deleting_a_registration_takes_its_grants_along(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.ready("Service")
    principal, _ = await ids(lab, name)
    await lab.delete("fhirapp", name)
    await lab.settle(name)
    assert list(permissions.assignments_to(lab.emulator.directory, principal)) == []


async def other_api(lab):
    """Another server, which is no client's `fhirServerRef` here: an API like any other."""
    url = f"https://other-{lab.namespace}.clinic.example"
    await lab.ready("Resource", "other", resource={"url": url})
    return (await ids(lab, "other"))[1]


async def test_permissions_on_other_apis_are_asked_for_with_ids_from_the_directory(lab):
    await lab.ready("Resource")
    api = await other_api(lab)
    name = await lab.ready("Confidential", additionalPermissions=[
        {"appId": api, "scopes": ["user_impersonation"], "appRoles": ["globalReader"]},
        {"wellKnown": "MicrosoftGraph", "scopes": ["User.Read"]},
    ])  # fmt: skip
    access = (await lab.application(name))["requiredResourceAccess"]
    found = {each["resourceAppId"]: each["resourceAccess"] for each in access}
    assert sorted(each["type"] for each in found[api]) == ["Role", "Scope"]
    roles = {role["id"]: role["value"] for role in (await lab.application("other"))["appRoles"]}
    assert [roles[each["id"]] for each in found[api] if each["type"] == "Role"] == ["globalReader"]
    assert len(found[GRAPH_APP_ID]) == 3
    lab.forget_calls()
    await lab.reconcile(name)
    assert [call for call in lab.calls() if api in call.path or GRAPH_APP_ID in call.path] == []
    assert lab.writes() == []
    await lab.patch("fhirapp", name, {"spec": {"additionalPermissions": None}})
    await lab.settle(name)
    assert len((await lab.application(name))["requiredResourceAccess"]) == 2


async def test_an_id_that_another_api_changed_is_known_within_a_day(lab):
    await lab.ready("Resource")
    api = await other_api(lab)
    asks = [{"appId": api, "scopes": ["user_impersonation"]}]
    name = await lab.ready("Public", additionalPermissions=asks)
    document = await lab.application("other")
    (scope,) = document["api"]["oauth2PermissionScopes"]
    new = {**scope, "id": "aaaaaaaa-0000-4000-8000-000000000001"}
    entity = lab.emulator.directory.store.locate(document["id"])
    changed = {**document, "api": {**document["api"], "oauth2PermissionScopes": [new]}}
    lab.emulator.directory.store.replace(entity, changed)
    lab.pass_time(timedelta(days=1))
    await lab.settle(name)
    access = (await lab.application(name))["requiredResourceAccess"]
    (asked,) = (each["resourceAccess"] for each in access if each["resourceAppId"] == api)
    assert [each["id"] for each in asked] == [new["id"]]


async def test_a_permission_that_another_api_lacks_is_told_with_its_place(lab):
    await lab.ready("Resource")
    asks = [{"wellKnown": "MicrosoftGraph", "appRoles": ["Nothing.Of.This"]}]
    name = await lab.register("Service", additionalPermissions=asks)
    assert (await lab.settle(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "ScopeNotFound")
    assert "additionalPermissions[0].appRoles[0]" in await lab.message(name)


async def test_roles_of_another_api_are_granted_only_where_that_api_is_listed(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    api = await other_api(lab)
    asks = [{"appId": api, "appRoles": ["globalReader"]}]
    name = await lab.ready("Service", additionalPermissions=asks)
    assert await held(lab, name) == ["globalReader"]
    assert await held(lab, name, "other") == []
    assert f"'globalReader' of API {api} (not in" in await lab.message(name, "ConsentGranted")
    await opt_in(lab, allowed=[*EVERYTHING["allowed"], {"appId": api, "appRoles": ["globalR*"]}])
    await lab.settle(name)
    assert await held(lab, name, "other") == ["globalReader"]
    assert await consent(lab, name) == ("True", "Granted")


async def test_a_plan_shows_grants_and_what_stays_missing(lab, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    permit(lab, *ROLES)
    await opt_in(lab, allowed=[{"appRoles": ["globalReader"]}])
    await lab.ready("Resource")
    name = await lab.register("Service", appRoles=["globalReader", "globalWriter"])
    assert await commands.plan(lab.world, None, lab.namespace, name)
    shown = " ".join(capsys.readouterr().out.split())
    assert "AssignAppRole AppRoleNotAssigned" in shown
    assert "consent: not granted: app role 'globalWriter'" in shown
    await lab.settle(name)
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalWriter"]}})
    assert await commands.plan(lab.world, None, lab.namespace, name)
    assert "UnassignAppRole" in capsys.readouterr().out
    assert await held(lab, name) == ["globalReader"]
