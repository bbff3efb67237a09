"""When a client secret is issued and revoked, moment by moment."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning import credentials
from fhir_app_operator.planning.model import (
    Application,
    Intent,
    IssuePolicy,
    Observed,
    SecretState,
)
from fhir_app_operator.planning.plan import credential_plan, next_due
from tests.planning.worlds import CERTIFICATE, NOW, POLICY, desired, key, password

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WANTED = desired("Service")


def observed(*passwords, key_id="k1", written_at=NOW - 2 * DAY, intent=None, **secret):
    state = {"credential_intact": True, "holds_credential": True} | secret
    return Observed(
        application=Application(object_id="o", app_id="a", passwords=tuple(passwords)),
        secret=SecretState(ours=True, key_id=key_id, written_at=written_at, **state),
        intent=intent,
    )


CURRENT = password("k1", "n1", NOW - 2 * DAY)
SIGNED = desired("Service", credential=CERTIFICATE)


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (observed(CURRENT), None),
        (replace(observed(CURRENT), secret=None), "SecretDeleted"),
        (replace(observed(), secret=None), "CredentialMissing"),
        (observed(CURRENT, holds_credential=False, credential_intact=False), "CredentialMissing"),
        (observed(CURRENT, credential_intact=False), "CredentialEdited"),
        (observed(), "CredentialRemoved"),
        (observed(written_at=NOW), None),
        (observed(written_at=None), "CredentialRemoved"),
        (observed(password("k1", "n1", NOW - 120 * DAY)), "CredentialDueForRenewal"),
        (Observed(), None),
    ],
    ids=[
        "good", "secret deleted", "nothing yet", "key emptied", "value edited", "removed in portal",
        "too young to show", "written-at lost", "due", "no application",
    ],
)  # fmt: skip
def test_why_a_credential_is_issued(world, reason):
    issue = credentials.due(WANTED, world, NOW, POLICY)
    assert (issue.reason if issue else None) == reason
    assert issue is None or issue.at == NOW


def test_a_type_without_credentials_never_issues():
    assert credentials.due(desired("Public"), observed(), NOW, POLICY) is None


def test_renewal_counts_from_the_lifetime_that_was_granted():
    policy = IssuePolicy(duration=90 * DAY)
    granted = password("k", lifetime=30 * DAY)
    assert credentials.renew_at(policy, granted) == NOW + 20 * DAY
    policy = replace(policy, renew_before=5 * DAY)
    assert credentials.renew_at(policy, granted) == NOW + 25 * DAY


def test_a_renew_before_longer_than_the_granted_lifetime_does_not_loop():
    policy = IssuePolicy(duration=90 * DAY, renew_before=60 * DAY)
    assert credentials.renew_at(policy, password("k", lifetime=30 * DAY)) == NOW + 15 * DAY


@pytest.mark.parametrize(
    ("policy", "length"),
    [
        (IssuePolicy(duration=180 * DAY), DAY),
        (IssuePolicy(duration=6 * HOUR), 2 * HOUR),
        (IssuePolicy(duration=180 * DAY, renew_before=3 * HOUR), 3 * HOUR),
        (IssuePolicy(duration=180 * DAY, overlap=HOUR), HOUR),
    ],
)
def test_the_overlap_never_outlasts_the_renewal_margin(policy, length):
    assert credentials.overlap(policy) == length


def revoked(world, now=NOW):
    return [
        (at, action.key_id, action.reason)
        for at, action in credentials.revocations(WANTED, world, now, POLICY)
    ]


def test_the_old_credential_goes_when_the_overlap_after_the_write_has_ended():
    old = password("k0", "n0", NOW - 3 * DAY)
    world = observed(old, CURRENT, written_at=NOW - HOUR)
    assert revoked(world) == [(NOW + 23 * HOUR, "k0", "OverlapEnded")]


def test_an_expired_old_credential_goes_at_once():
    old = password("k0", "n0", NOW - 3 * DAY, lifetime=HOUR)
    world = observed(old, CURRENT, written_at=NOW - HOUR)
    ((at, key_id, _),) = revoked(world)
    assert (at <= NOW, key_id) == (True, "k0")


def test_an_unclaimed_credential_is_swept_after_its_grace():
    leaked = password("k2", "n2", NOW - HOUR)
    seen = {"k2": NOW - HOUR}
    world = replace(observed(CURRENT, leaked), retired=seen)
    assert revoked(world) == [(NOW - HOUR + DAY, "k2", "CredentialUnclaimed")]


def test_a_newer_credential_that_was_in_the_secret_until_now_gets_its_overlap():
    # A Secret restored from a backup: what was in use a moment ago is newer, and long past a sweep.
    used = password("k2", "n2", NOW - DAY - HOUR)
    world = observed(CURRENT, used)
    assert revoked(world) == [(NOW + DAY, "k2", "CredentialUnclaimed")]
    world = replace(world, retired={"k2": NOW - 2 * DAY})
    assert revoked(world) == [(NOW - HOUR, "k2", "CredentialUnclaimed")]


def test_without_a_proven_credential_only_what_was_never_published_goes():
    own = [password(f"k{i}", f"n{i}", NOW - (9 - i) * DAY) for i in range(4)]
    world = replace(observed(*own), secret=None)
    assert [key for _, key, _ in revoked(world)] == ["k1", "k2"]


def test_a_renewal_that_cannot_be_published_is_not_tried_on_every_pass():
    due = password("k1", "n1", NOW - 130 * DAY)
    tries = []
    for failed in range(7):
        left = [password(f"x{i}", f"x{i}", NOW) for i in range(failed)]
        issue = credentials.due(WANTED, observed(due, *left), NOW, POLICY)
        assert issue.planned
        tries.append((issue.at - NOW).total_seconds() / 60)
    assert tries == [0, 5, 10, 20, 40, 60, 60]


def test_a_pending_credential_is_not_swept():
    leaked = password("k2", "n2", NOW - 2 * DAY + HOUR)
    world = observed(CURRENT, leaked, intent=Intent(nonce="n2", requested_at=NOW))
    assert revoked(world) == []


def test_credentials_of_others_stay():
    theirs = password("k9", start=NOW - 300 * DAY, name="made in the portal")
    other_uid = password("k8", start=NOW - 300 * DAY, name="fhirapps:uid-2:n1")
    assert revoked(observed(theirs, other_uid, CURRENT)) == []


@pytest.mark.parametrize(
    "world",
    [
        observed(password("k0", "n0", NOW - 9 * DAY), CURRENT, credential_intact=False),
        observed(password("k0", "n0", NOW - 9 * DAY), key_id="gone"),
        replace(observed(password("k0", "n0", NOW - 9 * DAY)), secret=None),
        Observed(),
    ],
    ids=["secret edited", "current not seen", "no secret", "no application"],
)
def test_nothing_goes_while_the_secret_holds_no_proven_credential(world):
    assert revoked(world) == []


def test_nothing_goes_when_the_current_one_has_expired():
    world = observed(password("k0", "n0", NOW - 9 * DAY), CURRENT)
    assert revoked(world, now=CURRENT.end) == []


def test_a_planned_renewal_that_must_wait_stops_nothing_else():
    due = password("k1", "n1", NOW - 130 * DAY)
    left = password("x", "x", NOW)
    world = replace(observed(due, left), service_principal_id="sp")
    app = replace(world.application, tags=frozenset({WANTED.registration.owner_tag}))
    assert credential_plan(WANTED, replace(world, application=app), NOW, POLICY) == ()
    assert credential_plan(WANTED, Observed(), NOW, POLICY) == ()


def test_credentials_of_a_type_that_has_none_go():
    found = credentials.revocations(desired("Public"), observed(CURRENT), NOW, POLICY)
    assert [(at, action.reason) for at, action in found] == [(NOW, "CredentialNotWanted")]


def test_the_pause_between_unplanned_issues_doubles_up_to_an_hour():
    pauses = []
    for count in range(4, 12):
        own = [password(f"k{i}", f"x{i}", NOW) for i in range(count)]
        issue = credentials.due(WANTED, replace(observed(*own), secret=None), NOW, POLICY)
        pauses.append((issue.at - NOW).total_seconds() / 60)
    assert pauses == [0, 5, 10, 20, 40, 60, 60, 60]


def switched(secret_type, *, key_id, written_at=NOW - 2 * DAY):
    app = Application(object_id="o", app_id="a", passwords=(CURRENT,), keys=(key("c1", "n2", NOW),))
    secret = SecretState(
        ours=True, type=secret_type, key_id=key_id, written_at=written_at,
        credential_intact=True, holds_credential=True,
    )  # fmt: skip
    return Observed(application=app, secret=secret)


def test_another_type_of_credential_is_issued_while_the_old_one_still_works():
    before = observed(CURRENT, type=CredentialType.CLIENT_SECRET)
    issue = credentials.due(SIGNED, before, NOW, POLICY)
    assert (issue.reason, issue.at, issue.planned) == ("CredentialTypeChanged", NOW, True)
    owned = replace(before.application, tags=frozenset({SIGNED.registration.owner_tag}))
    (intent,) = credential_plan(SIGNED, replace(before, application=owned), NOW, POLICY)
    assert (intent.type, intent.reason) == (CredentialType.CERTIFICATE, "CredentialTypeChanged")


def test_a_switch_that_failed_is_tried_again_after_a_pause():
    issue = credentials.due(SIGNED, switched(None, key_id="k1"), NOW, POLICY)
    assert issue.at == NOW + timedelta(minutes=5)


def test_after_a_switch_the_old_type_retires_when_the_overlap_ends():
    world = switched(CredentialType.CERTIFICATE, key_id="c1", written_at=NOW)
    assert credentials.due(SIGNED, world, NOW, POLICY) is None
    ((at, action),) = credentials.revocations(SIGNED, world, NOW, POLICY)
    assert (at, action.type, action.key_id) == (NOW + DAY, CredentialType.CLIENT_SECRET, "k1")


def test_a_certificate_is_looked_at_again_when_late_writes_have_landed():
    world = switched(CredentialType.CERTIFICATE, key_id="c1", written_at=NOW)
    assert next_due(SIGNED, world, NOW, POLICY) == NOW + POLICY.replication_window
    later = NOW + POLICY.replication_window
    assert next_due(SIGNED, world, later, POLICY) == NOW + DAY
