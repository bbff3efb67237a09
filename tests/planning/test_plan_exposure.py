"""Plans for what a server exposes: disable, see, remove; entries whose ids are not derived."""

from dataclasses import replace

import pytest

from fhir_app_operator.planning.forecast import forecast
from fhir_app_operator.planning.model import AppRole, AwaitDisabled, UpdateApplication
from fhir_app_operator.planning.notices import removals, repairs, unmanaged
from fhir_app_operator.planning.plan import plan
from tests.planning.test_plan import converged
from tests.planning.worlds import NOW, POLICY, desired

URL = "https://fhir.clinic.example"
PINNED = "24c50db1-1e11-4273-b6a0-b697f734bcb4"
TAG = f"fhirapps.dev/permission:{PINNED}"
AUDIT = {"value": "audit", "displayName": "a", "description": "d"}


def resource(**fields):
    return {"url": URL} | fields


def run(world, wanted):
    """Apply `wanted` to its end; the types of what was done, and the last PATCH."""
    before = len(world.log)
    world.wanted = wanted
    while actions := plan(world.wanted, world.observed, NOW, POLICY):
        assert len(world.log) - before < 9
        world.apply(actions[0])
    return [type(action) for action in world.log[before:]]


def test_what_goes_is_disabled_then_seen_as_such_then_removed():
    world = converged("Resource")
    wanted = desired("Resource", resource=resource(appRoles={"presets": []}))
    assert run(world, wanted) == [UpdateApplication, AwaitDisabled, UpdateApplication]
    assert world.observed.application.app_roles == ()
    assert world.observed.unseen_disabled == frozenset()
    assert repairs(world.log[-3:]) == ("app_roles",)


def test_a_pass_that_begins_after_the_crash_goes_on_where_the_directory_is():
    world = converged("Resource")
    wanted = desired("Resource", resource=resource(appRoles={"presets": []}))
    (disable,) = plan(wanted, world.observed, NOW, POLICY)
    world.apply(disable)
    # What a new process reads: disabled, and so visible.
    world.observed = replace(world.observed, unseen_disabled=frozenset())
    assert run(world, wanted) == [UpdateApplication]


def test_a_change_of_mind_in_between_enables_again_without_a_wait():
    world = converged("Resource")
    (disable,) = plan(
        desired("Resource", resource=resource(appRoles={"presets": []})),
        world.observed, NOW, POLICY,
    )  # fmt: skip
    world.apply(disable)
    assert world.observed.unseen_disabled
    assert run(world, desired("Resource")) == [UpdateApplication]
    assert all(role.is_enabled for role in world.observed.application.app_roles)
    assert world.observed.unseen_disabled == frozenset()


def test_a_forecast_shows_the_wait():
    world = converged("Resource")
    wanted = desired("Resource", resource=resource(scopes={"presets": []}))
    found = forecast(wanted, world.observed, NOW, POLICY)
    assert [type(a) for a in found] == [UpdateApplication, AwaitDisabled, UpdateApplication]
    disable, wait, remove = found
    gone = ("user_impersonation",)
    assert (disable.disables, disable.removes) == (gone, ())
    assert wait.values == gone
    assert (remove.disables, remove.removes) == ((), gone)


def test_what_is_gone_is_told_and_only_then():
    world = converged("Resource")
    run(world, desired("Resource", resource=resource(scopes={"presets": ["SmartV1"]})))
    (told,) = removals(world.log)
    assert "removed: user_impersonation; grants" in told.note
    world.log.clear()
    run(world, desired("Resource", resource=resource(appRoles={"presets": []})))
    (told,) = removals(world.log)
    assert told.note.endswith("more; grants of them ended")
    (told,) = removals(world.log, ["clinic/ingest"])
    assert told.note.endswith("and were taken back from: clinic/ingest")
    assert removals(()) == ()


@pytest.mark.parametrize(
    "roles", [{"custom": [AUDIT | {"id": PINNED}]}, {"presets": ["FhirProxy"]}]
)
def test_a_named_id_is_claimed_by_a_tag_until_its_entry_is_gone(roles):
    world = converged("Resource", resource=resource(appRoles=roles))
    assert PINNED in {role.id for role in world.observed.application.app_roles}
    assert TAG in world.observed.application.tags
    assert unmanaged(world.wanted, world.observed.application) == ""
    gone = desired("Resource", resource=resource(appRoles={"presets": ["FhirServer"]}))
    (disable,) = plan(gone, world.observed, NOW, POLICY)
    world.apply(disable)
    assert TAG in world.observed.application.tags
    run(world, gone)
    assert TAG not in world.observed.application.tags
    assert PINNED not in {role.id for role in world.observed.application.app_roles}


def test_a_role_of_others_is_kept_and_counted_or_goes():
    world = converged("Resource")
    theirs = AppRole(id="x", value="theirs", display_name="t", description="t",
                     allowed_member_types=frozenset({"User"}))  # fmt: skip
    app = world.observed.application
    world.observed = replace(
        world.observed, application=replace(app, app_roles=(*app.app_roles, theirs))
    )
    assert run(world, desired("Resource")) == []
    assert unmanaged(world.wanted, world.observed.application) == "1 app role"
    wanted = desired("Resource", resource=resource(appRoles={"unmanaged": "Remove"}))
    assert run(world, wanted) == [UpdateApplication, AwaitDisabled, UpdateApplication]
    assert theirs.id not in {role.id for role in world.observed.application.app_roles}
