"""The moments of a client secret's lifetime."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_app_operator.planning.credentials import (
    DEFAULT_OVERLAP,
    is_overdue,
    overlap,
    renew_at,
    share,
)
from fhir_app_operator.planning.model import IssuePolicy
from tests.planning.worlds import NOW, password

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
lengths = st.integers(1, 17520).map(lambda hours: timedelta(hours=hours))
uids = st.uuids().map(str)


@given(lengths, st.none() | lengths, lengths, uids)
def test_a_renewal_is_never_later_than_renew_before_and_at_most_a_tenth_earlier(
    duration, before, granted, uid
):
    policy = IssuePolicy(duration=duration, renew_before=before)
    due = renew_at(policy, password("k", lifetime=granted), uid)
    latest = NOW + granted - min(before or granted / 3, granted / 2)
    assert latest - granted / 10 - timedelta(seconds=1) <= due <= latest
    assert due > NOW
    assert due.microsecond == 0


@given(uids)
def test_a_restart_draws_nothing_anew(uid):
    policy, credential = IssuePolicy(duration=180 * DAY), password("k")
    assert renew_at(policy, credential, uid) == renew_at(policy, credential, uid)
    assert 0 <= share(uid) < 1


@given(st.integers(0, 2**64 - 1))
def test_what_was_made_in_one_hour_does_not_renew_in_one_hour(seed):
    made = [UUID(int=(seed << 64) + index) for index in range(1000)]
    policy, credential = IssuePolicy(duration=4320 * HOUR), password("k", lifetime=4320 * HOUR)
    hours = Counter(
        (renew_at(policy, credential, str(uid)) - NOW) // HOUR for uid in made
    )  # fmt: skip
    assert max(hours.values()) <= 0.03 * len(made)


def test_renewal_counts_from_the_lifetime_that_was_granted():
    policy = IssuePolicy(duration=90 * DAY)
    granted = password("k", lifetime=30 * DAY)
    early = share("renewal uid-1") * 3 * DAY
    assert NOW + 20 * DAY - renew_at(policy, granted, "uid-1") - early < timedelta(seconds=1)
    policy = replace(policy, renew_before=5 * DAY)
    assert NOW + 25 * DAY - renew_at(policy, granted, "uid-1") - early < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("policy", "length"),
    [
        (IssuePolicy(duration=180 * DAY), DEFAULT_OVERLAP),
        (IssuePolicy(duration=6 * HOUR), 2 * HOUR),
        (IssuePolicy(duration=180 * DAY, renew_before=3 * HOUR), 3 * HOUR),
        (IssuePolicy(duration=180 * DAY, overlap=HOUR), HOUR),
    ],
)
def test_the_overlap_never_outlasts_the_renewal_margin(policy, length):
    assert overlap(policy) == length


def test_a_renewal_is_overdue_when_half_of_its_margin_is_gone():
    policy, end = IssuePolicy(duration=180 * DAY), NOW + 180 * DAY
    assert not is_overdue(policy, NOW, end, NOW + 150 * DAY - HOUR)
    assert is_overdue(policy, NOW, end, NOW + 150 * DAY)
    assert not is_overdue(policy, NOW, end, end)
