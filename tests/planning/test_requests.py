"""What people ask for by annotation: how it is read, and when it counts as done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_app_operator.planning import requests
from fhir_app_operator.planning.conditions import Reporter
from fhir_app_operator.planning.model import Observed, Requests
from tests.planning.worlds import (
    CERTIFICATE,
    FEDERATED,
    FOLLOWED,
    NOW,
    POLICY,
    desired,
    following,
    holding,
    password,
    registration,
)

RECONCILE = "fhirapps.dev/reconcile-requested-at"
ROTATE = "fhirapps.dev/rotate-requested-at"
REVOKE = "fhirapps.dev/revoke-previous-requested-at"
HOUR = timedelta(hours=1)
WANTED = desired("Service")
CURRENT = password("k1", "n1", NOW - 2 * HOUR)
OLD = password("k0", "n0", NOW - 9 * HOUR)


def annotated(annotations, **status):
    made = registration("Service")
    return made.model_copy(update={
        "metadata": made.metadata.model_copy(update={"annotations": annotations}),
        "status": made.status.model_copy(update=status),
    })  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T12:00:00Z", "2026-03-01t12:00:00z", "2026-03-01T12:00:00.123456789Z",
     "2026-03-01T14:00:00+02:00", "2026-03-01T05:30:00-06:30"],
)  # fmt: skip
def test_every_form_of_rfc_3339_is_read_in_whole_seconds(text):
    assert requests.moment(text) == NOW


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-03-01", "2026-03-01T12:00:00", "2026-03-01 12:00:00Z", "1772366400",
     "2026-13-01T12:00:00Z", "2026-03-01T12:00:00+2500", "0001-01-01T00:00:00+23:59",
     "2026-03-01T12:00:00Z\n", "٢٠٢٦-03-01T12:00:00Z"],
)  # fmt: skip
def test_what_is_no_time_asks_for_nothing_and_is_named(text):
    asked = annotated({ROTATE: text, REVOKE: text, "theirs": text})
    assert requests.read(asked) == Requests()
    assert list(requests.invalid(asked.metadata.annotations)) == [ROTATE, REVOKE]
    assert not requests.outstanding(asked)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-23, 23))
def test_any_time_reads_as_what_was_written(moment, hours):
    zone = timezone(timedelta(hours=hours))
    try:
        text = moment.astimezone(zone).isoformat()
    except OverflowError:
        return
    assert requests.moment(text) == moment.replace(microsecond=0)


@given(st.text(max_size=40))
def test_no_text_breaks_it(text):
    assert requests.moment(text) is None or isinstance(requests.moment(text), datetime)


def test_nothing_is_asked_for_without_annotations():
    assert requests.read(annotated({})) == Requests()
    assert requests.invalid({}) == {}
    assert requests.moment(None) is None


def test_a_revocation_that_was_acted_on_is_not_asked_for_again():
    text = "2026-03-01T12:00:00Z"
    assert requests.read(annotated({REVOKE: text})).revoke_previous_at == NOW
    done = annotated({REVOKE: text}, last_handled_revoke_previous_at=text)
    assert requests.read(done) == Requests()
    again = annotated({REVOKE: "2026-03-01T12:00:01Z"}, last_handled_revoke_previous_at=text)
    assert requests.read(again).revoke_previous_at is not None


def test_a_request_is_outstanding_until_status_echoes_it():
    assert not requests.outstanding(annotated({}))
    time = "2026-03-01T12:00:00Z"
    assert requests.outstanding(annotated({ROTATE: time}))
    assert not requests.outstanding(annotated({ROTATE: time}, last_handled_rotate_at=time))
    assert requests.outstanding(annotated({RECONCILE: "1"}))


@pytest.mark.parametrize(("length", "refused"), [(512, False), (513, True)])
def test_what_status_could_not_echo_asks_for_nothing(length, refused):
    asked = annotated({RECONCILE: "x" * length, "theirs": "x" * 9999})
    assert (RECONCILE in requests.invalid(asked.metadata.annotations)) is refused
    assert requests.reconcile_asked(asked) is not refused
    assert requests.outstanding(asked) is not refused


def test_a_revocation_is_news_only_if_status_can_tell_that_it_was_not_acted_on():
    text = "2026-03-01T12:00:00Z"
    condition = conditions_of_a_pass()
    assert requests.read(annotated({REVOKE: text}, conditions=condition)).revoke_is_news
    assert not requests.read(annotated({REVOKE: text})).revoke_is_news
    done = {"conditions": condition, "last_handled_revoke_previous_at": text}
    assert not requests.read(annotated({REVOKE: text}, **done)).revoke_is_news


def conditions_of_a_pass():
    reporter = Reporter(previous=(), generation=1, now=NOW)
    return reporter.succeeded("in place").conditions


def wanting(rotate_at=None, revoke_previous_at=None, wanted=WANTED, *, news=False):
    asked = Requests(
        rotate_at=rotate_at, revoke_previous_at=revoke_previous_at, revoke_is_news=news
    )
    return replace(wanted, requests=asked)


@pytest.mark.parametrize(
    ("asked", "world", "done"),
    [
        (None, holding(CURRENT), False),
        (NOW + HOUR, holding(CURRENT), False),
        (NOW, Observed(), False),
        (NOW, holding(), False),
        (NOW, holding(CURRENT, written_at=NOW - HOUR), False),
        (NOW - HOUR, holding(CURRENT, written_at=NOW - HOUR), True),
        (NOW - 9 * HOUR, holding(CURRENT), True),
    ],
    ids=["nothing asked", "in the future", "no application", "lost", "older", "as old", "younger"],
)
def test_when_a_rotation_is_done(asked, world, done):
    assert requests.is_rotation_done(wanting(asked), world, NOW) is done


def test_where_there_are_no_credentials_there_is_nothing_to_rotate():
    public = wanting(NOW, NOW, wanted=desired("Public"))
    assert requests.is_rotation_done(public, holding(), NOW)
    assert requests.is_revocation_done(public, holding(), NOW, POLICY)


@pytest.mark.parametrize(
    ("revoke", "rotate", "world", "done"),
    [
        (None, None, holding(CURRENT), False),
        (NOW + HOUR, None, holding(CURRENT), False),
        (NOW, None, Observed(), False),
        (NOW, NOW, holding(CURRENT, written_at=NOW - HOUR), False),
        (NOW, None, holding(OLD, CURRENT, written_at=NOW - HOUR), False),
        (NOW, None, holding(CURRENT), True),
        (NOW, NOW - HOUR, holding(CURRENT, written_at=NOW - HOUR), True),
    ],
    ids=[
        "nothing asked",
        "in the future",
        "application not seen",
        "rotation first",
        "one is left",
        "none",
        "both done",
    ],
)
def test_when_a_revocation_is_done(revoke, rotate, world, done):
    assert requests.is_revocation_done(wanting(rotate, revoke), world, NOW, POLICY) is done


SWITCHES = {
    "to a certificate": desired("Service", credential=CERTIFICATE),
    "to a followed one": desired("Service", credential=FOLLOWED, follows=following()),
    "to federated": desired("Service", credential=FEDERATED),
}


@pytest.mark.parametrize("wanted", SWITCHES.values(), ids=SWITCHES)
def test_a_revocation_along_with_a_change_of_type_is_not_done_before_the_change(wanted):
    world = holding(CURRENT)
    assert not requests.is_revocation_done(
        wanting(None, NOW, wanted, news=True), world, NOW, POLICY
    )
    # With status lost, nothing says that it was not acted on long ago.
    assert requests.is_revocation_done(wanting(None, NOW, wanted), world, NOW, POLICY)


def test_a_revocation_is_not_done_while_a_renewal_is_due():
    due = password("k1", "n1", NOW - timedelta(hours=4000))
    asked = wanting(None, NOW, news=True)
    assert not requests.is_revocation_done(asked, holding(due), NOW, POLICY)
    assert requests.is_revocation_done(asked, holding(CURRENT), NOW, POLICY)
