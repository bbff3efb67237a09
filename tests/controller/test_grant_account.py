"""The account of what the operator granted: nothing else is in it, and nothing is forgotten."""

import re
from datetime import timedelta

import pytest

from entra_emulator import Fault, Replica
from tests.controller.test_grants import ROLES, consent, held, opt_in, permit
from tests.controller.test_narrowing import granted

pytestmark = pytest.mark.control_plane


async def test_what_was_refused_is_not_ours_when_an_administrator_grants_it(lab):
    await opt_in(lab)  # the operator's own application lacks the permission
    await lab.ready("Resource")
    name = await lab.ready("Service", appRoles=["globalReader", "globalWriter"])
    assert await consent(lab, name) == ("False", "PermissionDenied")
    assert "grants" not in await lab.status(name)
    await lab.grant(name, "globalReader")
    await lab.grant(name, "globalWriter")
    permit(lab, *ROLES)
    lab.pass_time(timedelta(hours=3))
    await lab.settle(name)
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalWriter"]}})
    await lab.settle(name)
    assert await held(lab, name) == ["globalReader", "globalWriter"]


async def test_a_refusal_does_not_forget_what_may_have_been_granted_before(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await lab.ready("Resource")
    name = await lab.register("Service")
    posts = {"path": re.compile("appRoleAssignments$"), "method": "POST"}
    lab.emulator.weather.add(Fault(**posts, when="before", status=500))
    await lab.reconcile(name)
    before = (await lab.status(name))["grants"]
    lab.emulator.weather.add(Fault(**posts, when="before", status=400))
    lab.pass_time(timedelta(minutes=2))
    await lab.reconcile(name)
    assert await consent(lab, name) == ("False", "RequestRefused")
    assert (await lab.status(name))["grants"] == before


async def test_a_grant_that_a_stale_read_does_not_show_is_still_taken_back(lab):
    name = await granted(lab)
    lab.pass_time(timedelta(hours=1))
    await lab.settle(name)
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalReader", "globalWriter"]}})
    await lab.settle(name)
    replicas = lab.emulator.directory.store.replicas
    replicas.lag, replicas.sign_in_lag = timedelta(minutes=20), timedelta(0)
    replicas.serve_in_order((Replica.LAGGING,))
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalReader"]}})
    for _ in range(8):
        await lab.reconcile(name)
        lab.pass_time(timedelta(minutes=1))
    assert len((await lab.status(name))["grants"][0]["appRoles"]) == 2
    replicas.serve_in_order((Replica.FRESH,))
    outcome = await lab.settle(name)
    if await held(lab, name) != ["globalReader"]:
        assert outcome.due <= timedelta(minutes=15)
        lab.pass_time(outcome.due)
        await lab.settle(name)
    assert await held(lab, name) == ["globalReader"]
    assert len((await lab.status(name))["grants"][0]["appRoles"]) == 1


async def test_a_grant_that_somebody_else_took_back_is_forgotten_in_the_end(lab):
    name = await granted(lab, "globalReader", "globalWriter")
    lab.pass_time(timedelta(hours=1))
    await lab.settle(name)
    await lab.ungrant(name, "globalWriter")
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalReader"]}})
    outcome = await lab.settle(name)
    looks = 0
    while len((await lab.status(name))["grants"][0]["appRoles"]) == 2:
        looks += 1
        assert looks <= 3
        lab.pass_time(outcome.due)
        outcome = await lab.settle(name)
    assert looks > 1
    assert outcome.due is None or outcome.due > timedelta(hours=1)
