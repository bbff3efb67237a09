"""What somebody else does between a pass's reads and the grant that it writes."""

from datetime import timedelta
from functools import partial

import pytest

from entra_emulator.directory import permissions
from tests.controller.meddling import before_grant, meddled
from tests.controller.test_grants import (
    CONSENT,
    ROLES,
    consented,
    ids,
    opt_in,
    permit,
    settle_later,
)
from tests.controller.test_references import SERVER, across, allow, allowing

pytestmark = pytest.mark.control_plane

SCOPES = [
    {"value": value, "adminConsentDisplayName": value, "adminConsentDescription": value}
    for value in ("read", "write", "export")
]


async def consent_by_hand(lab, name, scope):
    """An administrator consents to one more scope of the server."""
    principal, _ = await ids(lab, name)
    resource, _ = await ids(lab, SERVER)
    (grant,) = (
        entity
        for entity in permissions.grants_to(lab.emulator.directory, principal)
        if entity.document["resourceId"] == resource
    )
    both = f"{grant.document['scope']} {scope}".strip()
    permissions.change_grant(lab.emulator.directory, grant, {"scope": both})


@pytest.mark.parametrize(
    ("before", "after"), [(["read"], ["read", "write"]), (["read", "write"], ["read"])]
)
async def test_what_an_administrator_consents_to_meanwhile_is_kept(lab, before, after):
    permit(lab, *CONSENT)
    await opt_in(lab)
    url = f"https://{lab.namespace}.clinic.example"
    await lab.ready("Resource", resource={"url": url, "scopes": {"custom": SCOPES}})
    name = await lab.ready("Confidential", consent="Admin", scopes=before)
    await settle_later(lab, name)
    await lab.patch("fhirapp", name, {"spec": {"scopes": after}})
    busy, meddler = before_grant(lab, name, partial(consent_by_hand, lab, name, "export"))
    await busy.reconcile(name)
    assert meddler.left == 0
    await settle_later(lab, name)
    resource, _ = await ids(lab, SERVER)
    assert (await consented(lab, name))[resource] == {*after, "export"}


async def test_scopes_are_swapped_in_one_pass_though_reads_are_behind(lab):
    permit(lab, *CONSENT)
    await opt_in(lab)
    url = f"https://{lab.namespace}.clinic.example"
    await lab.ready("Resource", resource={"url": url, "scopes": {"custom": SCOPES}})
    name = await lab.ready("Confidential", consent="Admin", scopes=["read", "write"])
    await settle_later(lab, name)
    lab.emulator.directory.store.lag = timedelta(minutes=1)
    await lab.patch("fhirapp", name, {"spec": {"scopes": ["read", "export"]}})
    await lab.reconcile(name)
    lab.pass_time(timedelta(minutes=2))
    resource, _ = await ids(lab, SERVER)
    assert (await consented(lab, name))[resource] == {"read", "export"}


async def test_a_server_that_shuts_a_namespace_out_meanwhile_is_granted_nothing_on(lab):
    permit(lab, *ROLES)
    await opt_in(lab)
    other = await lab.neighbour()
    await lab.ready("Resource", resource=allowing(lab, namespaces=[other.namespace]))
    name = await other.register("Service", **across(lab))
    shut = partial(allow, lab)
    # Read once for the reference, and once before the grant.
    busy, meddler = meddled(other, ("readable", SERVER), 2, shut)
    await busy.reconcile(name)
    assert meddler.left == 0
    principal, _ = await ids(other, name)
    assert list(permissions.assignments_to(lab.emulator.directory, principal)) == []
    assert "grants" not in await other.status(name)
    await allow(lab, namespaces=[other.namespace])
    other.pass_time(timedelta(minutes=2))
    await other.settle(name)
    assert (await other.conditions(name))["ConsentGranted"] == ("True", "Granted")
