"""When a client secret is issued, moment by moment."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning.credentials import MOST, renew_at
from fhir_app_operator.planning.issuance import due, next_planned
from fhir_app_operator.planning.model import Intent, Observed, Requests
from fhir_app_operator.planning.plan import credential_plan, next_due
from fhir_app_operator.planning.retirement import revocations
from tests.planning.worlds import CERTIFICATE, NOW, POLICY, desired, holding, key, password

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
WANTED = desired("Service")
CURRENT = password("k1", "n1", NOW - 2 * DAY)


def issue(world, wanted=WANTED, now=NOW):
    return due(wanted, world, now, POLICY)


def lost(*own, made=NOW - 300 * DAY):
    """A world whose Secret is gone; `made` is when the application was."""
    world = holding(*own)
    app = replace(world.application, created_at=made)
    return replace(world, application=app, secret=None)


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (holding(CURRENT), None),
        (lost(CURRENT), "SecretDeleted"),
        (lost(), "CredentialMissing"),
        (holding(CURRENT, holds_credential=False, credential_intact=False), "CredentialMissing"),
        (holding(CURRENT, credential_intact=False), "CredentialEdited"),
        (holding(), "CredentialRemoved"),
        (holding(written_at=NOW), None),
        (holding(written_at=None), "CredentialRemoved"),
        (holding(password("k1", "n1", NOW - 120 * DAY)), "CredentialDueForRenewal"),
        (Observed(), None),
    ],
    ids=[
        "good", "secret deleted", "nothing yet", "key emptied", "value edited", "removed in portal",
        "too young to show", "written-at lost", "due", "no application",
    ],
)  # fmt: skip
def test_why_a_credential_is_issued(world, reason):
    found = issue(world)
    assert (found.reason if found else None) == reason
    assert found is None or found.at == NOW


def test_a_type_without_credentials_never_issues():
    assert issue(holding(), desired("Public")) is None
    assert next_planned(desired("Public"), holding(CURRENT)) is None


def test_a_renewal_that_cannot_be_published_is_not_tried_on_every_pass():
    old = password("k1", "n1", NOW - 130 * DAY)
    tries = []
    for failed in range(MOST):
        left = [password(f"x{i}", f"x{i}", NOW) for i in range(failed)]
        found = issue(holding(old, *left))
        assert found.planned
        tries.append((found.at - NOW) / MINUTE)
    assert tries == [0, 5, 24 * 60]


def test_a_planned_renewal_that_must_wait_stops_nothing_else():
    old, left = password("k1", "n1", NOW - 130 * DAY), password("x", "x", NOW)
    assert credential_plan(WANTED, holding(old, left), NOW, POLICY) == ()
    assert credential_plan(WANTED, Observed(), NOW, POLICY) == ()


def test_a_renewal_that_comes_too_late_says_that_it_waits():
    old, left = password("k1", "n1", NOW - 190 * DAY), password("x", "x", NOW)
    with pytest.raises(Waiting, match="CredentialRateLimited"):
        credential_plan(WANTED, holding(old, left), NOW, POLICY)


# --- unplanned issues -----------------------------------------------------------------------
def pause(*own, made=NOW - 300 * DAY):
    return (issue(lost(*own, made=made)).at - NOW) / MINUTE


def test_the_first_unplanned_issue_comes_at_once():
    assert pause(CURRENT) == 0
    assert pause(password("k1", "n1", NOW - SECOND), made=NOW - MINUTE) == 0
    assert pause(password("k0", "n0", NOW - 90 * DAY), CURRENT) == 0


def test_the_next_ones_keep_pauses_that_double_from_5_minutes_to_an_hour():
    old = password("k0", "n0", NOW - 90 * DAY)
    last = password("k1", "n1", NOW)
    assert pause(old, last) == 5
    gaps = [1, 5, 10, 20, 40, 60, 90, 121]
    waits = [pause(password("k0", "n0", NOW - gap * MINUTE), last) for gap in gaps]
    assert waits == [5, 10, 20, 40, 60, 60, 60, 5]


def test_what_was_made_along_with_the_application_begins_no_series():
    first = password("k0", "n0", NOW - 40 * MINUTE)
    assert pause(first, password("k1", "n1", NOW), made=NOW - 41 * MINUTE) == 5


def test_with_no_overlap_to_count_by_a_lone_credential_keeps_the_pause():
    assert pause(password("k5", "n5", NOW - MINUTE)) == 4


def test_an_unplanned_issue_that_must_wait_says_until_when():
    world = lost(password("k0", "n0", NOW - 90 * DAY), password("k1", "n1", NOW))
    with pytest.raises(Waiting, match="again and again") as waits:
        credential_plan(WANTED, world, NOW, POLICY)
    assert waits.value.retry_after == 300


# --- never more than three ------------------------------------------------------------------
def test_a_fourth_credential_waits_until_one_may_go():
    own = [password(f"k{i}", f"n{i}", NOW - (6 - i) * 10 * MINUTE) for i in range(3)]
    seen = {"k0": own[1].start, "k1": own[2].start, "k2": NOW}
    world = replace(lost(*own), retired=seen)
    found = issue(world)
    assert found.crowded
    assert found.at == own[2].start + HOUR
    with pytest.raises(Waiting, match="revoke-previous-requested-at"):
        credential_plan(WANTED, world, NOW, POLICY)
    assert [a.key_id for a in credential_plan(WANTED, world, found.at, POLICY)] == ["k1"]


OFTEN = [password(f"k{i}", f"n{i}", NOW - (6 - i) * 10 * MINUTE) for i in range(3)]


def test_one_that_left_the_secret_late_keeps_its_hour():
    world = replace(lost(*OFTEN), retired={"k1": NOW - MINUTE})
    assert issue(world).at == NOW - MINUTE + HOUR


@pytest.mark.parametrize(
    "world",
    [
        replace(lost(*OFTEN), retired={}),
        replace(lost(replace(OFTEN[0], start=NOW - 9 * DAY),
                     replace(OFTEN[1], start=NOW - 3 * HOUR), OFTEN[2]),
                retired={"k1": NOW - HOUR / 2}),
        replace(holding(*OFTEN, key_id="gone", written_at=NOW - DAY), retired={"k1": NOW}),
    ],
    ids=["nobody knows how long it was in it", "it was in it for long", "not lost, only not seen"],
)  # fmt: skip
def test_what_may_be_in_wide_use_makes_no_room(world):
    assert issue(world).at >= NOW + DAY - HOUR


def test_an_intent_that_came_to_nothing_gives_its_place_up_early():
    own = [password(f"x{i}", f"x{i}", NOW - HOUR + i * MINUTE) for i in range(3)]
    world = replace(lost(*own), intent=Intent(nonce="x1", requested_at=NOW - HOUR))
    assert issue(world).at == NOW
    assert [a.key_id for a in credential_plan(WANTED, world, NOW, POLICY)] == ["x1"]


def test_what_the_secret_never_showed_gives_way_before_the_live_one_expires():
    wanted = desired("Service", credential={"clientSecret": {"duration": "48h", "overlap": "24h"}})
    live = password("live", "n1", NOW - 30 * HOUR, lifetime=48 * HOUR)
    lost = [password(f"x{i}", f"x{i}", NOW - HOUR + i * MINUTE) for i in range(2)]
    world = holding(live, *lost, key_id="live", written_at=live.start)
    world = replace(world, retired={"x0": NOW, "x1": NOW})
    overdue = live.end - 8 * HOUR
    found = issue(world, wanted)
    assert (found.at, found.crowded) == (overdue, True)
    assert [a.key_id for a in credential_plan(wanted, world, overdue, POLICY)] == ["x0", "x1"]


def test_what_was_published_since_keeps_its_place():
    wanted = desired("Service", credential={"clientSecret": {"duration": "48h", "overlap": "24h"}})
    live = password("live", "n1", NOW - 30 * HOUR, lifetime=48 * HOUR)
    newer = [password(f"x{i}", f"x{i}", NOW - HOUR + i * MINUTE) for i in range(2)]
    world = holding(live, *newer, key_id="live", written_at=NOW)
    world = replace(world, retired={"x0": NOW, "x1": NOW})
    assert issue(world, wanted).at == NOW + DAY


# --- rotation on request --------------------------------------------------------------------
def rotating(at, **more):
    return replace(WANTED, requests=Requests(rotate_at=at), **more)


def test_a_request_younger_than_the_credential_rotates_it():
    found = issue(holding(CURRENT), rotating(NOW))
    assert (found.reason, found.at, found.planned) == ("RotationRequested", NOW, True)


@pytest.mark.parametrize(
    ("asked", "written_at"),
    [
        (CURRENT.start, None),
        (CURRENT.start - SECOND, NOW),
        (CURRENT.start + MINUTE, CURRENT.start + MINUTE),
    ],
    ids=["as old as the credential", "older", "the directory's clock is behind"],
)
def test_a_request_older_than_the_credential_does_nothing(asked, written_at):
    world = holding(CURRENT, written_at=written_at)
    assert issue(world, rotating(asked)) is None
    assert next_planned(rotating(asked), world) == next_planned(WANTED, world)


def test_times_are_compared_in_whole_seconds():
    late = replace(CURRENT, start=CURRENT.start + SECOND / 2)
    assert issue(holding(late, written_at=None), rotating(CURRENT.start)) is None


def test_a_request_for_a_time_to_come_acts_when_it_comes():
    wanted, world = rotating(NOW + HOUR), holding(CURRENT)
    assert issue(world, wanted) is None
    assert next_due(wanted, world, NOW, POLICY) == NOW + HOUR
    assert issue(world, wanted, NOW + HOUR).reason == "RotationRequested"


def test_the_next_pass_is_due_at_the_renewal():
    world = holding(CURRENT)
    assert next_due(WANTED, world, NOW, POLICY) == renew_at(WANTED.credential, CURRENT, "uid-1")
    assert next_planned(WANTED, Observed()) is None
    assert next_planned(WANTED, lost()) is None


# --- another type ---------------------------------------------------------------------------
SIGNED = desired("Service", credential=CERTIFICATE)


def switched(secret_type, *, key_id, written_at=NOW - 2 * DAY):
    world = holding(CURRENT, key_id=key_id, written_at=written_at, type=secret_type)
    return replace(world, application=replace(world.application, keys=(key("c1", "n2", NOW),)))


def test_another_type_of_credential_is_issued_while_the_old_one_still_works():
    before = holding(CURRENT, type=CredentialType.CLIENT_SECRET)
    found = issue(before, SIGNED)
    assert (found.reason, found.at, found.planned) == ("CredentialTypeChanged", NOW, True)
    (intent,) = credential_plan(SIGNED, before, NOW, POLICY)
    assert (intent.type, intent.reason) == (CredentialType.CERTIFICATE, "CredentialTypeChanged")


def test_a_switch_that_failed_is_tried_again_after_a_pause():
    assert issue(switched(None, key_id="k1"), SIGNED).at == NOW + 5 * MINUTE


def test_after_a_switch_the_old_type_retires_when_the_overlap_ends():
    world = switched(CredentialType.CERTIFICATE, key_id="c1", written_at=NOW)
    assert issue(world, SIGNED) is None
    ((at, action),) = revocations(SIGNED, world, NOW, POLICY)
    assert (at, action.type, action.key_id) == (NOW + DAY, CredentialType.CLIENT_SECRET, "k1")


def test_a_certificate_is_looked_at_again_when_late_writes_have_landed():
    world = switched(CredentialType.CERTIFICATE, key_id="c1", written_at=NOW)
    assert next_due(SIGNED, world, NOW, POLICY) == NOW + POLICY.replication_window
    later = NOW + POLICY.replication_window
    assert next_due(SIGNED, world, later, POLICY) == NOW + DAY
