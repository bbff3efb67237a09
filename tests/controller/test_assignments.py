"""App roles that a server's manifest gives to people, groups and services."""

import pytest

from entra_emulator.directory import permissions
from entra_emulator.seeds import ALICE, BOB, CLINICIANS
from fhir_app_operator.controller import commands
from tests.controller.test_grants import (
    EVERYTHING,
    ROLES,
    consent,
    ids,
    opt_in,
    permit,
    principal_of,
)

pytestmark = pytest.mark.control_plane


def resource(lab, *entries, **fields):
    """A server that gives roles: pairs of an object id and its roles."""
    return {"url": f"https://{lab.namespace}.clinic.example", **fields, "assignments": [
        {"principalId": who, "appRoles": list(roles)} for who, roles in entries
    ]}  # fmt: skip


async def holders(lab, name="fhir-server"):
    """Who holds which role of the server by an assignment of its own."""
    _, app_id = await ids(lab, name)
    server, directory = principal_of(lab, app_id), lab.emulator.directory
    values = {r["id"]: r["value"] for r in (await lab.application(name))["appRoles"]}
    return sorted(
        (entity.document["principalId"], values[entity.document["appRoleId"]])
        for entity in permissions.assignments_of(directory, server.id)
    )


async def token_roles(lab, user, name="fhir-server"):
    _, app_id = await ids(lab, name)
    return sorted(
        permissions.role_values(lab.emulator.directory, user.id, principal_of(lab, app_id))
    )


async def test_people_and_groups_get_their_roles_and_their_tokens_have_them(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    gives = resource(lab, (CLINICIANS.id, ["globalReader"]), (BOB.id, ["globalWriter"]))
    name = await lab.ready("Resource", resource=gives)
    assert await consent(lab, name) == ("True", "Granted")
    assert await holders(lab) == sorted([(CLINICIANS.id, "globalReader"), (BOB.id, "globalWriter")])
    assert await token_roles(lab, ALICE) == ["globalReader"]
    assert await token_roles(lab, BOB) == ["globalWriter"]
    await lab.reconcile(name)
    lab.forget_calls()
    await lab.reconcile(name)
    assert [call for call in lab.calls() if "appRole" in call.path] == []


async def test_what_the_manifest_drops_is_taken_back_and_what_people_assigned_stays(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    name = await lab.ready("Resource", resource=resource(lab, (ALICE.id, ["globalReader"])))
    roles = {r["value"]: r["id"] for r in (await lab.application(name))["appRoles"]}
    permissions.assign(lab.emulator.directory, {
        "principalId": ALICE.id, "resourceId": (await ids(lab, name))[0],
        "appRoleId": roles["globalExporter"],
    })  # fmt: skip
    await lab.patch("fhirapp", name, {"spec": {"resource": {"assignments": None}}})
    await lab.settle(name)
    assert await holders(lab) == [(ALICE.id, "globalExporter")]
    assert await consent(lab, name) is None
    assert "grants" not in await lab.status(name)


async def test_without_the_opt_in_the_message_has_the_command(lab):
    name = await lab.ready("Resource", resource=resource(lab, (ALICE.id, ["globalReader"])))
    assert await consent(lab, name) == ("False", "AssignmentMissing")
    message = await lab.message(name, "ConsentGranted")
    assert f"app role 'globalReader' to {ALICE.id}" in message
    assert "az rest --method POST" in message
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")
    assert await holders(lab) == []


async def test_one_that_is_not_in_the_directory_does_not_stand_in_the_others_way(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    nobody = "aaaaaaaa-0000-0000-0000-000000000009"
    gives = resource(lab, (nobody, ["globalReader"]), (ALICE.id, ["globalReader"]))
    name = await lab.ready("Resource", resource=gives)
    assert await holders(lab) == [(ALICE.id, "globalReader")]
    status, reason = await consent(lab, name)
    assert (status, reason) == ("False", "NotYetReplicated")
    assert nobody in await lab.message(name, "ConsentGranted")


async def test_a_list_without_the_role_takes_it_back_and_a_plan_shows_that(lab, capsys):
    permit(lab, *ROLES)
    await opt_in(lab)
    name = await lab.ready("Resource", resource=resource(lab, (ALICE.id, ["globalReader"])))
    await opt_in(lab, allowed=[])
    assert await commands.plan(lab.world, None, lab.namespace, name)
    assert "UnassignAppRole" in capsys.readouterr().out
    await lab.settle(name)
    assert await holders(lab) == []
    await opt_in(lab, allowed=EVERYTHING["allowed"])
    await lab.settle(name)
    assert await holders(lab) == [(ALICE.id, "globalReader")]


async def test_an_undeclared_role_is_invalid(lab):
    gives = resource(lab, (ALICE.id, ["globalReader", "superUser"]))
    name = await lab.register("Resource", resource=gives)
    assert (await lab.settle(name)).result == "stalled"
    assert "resource.assignments[0].appRoles[1]" in await lab.message(name)
