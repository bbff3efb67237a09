"""A server that removes what clients were granted: ours is taken back first, others' stays."""

from datetime import timedelta
from uuid import uuid4

import pytest

from entra_emulator import OPERATOR_CLIENT_ID
from entra_emulator.constants import GRAPH_APP_ROLES
from entra_emulator.directory import permissions
from entra_emulator.seeds import ALICE
from tests.controller.test_grants import CONSENT, ROLES, held, ids, opt_in, permit, principal_of

pytestmark = pytest.mark.control_plane

URL = "https://{uri}.clinic.example"
EXTRA = {"value": "globalExtra", "displayName": "Extra", "description": "Extra"}
SCOPE = {"value": "extra", "adminConsentDisplayName": "x", "adminConsentDescription": "x"}
WIDE = {"url": URL, "appRoles": {"custom": [EXTRA]}, "scopes": {"custom": [SCOPE]}}
NARROW = {"appRoles": {"custom": None}, "scopes": {"custom": None}}


async def assigned(lab, name):
    principal, _ = await ids(lab, name)
    found = permissions.assignments_to(lab.emulator.directory, principal)
    return [entity.document["appRoleId"] for entity in found]


async def consented(lab, name):
    principal, _ = await ids(lab, name)
    found = permissions.grants_to(lab.emulator.directory, principal)
    return {value for entity in found for value in entity.document["scope"].split()}


async def narrow(lab):
    await lab.patch("fhirapp", "fhir-server", {"spec": {"resource": NARROW}})
    await lab.settle("fhir-server")


async def told(lab):
    found = [e for e in await lab.events("fhir-server") if e["reason"] == "PermissionsRemoved"]
    return found[-1]["note"]


async def test_what_the_operator_granted_is_taken_back_before_it_goes(lab):
    permit(lab, *ROLES, *CONSENT)
    await opt_in(lab)
    await lab.ready("Resource", resource=WIDE)
    service = await lab.ready("Service", appRoles=["globalReader", "globalExtra"])
    portal = await lab.ready("Confidential", scopes=["user_impersonation", "extra"],
                             consent="Admin")  # fmt: skip
    assert len(await assigned(lab, service)) == 2
    assert {"extra", "user_impersonation"} <= await consented(lab, portal)
    lab.forget_calls()

    await narrow(lab)

    assert len(await assigned(lab, service)) == 1
    assert "extra" not in await consented(lab, portal)
    assert "user_impersonation" in await consented(lab, portal)
    note = await told(lab)
    assert "extra, globalExtra" in note
    assert f"{lab.namespace}/{service}" in note
    assert f"{lab.namespace}/{portal}" in note
    last = [call for call in lab.writes() if "/applications/" in call.path][-1]
    taken = [call for call in lab.writes() if "/applications/" not in call.path]
    assert lab.writes().index(last) > max(map(lab.writes().index, taken))


