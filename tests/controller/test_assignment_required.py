"""A server whose tokens only go to whom it was assigned: set, kept, what clients see of it."""

from datetime import timedelta

import pytest

from entra_emulator import Replica
from entra_emulator.directory import service_principals
from tests.controller.signing_in import consent, principal_of, service_answer, user_answer

pytestmark = pytest.mark.control_plane

URL = "https://{uri}.clinic.example"
GUARDED = {"url": URL, "assignmentRequired": True}


async def principal(lab, name):
    return principal_of(lab, (await lab.status(name))["appId"])


async def is_required(lab, name):
    return (await principal(lab, name)).document["appRoleAssignmentRequired"]


async def set_by_hand(lab, name, *, required):
    entity = await principal(lab, name)
    change = {"appRoleAssignmentRequired": required}
    service_principals.update(lab.emulator.directory, entity, change)


async def test_a_service_gets_a_token_only_once_it_was_given_a_role(lab):
    await lab.ready("Resource", resource=GUARDED)
    name = await lab.ready("Service")

    refused = await service_answer(lab, name)
    await consent(lab, name)
    claims = await service_answer(lab, name)

    assert refused["error_codes"] == [501051]
    assert claims["roles"] == ["globalReader"]


async def test_consent_alone_does_not_let_a_user_in(lab):
    await lab.ready("Resource", resource=GUARDED)
    name = await lab.ready("Public")
    await consent(lab, name)
    assert "AADSTS50105" in (await user_answer(lab, name))["error_description"]


@pytest.mark.parametrize("required", [True, False])
async def test_it_is_put_back_when_somebody_changed_it(lab, required):
    name = await lab.ready("Resource", resource={"url": URL, "assignmentRequired": required})
    lab.pass_time(timedelta(hours=2))
    await set_by_hand(lab, name, required=not required)

    await lab.settle(name)

    assert await is_required(lab, name) is required
    assert any("app_role_assignment_required" in e["note"] for e in await lab.events(name))
    lab.forget_calls()
    await lab.settle(name)
    assert lab.writes() == []


async def test_what_the_manifest_does_not_say_is_left_to_people(lab):
    name = await lab.ready("Resource")
    await set_by_hand(lab, name, required=True)
    await lab.settle(name)
    assert await is_required(lab, name)


async def test_it_is_written_once_while_reads_are_behind(lab):
    name = await lab.ready("Resource")
    lab.pass_time(timedelta(hours=2))
    replicas = lab.emulator.directory.store.replicas
    replicas.lag = timedelta(minutes=10)
    replicas.serve_in_order((Replica.FRESH, Replica.LAGGING))
    lab.forget_calls()
    await lab.patch("fhirapp", name, {"spec": {"resource": {"assignmentRequired": True}}})
    for _ in range(10):
        await lab.settle(name)
        lab.pass_time(timedelta(minutes=2))
    assert await is_required(lab, name)
    assert len(lab.writes()) == 1
