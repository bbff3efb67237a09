"""What a narrower tenant takes back although the registration stands still."""

from datetime import timedelta

import pytest

from entra_emulator.seeds import ALICE
from tests.controller.test_grants import (
    CONSENT,
    ROLES,
    consent,
    consented,
    held,
    opt_in,
    permit,
    settle_later,
)
from tests.controller.test_hostile import forge
from tests.controller.test_withdrawal import assigned

pytestmark = pytest.mark.control_plane

BARS = {"appRoles": ["none"], "existing": "Withdraw"}
UNKNOWN = [{"wellKnown": "MicrosoftGraph", "appRoles": ["No.Such"]}]


async def granted(lab, *roles):
    """A service that the operator gave its roles."""
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    return await lab.ready("Service", appRoles=list(roles or ("globalReader",)))


async def suspend(lab, name):
    await lab.patch("fhirapp", name, {"spec": {"suspend": True}})
    assert (await lab.settle(name)).result == "success"


async def test_a_suspended_registration_loses_what_the_list_no_longer_allows(lab):
    name = await granted(lab, "globalReader", "globalWriter")
    await lab.grant(name, "globalExporter")
    await suspend(lab, name)
    await opt_in(lab, allowed=[{"appRoles": ["globalWriter"]}])
    await lab.settle(name)
    assert await held(lab, name) == ["globalExporter", "globalWriter"]
    assert await consent(lab, name) == ("False", "ConsentMissing")
    assert "taken back" in await lab.message(name, "ConsentGranted")
    assert (await lab.conditions(name))["Synced"] == ("False", "Suspended")
    assert len((await lab.status(name))["grants"][0]["appRoles"]) == 1


async def test_a_suspended_registration_loses_what_the_policy_withdraws(lab):
    name = await granted(lab)
    await suspend(lab, name)
    await lab.patch("tenant", lab.tenant, {"spec": {"policy": BARS | {"existing": "Report"}}})
    await lab.settle(name)
    assert await held(lab, name) == ["globalReader"]
    await lab.patch("tenant", lab.tenant, {"spec": {"policy": BARS}})
    await lab.settle(name)
    assert await held(lab, name) == []


async def test_a_manifest_that_cannot_be_carried_out_keeps_nothing_that_is_not_allowed(lab):
    name = await granted(lab)
    await lab.patch("fhirapp", name, {"spec": {"additionalPermissions": UNKNOWN}})
    assert (await lab.settle(name)).result == "stalled"
    await opt_in(lab, allowed=[])
    assert (await lab.settle(name)).result == "stalled"
    assert await held(lab, name) == []
    assert "grants" not in await lab.status(name)
    assert await consent(lab, name) == ("False", "ConsentMissing")


async def test_scopes_are_taken_back_from_one_that_is_suspended(lab):
    permit(lab, *CONSENT)
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.ready("Confidential", consent="Admin")
    await settle_later(lab, name)
    await suspend(lab, name)
    await opt_in(lab, allowed=[])
    await lab.settle(name)
    assert set.union(*(await consented(lab, name)).values()) == {"openid", "offline_access"}


async def test_what_a_suspended_server_gave_to_people_is_taken_back(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    given = [{"principalId": ALICE.id, "appRoles": ["globalReader"]}]
    url = f"https://{lab.namespace}.clinic.example"
    name = await lab.ready("Resource", resource={"url": url, "assignments": given})
    await suspend(lab, name)
    await opt_in(lab, allowed=[])
    await lab.settle(name)
    assert await consent(lab, name) == ("False", "AssignmentMissing")
    assert "grants" not in await lab.status(name)


async def test_a_suspended_registration_with_a_forged_account_takes_nothing_from_others(lab):
    victim = await granted(lab)
    name = await lab.ready("Service", "forger")
    status = await lab.status(victim)
    await suspend(lab, name)
    await forge(lab, name, grants=status["grants"],
                servicePrincipalId=status["servicePrincipalId"])  # fmt: skip
    await suspend(lab, victim)
    before = await assigned(lab, victim)
    await lab.patch("tenant", lab.tenant, {"spec": {"policy": BARS}})
    await lab.reconcile(name)
    assert await assigned(lab, victim) == before


async def test_one_that_stands_still_asks_the_directory_nothing_while_all_is_allowed(lab):
    name = await granted(lab)
    await lab.patch("fhirapp", name, {"spec": {"suspend": True}})
    lab.forget_calls()
    for _ in range(2):
        lab.pass_time(timedelta(hours=12))
        await lab.settle(name)
    assert len(lab.calls()) <= 1  # the API's service principal, once a day at most
    assert lab.writes() == []
    lab.forget_calls()
    await lab.settle(name)
    assert lab.calls() == []


async def test_one_that_stands_still_is_given_nothing(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    await suspend(lab, name)
    permit(lab, *ROLES)
    await opt_in(lab)
    lab.forget_calls()
    lab.pass_time(timedelta(hours=12))
    await lab.settle(name)
    assert await held(lab, name) == []
    assert lab.calls() == []


async def test_a_list_that_got_narrower_while_the_operator_was_down_is_noticed_at_once(lab):
    name = await granted(lab)
    lab.pass_time(timedelta(hours=1))
    await lab.settle(name)
    await opt_in(lab, allowed=[])
    restarted = lab.restarted()
    await restarted.reconcile(name)
    assert await held(lab, name) == []
    await restarted.world.connections.close()


async def test_after_a_start_a_grant_that_is_still_wanted_is_not_read_again(lab):
    name = await granted(lab)
    lab.pass_time(timedelta(hours=1))
    await lab.settle(name)
    restarted = lab.restarted()
    lab.forget_calls()
    await restarted.reconcile(name)
    assert [call for call in lab.calls() if "appRoleAssign" in call.path] == []
    await restarted.world.connections.close()