async def test_what_the_manifest_gave_to_people_goes_the_same_way(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    given = [{"principalId": ALICE.id, "appRoles": ["globalExtra", "globalReader"]}]
    await lab.ready("Resource", resource=WIDE | {"assignments": given})
    left = [{"principalId": ALICE.id, "appRoles": ["globalReader"]}]
    await lab.patch("fhirapp", "fhir-server", {"spec": {"resource": {"assignments": left}}})

    await narrow(lab)

    found = permissions.assignments_to(lab.emulator.directory, ALICE.id)
    assert len(list(found)) == 1
    assert ALICE.id in await told(lab)
    assert (await lab.conditions("fhir-server"))["ConsentGranted"] == ("True", "Granted")


async def test_what_an_administrator_granted_stays_and_nothing_is_asked(lab):
    await lab.ready("Resource", resource=WIDE)
    service = await lab.ready("Service", appRoles=["globalExtra"])
    principal, _ = await ids(lab, service)
    _, app_id = await ids(lab, "fhir-server")
    server = principal_of(lab, app_id)
    view = lab.emulator.directory.primary_view(server)
    (role,) = [each["id"] for each in view["appRoles"] if each["value"] == "globalExtra"]
    permissions.assign(lab.emulator.directory, {
        "principalId": principal, "resourceId": server.id, "appRoleId": role,
    })  # fmt: skip

    await narrow(lab)

    assert await assigned(lab, service) == [role]
    assert "taken back" not in await told(lab)


async def test_a_permission_that_is_missing_by_now_does_not_stop_the_server(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource", resource=WIDE)
    await lab.ready("Service", appRoles=["globalExtra"])
    for entity in list(permissions.assignments_to(lab.emulator.directory, _operator(lab))):
        lab.emulator.directory.store.remove(entity)

    await narrow(lab)

    assert (await lab.conditions("fhir-server"))["Ready"] == ("True", "Succeeded")
    assert "globalExtra" in await told(lab)


PINNED = EXTRA | {"id": str(uuid4())}


async def rename(lab):
    """Give the pinned role another value, and let everybody take notice."""
    custom = [PINNED | {"value": "globalAdmin"}]
    await lab.patch("fhirapp", "fhir-server", {"spec": {"resource": {"appRoles": {
        "presets": [], "custom": custom,
    }}}})  # fmt: skip
    await lab.settle("fhir-server")


async def test_a_role_that_is_renamed_under_its_id_takes_no_assignment_along(lab):
    permit(lab, *ROLES)
    await opt_in(lab, allowed=[{"appRoles": ["globalExtra"]}])
    await lab.ready("Resource", resource={
        "url": URL, "appRoles": {"presets": [], "custom": [PINNED]},
    })  # fmt: skip
    service = await lab.ready("Service", appRoles=["globalExtra"])
    assert await held(lab, service) == ["globalExtra"]

    await rename(lab)

    assert (await lab.conditions("fhir-server"))["Ready"] == ("True", "Succeeded")
    note = await told(lab)
    assert "globalExtra" in note
    assert f"{lab.namespace}/{service}" in note
    await lab.settle(service)
    assert await held(lab, service) == []


@pytest.mark.parametrize("missing", ["the opt-in", "the permission"])
async def test_a_role_is_not_renamed_while_what_was_assigned_cannot_be_taken_back(lab, missing):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource", resource={
        "url": URL, "appRoles": {"presets": [], "custom": [PINNED]},
    })  # fmt: skip
    service = await lab.ready("Service", appRoles=["globalExtra"])
    if missing == "the opt-in":
        await opt_in(lab, appRoleAssignments="Disabled")
    else:
        for entity in list(permissions.assignments_to(lab.emulator.directory, _operator(lab))):
            if entity.document["appRoleId"] in map(GRAPH_APP_ROLES.get, ROLES):
                lab.emulator.directory.store.remove(entity)
        lab.pass_time(timedelta(hours=2))  # the operator's token still had it

    await rename(lab)

    assert (await lab.conditions("fhir-server"))["Ready"] == ("False", "InvalidSpec")
    assert "another `id`" in await lab.message("fhir-server")
    assert "globalAdmin" not in await held(lab, service)


def _operator(lab):
    return principal_of(lab, OPERATOR_CLIENT_ID).id


async def test_the_account_of_a_neighbour_takes_nothing_and_names_nobody(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource", resource=WIDE)
    victim = await lab.ready("Service", appRoles=["globalReader"])
    principal, _ = await ids(lab, victim)
    resource, _ = await ids(lab, "fhir-server")
    exposed = (await lab.application("fhir-server"))["appRoles"]
    [extra] = [role["id"] for role in exposed if role["value"] == "globalExtra"]
    by_hand = {"principalId": principal, "resourceId": resource, "appRoleId": extra}
    permissions.assign(lab.emulator.directory, by_hand)
    other = await lab.neighbour()
    url = f"https://{other.namespace}.clinic.example"
    await other.ready("Resource", "mine", resource={"url": url})
    spy = await other.ready("Service", fhirServerRef={"name": "mine"})
    forged = {"servicePrincipalId": principal, "grants": [
        {"resourceId": resource, "appRoles": [extra], "scopes": []},
        {"resourceId": resource, "appRoles": [extra], "scopes": [], "principalId": principal},
    ]}  # fmt: skip
    await other.set_status(spy, forged)

    await narrow(lab)

    assert extra in await assigned(lab, victim)
    assert other.namespace not in await told(lab)
