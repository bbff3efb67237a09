"""When a certificate that others keep is registered, and when the former one goes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning import following, issuance, retirement
from fhir_app_operator.planning.model import Application, Observed, SecretState
from tests.planning.worlds import (
    CERTIFICATE,
    FOLLOWED,
    NOW,
    POLICY,
    Directories,
    desired,
    identity,
    key,
    password,
)
from tests.planning.worlds import following as certificate

DAY = timedelta(days=1)
WANTED = desired("Service", credential=FOLLOWED, follows=certificate())
KEY_ID = identity().key_id(WANTED.credential.nonce)
REGISTERED = key(KEY_ID, WANTED.credential.nonce, NOW - 2 * DAY)


def observed(*credentials, held=KEY_ID, written_at=NOW - 2 * DAY, intact=True):
    app = Application(object_id="o", app_id="a")
    for each in credentials:
        app = app.with_credential(each)
    secret = SecretState(
        ours=True, type=CredentialType.CERTIFICATE, holds_credential=True, key_id=held,
        credential_intact=intact, written_at=written_at,
    )  # fmt: skip
    return Observed(application=app, secret=secret)


def test_one_certificate_has_one_mark_and_another_one_another():
    assert certificate("AB" * 32).nonce == certificate("ab" * 32).nonce
    assert certificate("ab" * 32).nonce != certificate("ac" * 32).nonce
    assert len(identity("7f0ad3de-2f5c-5d0e-9a35-5a5b1f0c3c7a").credential_name(
        certificate().nonce
    )) <= 90  # fmt: skip


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (observed(REGISTERED), None),
        (observed(written_at=NOW), None),
        (observed(), "CredentialRemoved"),
        (observed(REGISTERED, intact=False), "CredentialMissing"),
        (replace(observed(), secret=None), "CredentialMissing"),
        (observed(key("c1", "followed-old"), held="c1"), "CertificateChanged"),
        (observed(password("k1"), held="k1"), "CredentialTypeChanged"),
    ],
    ids=[
        "registered", "too young to show", "removed in the portal", "Secret edited", "no Secret",
        "renewed by its keeper", "another type before",
    ],
)  # fmt: skip
def test_why_a_certificate_is_registered(world, reason):
    found = following.due(WANTED, world, NOW, POLICY)
    assert [action.reason for action in found] == ([reason] if reason else [])
    assert all(action.key_id == KEY_ID for action in found)


def test_the_former_one_goes_after_the_overlap_and_nothing_is_renewed():
    former = key("c1", "followed-old", NOW - 9 * DAY)
    world = observed(former, REGISTERED, written_at=NOW)
    ((at, action),) = retirement.revocations(WANTED, world, NOW, POLICY)
    assert (at, action.key_id, action.reason) == (NOW + DAY, "c1", "OverlapEnded")
    assert issuance.due(WANTED, world, NOW + 900 * DAY, POLICY) is None


def test_a_certificate_of_the_operators_own_is_another_type():
    own = desired("Service", credential=CERTIFICATE)
    issue = issuance.due(own, observed(REGISTERED), NOW, POLICY)
    assert (issue.reason, issue.planned) == ("CredentialTypeChanged", True)
    made = observed(key("c1", "0011aabb", NOW - DAY), held="c1")
    assert issuance.due(own, made, NOW, POLICY) is None
    (action,) = following.due(WANTED, made, NOW, POLICY)
    assert action.key_id == KEY_ID


def test_one_action_leads_to_a_secret_that_tells_of_it():
    app = replace(observed().application, tags=frozenset({identity().owner_tag}))
    world = Directories(WANTED, Observed(application=app))
    (action,) = following.due(WANTED, world.observed, NOW, POLICY)
    world.apply(action)
    assert following.due(WANTED, world.observed, NOW, POLICY) == ()
    assert world.observed.secret.expires_at == WANTED.credential.end
