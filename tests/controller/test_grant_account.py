"""The account of what the operator granted: nothing else is in it, and nothing is forgotten."""

import re
from datetime import timedelta

import pytest

from entra_emulator import Fault
from tests.controller.test_grants import ROLES, consent, held, opt_in, permit

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
