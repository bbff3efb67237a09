"""Outcome to conditions, as kstatus reads them."""

from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import Condition
from fhir_app_operator.errors import Invalid, Stalled, Waiting
from fhir_app_operator.planning.conditions import Reporter, find
from tests.planning.worlds import NOW

LATER = NOW + timedelta(hours=1)
WEATHER = Waiting("GraphUnavailable", "Microsoft Graph failed: x (request-id 1)")
PERSON = Stalled("PermissionDenied", "needs consent (request-id 1)")


def reporter(previous=(), generation=1, now=LATER):
    return Reporter(previous=tuple(previous), generation=generation, now=now)


READY = reporter(now=NOW).succeeded("in place").conditions


def summary(verdict):
    return {c.type: (c.status, c.reason) for c in verdict.conditions}


def test_done_is_ready_and_synced_and_nothing_else():
    verdict = reporter().succeeded("in place")
    assert summary(verdict) == {"Ready": ("True", "Succeeded"), "Synced": ("True", "Succeeded")}
    assert verdict.observed


def test_a_new_spec_is_in_progress():
    verdict = reporter(READY, generation=2).progressing("working")
    assert summary(verdict) == {
        "Ready": ("Unknown", "Progressing"), "Reconciling": ("True", "Progressing"),
    }  # fmt: skip
    assert not verdict.observed


def test_weather_leaves_a_ready_object_ready_and_says_so():
    verdict = reporter(READY).failed(WEATHER, usable=True)
    assert summary(verdict) == {
        "Ready": ("True", "Succeeded"), "Synced": ("False", "GraphUnavailable"),
    }  # fmt: skip
    assert verdict.observed
    assert find(verdict.conditions, "Ready").last_transition_time == NOW


@pytest.mark.parametrize(
    ("previous", "generation", "usable"),
    [((), 1, None), (READY, 2, True), (READY, 1, False)],
    ids=["never ready", "a newer spec", "the Secret is gone"],
)
def test_waiting_before_ready_is_retried(previous, generation, usable):
    verdict = reporter(previous, generation).failed(WEATHER, usable=usable)
    assert summary(verdict) == {
        "Ready": ("False", "GraphUnavailable"),
        "Reconciling": ("True", "ProgressingWithRetry"),
    }
    assert not verdict.observed


@pytest.mark.parametrize("error", [PERSON, Invalid("wrong")])
def test_a_persons_work_stalls_even_a_ready_object(error):
    verdict = reporter(READY).failed(error, usable=True)
    assert summary(verdict) == {"Ready": ("False", error.reason), "Stalled": ("True", error.reason)}
    assert verdict.observed


def test_a_renewal_that_a_person_must_see_to_leaves_what_works_ready():
    verdict = reporter(READY).failed(PERSON, usable=True, renewing=True)
    assert summary(verdict) == {
        "Ready": ("True", "Succeeded"), "Synced": ("False", "PermissionDenied"),
    }  # fmt: skip
    assert verdict.observed
    for before, usable in ((READY, False), (READY, None), ((), True)):
        verdict = reporter(before).failed(PERSON, usable=usable, renewing=True)
        assert summary(verdict)["Stalled"] == ("True", "PermissionDenied")


def test_an_expired_credential_is_never_ready():
    waiting = reporter(READY).expired(WEATHER)
    assert summary(waiting)["Ready"] == ("False", "CredentialExpired")
    assert summary(waiting)["Reconciling"] == ("True", "ProgressingWithRetry")
    person = reporter(READY).expired(PERSON)
    assert summary(person)["Stalled"] == ("True", "CredentialExpired")
    assert person.observed
    assert not reporter(READY).expired(None).observed


def test_suspension_keeps_what_was_and_says_that_nothing_is_written():
    stalled = reporter(READY).failed(PERSON, usable=True).conditions
    verdict = reporter(stalled).suspended("paused")
    assert summary(verdict) == {
        "Ready": ("False", "PermissionDenied"), "Synced": ("False", "Suspended"),
    }  # fmt: skip


def test_what_others_made_is_counted_in_synced():
    verdict = reporter().succeeded("in place", unmanaged="1 client secret")
    (synced,) = [c for c in verdict.conditions if c.type == "Synced"]
    assert synced.message.endswith("made by others and left alone: 1 client secret")


