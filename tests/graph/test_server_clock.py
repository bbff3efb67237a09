"""How far the local clock is off, by what answers said."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_app_operator.graph.server_clock import RECENT, ServerClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATE = "Sun, 01 Mar 2026 12:00:00 GMT"
EDGES = ("Fri, 31 Dec 9999 23:59:59 -2359", "Fri, 31 Dec 9999 23:59:59 GMT")


class Ticks:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def clock(ticks):
    return ServerClock(ticks)


def test_without_an_answer_nothing_is_known(clock):
    assert clock.ahead(NOW) is None


@pytest.mark.parametrize("seconds", [-400, 0, 301])
def test_the_difference_is_what_the_last_answer_said(clock, seconds):
    clock.note("Sat, 28 Feb 2026 12:00:00 GMT")
    clock.note(DATE)
    length = timedelta(seconds=seconds)
    assert clock.ahead(NOW + length) == length


def test_time_that_passes_on_both_sides_is_no_difference(clock, ticks):
    clock.note(DATE)
    ticks.seconds += 60
    assert clock.ahead(NOW + timedelta(seconds=60)) == timedelta(0)


def test_a_clock_that_was_set_after_the_answer_is_noticed(clock, ticks):
    clock.note(DATE)
    ticks.seconds += 1
    assert clock.ahead(NOW + timedelta(hours=1, seconds=1)) == timedelta(hours=1)


def test_an_answer_of_long_ago_says_nothing(clock, ticks):
    clock.note(DATE)
    ticks.seconds += RECENT.total_seconds() + 1
    assert clock.ahead(NOW) is None


@pytest.mark.parametrize("date", [None, "", "yesterday", *EDGES])
def test_nonsense_counts_for_nothing(clock, date):
    clock.note(date)
    assert clock.ahead(NOW) is None
    clock.note(DATE)
    clock.note(date)
    assert clock.ahead(NOW) == timedelta(0)


@given(st.text(max_size=60))
def test_no_header_breaks_it(text):
    clock = ServerClock(Ticks())
    clock.note(text)
    clock.ahead(NOW)


def test_a_date_without_a_zone_is_taken_for_utc(clock):
    clock.note("Sun, 01 Mar 2026 12:00:00 -0000")
    assert clock.ahead(NOW) == timedelta(0)
