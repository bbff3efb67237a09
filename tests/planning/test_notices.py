"""What a pass tells: turns, repairs, renewals, and what others made."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.planning import notices
from fhir_app_operator.planning.conditions import Reporter
from fhir_app_operator.planning.model import (
    Application,
    ApplicationChanges,
    AppRole,
    CreateServicePrincipal,
    IssueCredential,
    IssuePolicy,
    RecordIntent,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    UpdateApplication,
    WriteSecret,
)
from tests.planning.worlds import NOW, desired, password

HOUR = timedelta(hours=1)
POLICY = IssuePolicy(duration=HOUR)
RENEWAL = IssueCredential(nonce="n", policy=POLICY, reason="CredentialDueForRenewal")
INTENT = RecordIntent(type=CredentialType.CLIENT_SECRET, reason="CredentialDueForRenewal")


def reporter(previous=()):
    return Reporter(previous=tuple(previous), generation=1, now=NOW)


READY = reporter().succeeded("in place").conditions
OUTAGE = reporter(READY).failed(Waiting("GraphUnavailable", "down"), usable=True).conditions
STALLED = reporter(READY).failed(Stalled("PermissionDenied", "consent"), usable=True).conditions


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((), READY, ("Normal", "Succeeded")),
        (READY, READY, None),
        (READY, OUTAGE, ("Warning", "GraphUnavailable")),
        (OUTAGE, OUTAGE, None),
        (OUTAGE, READY, ("Normal", "Succeeded")),
        (READY, STALLED, ("Warning", "PermissionDenied")),
        (STALLED, READY, ("Normal", "Succeeded")),
    ],
)
def test_a_turn_is_told_once_with_the_conditions_reason(before, after, told):
    found = notices.turns(before, after)
    assert [(n.type, n.reason) for n in found] == ([told] if told else [])


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (UpdateApplication(changes=ApplicationChanges(display_name="x")), "display_name"),
        (RestoreApplication(object_id="o"), "application"),
        (RestoreServicePrincipal(object_id="o"), "service_principal"),
        (CreateServicePrincipal(), "service_principal"),
        (WriteSecret(reason="SecretDiffers"), "secret"),
        (IssueCredential(nonce="n", policy=POLICY, reason="SecretDeleted"), "credential"),
    ],
)
def test_a_repair_names_what_differed(action, what):
    assert notices.repairs((action, action)) == (what,)
    (notice,) = notices.of_actions((action,))
    assert (notice.reason, what in notice.note) == ("DriftRepaired", True)


def test_a_renewal_is_no_drift():
    renewal = IssueCredential(nonce="n", policy=POLICY, reason="CredentialDueForRenewal")
    (notice,) = notices.of_actions((renewal,))
    assert (notice.reason, notice.note.endswith("for the overlap")) == ("CredentialRenewed", True)
    retired = RevokeCredential(type=CredentialType.CLIENT_SECRET, key_id="k", reason="OverlapEnded")
    assert notices.of_actions((retired,)) == ()
    leaked = replace(retired, reason="RevocationRequested")
    (notice,) = notices.of_actions((renewal, leaked))
    assert notice.note.endswith("the old one has ended, as was asked for")


@pytest.mark.parametrize(
    ("applied", "failed", "result"),
    [
        ((RENEWAL,), None, "success"),
        ((), RENEWAL, "failure"),
        ((), INTENT, "failure"),
        ((INTENT,), None, None),
        ((), replace(RENEWAL, reason="SecretDeleted"), None),
        ((UpdateApplication(changes=ApplicationChanges(display_name="x")),), None, None),
    ],
)
def test_a_renewal_is_counted_by_how_it_ended(applied, failed, result):
    assert notices.rotation(applied, failed) == result


def test_what_others_made_is_counted_in_words():
    wanted = desired("Resource")
    role = AppRole(
        id="theirs", value="theirs", display_name="x", description="x",
        allowed_member_types=frozenset({"User"}),
    )  # fmt: skip
    theirs = password("k", name="by hand")
    app = Application(object_id="o", app_id="a", passwords=(theirs, replace(theirs, key_id="l")))
    app = replace(app, app_roles=(*wanted.application.exposure.app_roles, role),
                  scopes=wanted.application.exposure.scopes)  # fmt: skip
    assert notices.unmanaged(wanted, app) == "2 client secrets, 1 app role"
    assert notices.unmanaged(wanted, replace(app, passwords=(), app_roles=())) == ""


def test_a_warning_is_told_once_and_under_its_own_name():
    warned = (*READY, reporter().invalid_request({"a": "a time"}))
    (notice,) = notices.turns(READY, warned)
    assert (notice.type, notice.reason) == ("Warning", "InvalidRequest")
    assert notices.turns(warned, warned) == ()
    assert notices.turns(warned, READY) == ()


def test_the_removal_of_a_strangers_credential_is_told_with_its_key_id():
    removed = RevokeCredential(
        type=CredentialType.CLIENT_SECRET, key_id="k9", reason="CredentialUnmanaged"
    )
    (notice,) = notices.of_actions((removed,))
    assert notice.reason == "CredentialsOfOthersRemoved"
    assert "k9" in notice.note
