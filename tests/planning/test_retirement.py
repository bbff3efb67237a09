"""When a client secret goes, moment by moment."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.planning.model import Intent, Observed, Requests
from fhir_app_operator.planning.plan import plan
from fhir_app_operator.planning.retirement import revocations
from tests.planning.worlds import NOW, POLICY, desired, holding, password

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
WANTED = desired("Service")
CURRENT = password("k1", "n1", NOW - 2 * DAY)
OLD = password("k0", "n0", NOW - 9 * DAY)


def revoked(world, now=NOW, wanted=WANTED):
    return [
        (at, action.key_id, action.reason) for at, action in revocations(wanted, world, now, POLICY)
    ]


def test_the_old_credential_goes_when_the_overlap_after_the_write_has_ended():
    world = holding(OLD, CURRENT, written_at=NOW - HOUR)
    assert revoked(world) == [(NOW + 23 * HOUR, "k0", "OverlapEnded")]


def test_an_expired_old_credential_goes_at_once():
    old = password("k0", "n0", NOW - 3 * DAY, lifetime=HOUR)
    world = holding(old, CURRENT, written_at=NOW - HOUR)
    ((at, key_id, _),) = revoked(world)
    assert (at <= NOW, key_id) == (True, "k0")


def test_an_unclaimed_credential_is_swept_after_its_grace():
    leaked = password("k2", "n2", NOW - HOUR)
    world = replace(holding(CURRENT, leaked), retired={"k2": NOW - HOUR})
    assert revoked(world) == [(NOW - HOUR + DAY, "k2", "CredentialUnclaimed")]


def test_a_newer_credential_that_was_in_the_secret_until_now_gets_its_overlap():
    # A Secret restored from a backup: what was in use a moment ago is newer, and long past a sweep.
    used = password("k2", "n2", NOW - DAY - HOUR)
    world = holding(CURRENT, used)
    assert revoked(world) == [(NOW + DAY, "k2", "CredentialUnclaimed")]
    world = replace(world, retired={"k2": NOW - 2 * DAY})
    assert revoked(world) == [(NOW - HOUR, "k2", "CredentialUnclaimed")]


def test_a_credential_that_the_lost_secret_held_keeps_its_overlap():
    own = [password("k0", "n0", NOW - 90 * DAY), password("k1", "n1", NOW - 80 * DAY),
           password("k2", "n2", NOW - HOUR)]  # fmt: skip
    world = replace(holding(*own), secret=None, retired={"k1": NOW - HOUR})
    assert revoked(world) == [(NOW + 23 * HOUR, "k1", "CredentialUnclaimed")]


def test_without_a_proven_credential_only_what_lies_between_goes():
    own = [password(f"k{i}", f"n{i}", NOW - (9 - i) * DAY) for i in range(4)]
    world = replace(holding(*own), secret=None)
    assert [key for _, key, _ in revoked(world)] == ["k1", "k2"]


@pytest.mark.parametrize(
    ("own", "stays"),
    [
        ((OLD, replace(CURRENT, end=NOW)), {"k0", "k1"}),
        ((replace(OLD, end=NOW), CURRENT), {"k1"}),
        ((replace(OLD, end=NOW), replace(CURRENT, end=NOW)), {"k1"}),
    ],
    ids=["the Secret's has expired", "the old one has expired", "both have"],
)
def test_a_last_resort_is_kept_while_the_secrets_credential_has_ended(own, stays):
    gone = {key for at, key, _ in revoked(holding(*own)) if at <= NOW}
    assert {p.key_id for p in own} - gone == stays


def test_a_credential_in_the_hands_of_a_pass_is_not_swept():
    flying = password("k2", "n2", NOW - MINUTE)
    world = holding(CURRENT, flying, intent=Intent(nonce="n2", requested_at=NOW - MINUTE))
    quick = replace(POLICY, sweep_after=MINUTE)
    wanted = desired("Service", credential={"clientSecret": {"overlap": "0s"}})
    ((at, _),) = revocations(wanted, world, NOW, quick)
    assert at == flying.start + POLICY.in_flight


def test_what_an_intent_left_behind_is_nobodys_last_resort():
    own = [password(f"x{i}", f"n{i}", NOW - HOUR + i * MINUTE) for i in range(3)]
    dead = Intent(nonce="n2", requested_at=NOW - HOUR)
    world = replace(holding(*own, intent=dead), secret=None)
    due = {key: at for at, key, _ in revoked(world)}
    assert due == {"x2": NOW - HOUR + POLICY.in_flight}
    alone = replace(holding(own[2], intent=dead), secret=None)
    assert revoked(alone) == []


def test_credentials_of_others_stay():
    theirs = password("k9", start=NOW - 300 * DAY, name="made in the portal")
    other_uid = password("k8", start=NOW - 300 * DAY, name="fhirapps:uid-2:n1")
    assert revoked(holding(theirs, other_uid, CURRENT)) == []


@pytest.mark.parametrize(
    "world",
    [
        holding(OLD, CURRENT, credential_intact=False),
        holding(OLD, key_id="gone"),
        replace(holding(OLD), secret=None),
        Observed(),
    ],
    ids=["secret edited", "current not seen", "no secret", "no application"],
)
def test_nothing_goes_while_the_secret_holds_no_proven_credential(world):
    assert revoked(world) == []


def test_what_was_never_published_goes_although_the_secret_was_edited():
    left = password("k2", "n2", NOW - 2 * DAY)
    world = holding(OLD, CURRENT, left, credential_intact=False)
    world = replace(world, retired={"k2": NOW - 2 * DAY})
    assert revoked(world) == [(NOW - DAY, "k2", "CredentialUnclaimed")]


def test_credentials_of_a_type_that_has_none_go_once_the_secret_let_go_of_them():
    world, wanted = holding(CURRENT), desired("Public")
    assert revoked(world, wanted=wanted) == []
    world = replace(world, secret=replace(world.secret, credential_intact=False))
    assert revoked(world, wanted=wanted) == [(NOW, "k1", "CredentialNotWanted")]


# --- asked for ------------------------------------------------------------------------------
def asking(at, rotate_at=None, *, news=False):
    asked = Requests(revoke_previous_at=at, rotate_at=rotate_at, revoke_is_news=news)
    return replace(WANTED, requests=asked)


def test_a_leaked_secret_that_was_replaced_goes_at_once_on_request():
    world = holding(OLD, CURRENT, written_at=NOW - HOUR)
    assert revoked(world, wanted=asking(NOW)) == [(NOW, "k0", "RevocationRequested")]
    assert [a.key_id for a in plan_of(world, asking(NOW))] == ["k0"]


def plan_of(world, wanted):
    wanted = replace(wanted, application=replace(
        wanted.application, display_name="", notes="", resource_access=frozenset(),
        tags=world.application.tags))  # fmt: skip
    app = replace(world.application, notes="", sign_in_audience="AzureADMyOrg")
    return plan(wanted, replace(world, application=app), NOW, POLICY)


def test_a_request_together_with_a_rotation_means_what_the_rotation_replaced():
    rotated = password("k2", "n2", NOW - MINUTE)
    world = holding(CURRENT, rotated, key_id="k2", written_at=NOW - MINUTE)
    asked = NOW - 2 * MINUTE
    assert revoked(world, wanted=asking(asked, asked))[0][2] == "RevocationRequested"
    assert revoked(world, wanted=asking(asked, asked + MINUTE))[0][2] == "RevocationRequested"
    assert revoked(world, wanted=asking(asked, asked + 6 * MINUTE))[0][2] == "OverlapEnded"


def test_a_renewal_long_after_a_request_leaves_the_overlap():
    renewed = password("k2", "n2", NOW - MINUTE)
    world = holding(CURRENT, renewed, key_id="k2", written_at=NOW - MINUTE)
    for wanted in (asking(NOW - DAY), asking(NOW - DAY, CURRENT.start)):
        assert revoked(world, wanted=wanted) == [(NOW - MINUTE + DAY, "k1", "OverlapEnded")]


def test_what_was_due_to_be_replaced_when_the_request_came_goes_once_it_is():
    renewed = password("k2", "n2", NOW - MINUTE)
    world = holding(CURRENT, renewed, key_id="k2", written_at=NOW - MINUTE)
    asked = NOW - HOUR
    assert revoked(world, wanted=asking(asked, news=True)) == [(asked, "k1", "RevocationRequested")]
    before = holding(CURRENT, renewed, key_id="k1")
    assert [key for _, key, reason in revoked(before, wanted=asking(asked, news=True))
            if reason == "RevocationRequested"] == []  # fmt: skip


def test_what_was_issued_after_the_request_stays_and_so_does_what_a_pass_may_publish():
    old, flying = replace(OLD, start=NOW - HOUR), password("k3", "n3", NOW - MINUTE)
    current = replace(CURRENT, start=NOW - HOUR / 2)
    world = holding(old, current, flying, written_at=NOW - HOUR / 2)
    reasons = {key: reason for _, key, reason in revoked(world, wanted=asking(NOW - 2 * HOUR))}
    assert reasons == {"k0": "OverlapEnded", "k3": "CredentialUnclaimed"}
    reasons = {key: reason for _, key, reason in revoked(world, wanted=asking(NOW))}
    assert reasons == {"k0": "RevocationRequested", "k3": "CredentialUnclaimed"}


def test_a_request_makes_room_although_the_secret_is_lost_but_keeps_the_last_one():
    own = [OLD, CURRENT, password("k2", "n2", NOW - HOUR)]
    world = replace(holding(*own), secret=None)
    found = revoked(world, wanted=asking(NOW))
    assert found == [(NOW, "k0", "RevocationRequested"), (NOW, "k1", "RevocationRequested")]


def test_with_the_secret_lost_a_request_spares_what_was_issued_after_it():
    own = [OLD, CURRENT, password("k2", "n2", NOW - HOUR)]
    world = replace(holding(*own), secret=None)
    found = revoked(world, wanted=asking(CURRENT.start - HOUR))
    assert [key for _, key, reason in found if reason == "RevocationRequested"] == ["k0"]


# --- made by others -------------------------------------------------------------------------
THEIRS = password("k9", start=NOW - HOUR, name="made in the portal")
TIDY = desired("Service", credential={"clientSecret": {}, "unmanaged": "Remove"})


def test_credentials_of_others_go_after_an_overlap_if_the_registration_says_so():
    world = holding(CURRENT, THEIRS)
    assert revoked(world, wanted=TIDY) == [(NOW - HOUR + DAY, "k9", "CredentialUnmanaged")]
    world = holding(CURRENT, replace(THEIRS, start=NOW - 9 * DAY), written_at=NOW)
    assert revoked(world, wanted=TIDY) == [(NOW + DAY, "k9", "CredentialUnmanaged")]


def test_one_of_others_that_the_secret_holds_stays_whatever_the_registration_says():
    assert "k9" not in [
        key_id for _, key_id, _ in revoked(holding(THEIRS, key_id="k9"), wanted=TIDY)
    ]


@pytest.mark.parametrize(
    "world",
    [
        holding(CURRENT, THEIRS, credential_intact=False),
        replace(holding(CURRENT, THEIRS), secret=None),
        holding(replace(CURRENT, end=NOW), THEIRS),
    ],
    ids=["edited", "lost", "expired"],
)
def test_credentials_of_others_stay_while_ours_does_not_work(world):
    assert revoked(world, wanted=TIDY) == []
