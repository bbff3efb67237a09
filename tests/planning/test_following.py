"""When a certificate that others keep is registered, and when the former one goes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning import following, issuance, retirement
from fhir_app_operator.planning.model import (
    Application,
    FederatedIdentityCredential,
    Observed,
    SecretState,
)
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
HOUR = timedelta(hours=1)
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


def test_what_a_certificate_replaced_goes_in_time_although_that_one_changes_all_the_time():
    secret = password("k1", "n1", NOW - 9 * DAY)
    trust = FederatedIdentityCredential(
        name=f"{identity().federated_prefix}{'0' * 16}", issuer="i", subject="s", audience="a"
    )
    world = observed(secret, REGISTERED, written_at=NOW)
    world = replace(
        world, application=world.application.with_federated(trust),
        retired={"k1": NOW - HOUR, trust.name: NOW - 2 * HOUR},
    )  # fmt: skip
    found = {action.key_id: at for at, action in retirement.revocations(WANTED, world, NOW, POLICY)}
    assert found == {"k1": NOW - HOUR + DAY, trust.name: NOW - 2 * HOUR + DAY}


def test_only_one_former_certificate_stays_however_often_it_changes():
    secret = password("k1", "n1", NOW - HOUR)
    former = [key(f"c{n}", f"followed-{n}", NOW - (5 - n) * HOUR) for n in range(4)]
    current = key("c9", "followed-9", NOW - HOUR / 2)
    world = observed(secret, *former, current, held="c9", written_at=NOW - HOUR / 2)
    found = retirement.revocations(WANTED, world, NOW, POLICY)
    at_once = {action.key_id for at, action in found if at <= NOW}
    assert at_once == {"c0", "c1", "c2"}
    registered = replace(REGISTERED, start=NOW)
    in_flight = observed(former[3], current, registered, held="c9", written_at=NOW - HOUR / 2)
    found = retirement.revocations(WANTED, in_flight, NOW, POLICY)
    assert [action.key_id for at, action in found if at <= NOW] == []