def test_a_warning_names_the_end_and_what_stands_in_the_way():
    warning = reporter().expiring(NOW, "PolicyBlocked", "it is not renewed: forbidden")
    assert (warning.type, warning.status) == ("CredentialExpiring", "True")
    assert warning.reason == "PolicyBlocked"
    assert "2026-03-01T12:00:00Z; it is not renewed: forbidden" in warning.message


def test_a_warning_names_the_annotations_that_hold_no_time():
    warning = reporter().invalid_request({"a": "a time", "b": "a time", "c": "short"})
    assert (warning.type, warning.reason) == ("InvalidRequest", "InvalidAnnotation")
    assert warning.message == (
        "annotation `a` and `b` is ignored: it must be a time; "
        "annotation `c` is ignored: it must be short"
    )


def test_warnings_of_the_pass_before_stay_only_if_asked_for():
    before = (*READY, reporter().invalid_request({"a": "a time"}))
    assert [c.type for c in reporter(before).kept_abnormal()] == ["InvalidRequest"]
    for verdict in (reporter(before).suspended("paused"), reporter(before).succeeded("in place")):
        assert "InvalidRequest" not in summary(verdict)


def test_a_transition_time_moves_only_when_the_status_flips():
    again = reporter(READY).succeeded("in place")
    assert {c.last_transition_time for c in again.conditions} == {NOW}
    assert again.conditions == READY
    flipped = reporter(READY).failed(PERSON, usable=True)
    assert {c.last_transition_time for c in flipped.conditions} == {LATER}


def test_one_outage_is_written_once_whatever_the_request_id():
    first = reporter(READY).failed(WEATHER, usable=True).conditions
    other = Waiting("GraphUnavailable", "Microsoft Graph failed: x (request-id 2)")
    assert reporter(first).failed(other, usable=True).conditions == first
    changed = Waiting("GraphUnavailable", "Microsoft Graph failed: y (request-id 3)")
    assert reporter(first).failed(changed, usable=True).conditions != first


def test_reconciling_and_stalled_are_never_both_there():
    for error in (WEATHER, PERSON):
        for previous in ((), READY, reporter().progressing("x").conditions):
            kinds = {c.type for c in reporter(previous).failed(error, usable=None).conditions}
            assert not {"Reconciling", "Stalled"} <= kinds


def test_finding_a_condition():
    condition = Condition(
        type="Ready", status="True", reason="X", message="", last_transition_time=NOW
    )
    assert find((condition,), "Ready") is condition
    assert find((condition,), "Synced") is None


def test_consent_is_told_beside_the_others_and_kept_when_it_was_not_read():
    said = reporter().consent("False", "ConsentMissing", "not granted: x")
    assert (said.type, said.status, said.reason) == ("ConsentGranted", "False", "ConsentMissing")
    assert reporter(previous=(said,)).kept("ConsentGranted") == (said,)
    assert reporter().kept("ConsentGranted") == ()


def test_a_narrower_policy_is_told_as_a_warning_that_goes_with_its_cause():
    warning = reporter().policy_violated("scope 'x'")
    assert (warning.type, warning.status, warning.reason) == (
        "PolicyViolated", "True", "PolicyViolation",
    )  # fmt: skip
    assert "scope 'x'; it is left as it is" in warning.message
    assert "PolicyViolated" not in summary(reporter((warning,)).succeeded("in place"))


def test_clients_that_are_not_there_yet_are_told_on_synced_alone():
    verdict = reporter().succeeded("in place", absent=["'a': it does not exist", "'b': neither"])
    ready, synced = (find(verdict.conditions, kind) for kind in ("Ready", "Synced"))
    assert (ready.status, ready.message) == ("True", "in place")
    assert synced.status == "True"
    assert synced.message.endswith("not pre-authorized yet: 'a': it does not exist; 'b': neither")


def test_what_azure_decides_is_unknown_and_stays_said():
    said = reporter().data_plane("az role assignment create …")
    assert (said.type, said.status, said.reason) == ("DataPlaneAccess", "Unknown", "NotVisible")
    later = reporter(previous=(said,))
    assert later.data_plane(said.message) == said
    assert later.kept("ConsentGranted", "DataPlaneAccess") == (said,)
    assert later.kept("ConsentGranted") == ()
