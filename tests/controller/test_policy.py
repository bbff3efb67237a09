"""What a tenant's policy keeps out of the directory, and takes back when it gets narrower."""

from datetime import timedelta
from functools import partial

import pytest

from fhir_app_operator.controller import commands
from tests.controller.meddling import meddled
from tests.controller.test_grants import ROLES, consent, held, opt_in, permit

pytestmark = pytest.mark.control_plane

GRAVE = ["globalReader", "globalAdmin"]
HOSTS = {"redirectHosts": ["portal.clinic.example"]}
BOTH = {"web": ["https://portal.clinic.example/callback", "https://old.clinic.example/callback"]}


async def rule(lab, **policy):
    await lab.patch("tenant", lab.tenant, {"spec": {"policy": policy or None}})


async def values(lab, name, server="fhir-server"):
    """The values of the server's roles that a registration asks for."""
    roles = {role["id"]: role["value"] for role in (await lab.application(server))["appRoles"]}
    access = (await lab.application(name))["requiredResourceAccess"]
    return sorted(roles[each["id"]] for api in access for each in api["resourceAccess"])


async def redirects(lab, name):
    return sorted((await lab.application(name))["web"]["redirectUris"])


async def test_a_role_of_an_administrators_grade_is_not_even_registered(lab):
    await lab.ready("Resource")
    lab.forget_calls()
    name = await lab.register("Service", appRoles=GRAVE)
    assert (await lab.settle(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "PolicyViolation")
    message = await lab.message(name)
    assert "app role 'globalAdmin'" in message
    assert "globalReader" not in message
    assert lab.writes() == []
    assert not await commands.plan(lab.world, None, lab.namespace, name)
    await rule(lab, appRoles=["*", "globalAdmin"])
    await lab.settle(name)
    assert await values(lab, name) == sorted(GRAVE)
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")


async def test_what_is_there_is_reported_when_the_policy_gets_narrower_and_nothing_is_added(lab):
    await rule(lab, appRoles=["*", "globalAdmin"])
    await lab.ready("Resource")
    name = await lab.ready("Service", appRoles=GRAVE)
    await rule(lab)
    assert (await lab.settle(name)).result == "success"
    conditions = await lab.conditions(name)
    assert conditions["PolicyViolated"] == ("True", "PolicyViolation")
    assert conditions["Ready"] == ("True", "Succeeded")
    assert await values(lab, name) == sorted(GRAVE)
    await rule(lab, appRoles=["globalReader"])
    await lab.patch("fhirapp", name, {"spec": {"appRoles": [*GRAVE, "globalWriter"]}})
    assert (await lab.settle(name)).result == "stalled"
    assert "'globalWriter'" in await lab.message(name)
    assert await values(lab, name) == sorted(GRAVE)
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalReader"]}})
    assert (await lab.settle(name)).result == "success"
    assert "PolicyViolated" not in await lab.conditions(name)


async def test_what_is_there_is_withdrawn_where_the_policy_says_so(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await rule(lab, appRoles=["*", "globalAdmin"])
    await lab.ready("Resource")
    name = await lab.ready("Service", appRoles=GRAVE)
    assert await held(lab, name) == sorted(GRAVE)
    await rule(lab, appRoles=["*"], existing="Withdraw")
    assert (await lab.settle(name)).result == "stalled"
    assert await values(lab, name) == ["globalReader"]
    assert await held(lab, name) == ["globalReader"]
    assert (await lab.conditions(name))["Stalled"] == ("True", "PolicyViolation")
    assert "withdrawn" in await lab.message(name)
    await lab.patch("fhirapp", name, {"spec": {"appRoles": ["globalReader"]}})
    assert (await lab.settle(name)).result == "success"
    assert await consent(lab, name) == ("True", "Granted")


async def test_a_granted_role_stays_while_it_is_only_reported(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    await rule(lab, appRoles=["*", "globalAdmin"])
    await lab.ready("Resource")
    name = await lab.ready("Service", appRoles=GRAVE)
    await rule(lab)
    await lab.settle(name)
    assert await held(lab, name) == sorted(GRAVE)


async def test_redirect_uris_are_held_to_the_listed_hosts(lab):
    await lab.ready("Resource")
    name = await lab.ready("Confidential", redirectUris=BOTH)
    await rule(lab, **HOSTS)
    assert (await lab.settle(name)).result == "success"
    assert await redirects(lab, name) == sorted(BOTH["web"])
    assert "old.clinic.example" in await lab.message(name, "PolicyViolated")
    await rule(lab, existing="Withdraw", **HOSTS)
    assert (await lab.settle(name)).result == "stalled"
    assert await redirects(lab, name) == BOTH["web"][:1]


async def test_the_credential_is_renewed_while_the_policy_stands_in_the_way(lab):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    before = await lab.key_ids(name)
    await lab.patch("fhirapp", name, {"spec": {"appRoles": GRAVE}})
    lab.pass_time(timedelta(days=125))
    assert (await lab.settle(name)).result == "stalled"
    assert set(await lab.key_ids(name)) > set(before)
    assert await values(lab, name) == ["globalReader"]


async def test_a_policy_that_changes_right_before_the_write_is_the_one_that_counts(lab):
    await lab.ready("Resource")
    name = await lab.register("Service", appRoles=["globalWriter"])
    narrow = partial(rule, lab, appRoles=["globalReader"])
    # Read once for the pass, and once before the write.
    busy, meddler = meddled(lab, ("tenant", lab.tenant), 2, narrow)
    lab.forget_calls()
    assert (await busy.reconcile(name)).result == "waiting"
    assert meddler.left == 0
    assert lab.writes() == []
    assert (await lab.settle(name)).result == "stalled"
    assert (await lab.conditions(name))["Stalled"] == ("True", "PolicyViolation")
