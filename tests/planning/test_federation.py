"""Which ServiceAccounts an application trusts, and when one is trusted no more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import CredentialType, TenantSpec
from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning import federation, issuance, requests, retirement
from fhir_app_operator.planning.clouds import directory
from fhir_app_operator.planning.federation import TokenIssuer
from fhir_app_operator.planning.model import Application, Observed, Requests, SecretState
from fhir_app_operator.planning.plan import credential_usable, deletion_plan, next_due, plan
from tests.planning.worlds import (
    CERTIFICATE,
    FEDERATED,
    ISSUER_OF_TOKENS,
    NOW,
    POLICY,
    Directories,
    desired,
    identity,
    key,
    password,
)

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
WANTED = desired("Service", credential=FEDERATED)
FIRST, SECOND = WANTED.credential.credentials
OLD = password("k1", start=NOW - 2 * DAY)
THEIRS = replace(FIRST, name="by-hand", subject="system:serviceaccount:other:x")


def observed(*live, secret_type=CredentialType.FEDERATED_IDENTITY, passwords=(), **state):
    intact = {"credential_intact": True, "written_at": NOW - 2 * DAY} | state
    return Observed(
        application=Application(object_id="o", app_id="a", passwords=passwords, federated=live),
        secret=SecretState(ours=True, type=secret_type, **intact),
    )


def test_subject_issuer_and_audience_follow_from_namespace_cluster_and_cloud():
    assert (FIRST.subject, FIRST.issuer, FIRST.audience) == (
        "system:serviceaccount:clinic:backup", ISSUER_OF_TOKENS.issuer, "api://AzureADTokenExchange",
    )  # fmt: skip
    assert SECOND.subject == "system:serviceaccount:clinic:ingest"
    assert FIRST.name.startswith("fhirapps-uid-1-")
    assert FIRST.name != SECOND.name


def test_a_name_is_legal_in_entra_and_means_one_content():
    uid = "7f0ad3de-2f5c-5d0e-9a35-5a5b1f0c3c7a"
    names = {
        identity(uid).federated_name(*content)
        for content in [("i", "s", "a"), ("i", "s", "b"), ("i", "t", "a"), ("is", "", "a")]
    }
    assert len(names) == 4
    assert all(len(name) <= 120 for name in names)


@pytest.mark.parametrize(
    ("cloud", "audience"),
    [
        ("Public", "api://AzureADTokenExchange"),
        ("USGovernment", "api://AzureADTokenExchangeUSGov"),
        ("USGovernmentDoD", "api://AzureADTokenExchangeUSGov"),
        ("China", "api://AzureADTokenExchangeChina"),
    ],
)
def test_each_cloud_has_its_audience(cloud, audience):
    some = "11111111-1111-1111-1111-111111111111"
    spec = TenantSpec.model_validate({"tenantId": some, "clientId": some, "cloud": cloud})
    assert directory(spec).exchange_audience == audience


def test_the_manifest_may_name_issuer_and_audience():
    named = {"issuer": "https://oidc.example/c", "audience": "mine"}
    wanted = desired("Service", credential={"federated": FEDERATED["federated"] | named})
    assert {(each.issuer, each.audience) for each in wanted.credential.credentials} == {
        ("https://oidc.example/c", "mine")
    }


@pytest.mark.parametrize("algorithms", [{"ES256"}, {"RS256", "ES256"}, {"RS512"}, set()])
def test_a_cluster_whose_tokens_entra_cannot_check_is_refused(algorithms):
    issuer = TokenIssuer(issuer="https://oidc.example", algorithms=frozenset(algorithms))
    with pytest.raises(Stalled, match="RS256") as caught:
        desired("Service", issuer=issuer, credential=FEDERATED)
    assert caught.value.reason == "IssuerNotSupported"
    here = {"issuer": "https://oidc.example"}
    with pytest.raises(Stalled, match="RS256"):
        desired("Service", issuer=issuer, credential={"federated": FEDERATED["federated"] | here})


def test_another_issuer_is_not_judged_by_the_clusters_keys():
    issuer = TokenIssuer(issuer="https://oidc.example", algorithms=frozenset({"ES256"}))
    named = {"federated": FEDERATED["federated"] | {"issuer": "https://elsewhere.example"}}
    wanted = desired("Service", issuer=issuer, credential=named)
    assert {each.issuer for each in wanted.credential.credentials} == {"https://elsewhere.example"}


def test_what_is_missing_is_made_and_what_was_edited_is_put_right():
    edited = replace(SECOND, subject="system:serviceaccount:clinic:somebody")
    found = federation.missing(WANTED, observed(edited))
    assert [(a.credential, a.reason) for a in found] == [
        (FIRST, "FederatedCredentialMissing"), (SECOND, "FederatedCredentialDiffers"),
    ]  # fmt: skip
    assert federation.missing(WANTED, observed(SECOND, FIRST, THEIRS)) == ()


def test_an_access_that_was_taken_back_ends_at_once_and_others_stay():
    gone = replace(FIRST, name=FIRST.name[:-4] + "0000")
    ((at, action),) = federation.revocations(WANTED, observed(FIRST, SECOND, gone, THEIRS), NOW)
    assert (at, action.key_id) == (NOW, gone.name)


@pytest.mark.parametrize(
    "others",
    [(replace(FIRST, name="by-hand"),), tuple(replace(THEIRS, name=f"t{n}") for n in range(19))],
    ids=["the same subject", "no room"],
)
def test_those_of_others_that_leave_no_room_are_a_persons_matter(others):
    with pytest.raises(Stalled) as caught:
        federation.missing(WANTED, observed(*others))
    assert caught.value.reason == "CredentialConflict"


def test_a_switch_sets_the_trust_first_then_the_secret_and_then_takes_the_old_one_away():
    before = observed(passwords=(OLD,), secret_type=CredentialType.CLIENT_SECRET, key_id="k1",
                      holds_credential=True, data={"AZURE_TENANT_ID": "t"})  # fmt: skip
    owned = replace(before.application, tags=frozenset({identity().owner_tag}))
    world = Directories(WANTED, replace(before, application=owned, service_principal_id="sp"))
    while actions := plan(WANTED, world.observed, world.now, POLICY):
        for action in actions:
            world.apply(action)
    kinds = [type(action).__name__ for action in world.log]
    assert kinds[-3:] == ["SetFederatedIdentityCredential"] * 2 + ["WriteSecret"]
    assert not world.observed.secret.holds_credential
    assert world.observed.application.passwords == (OLD,)
    assert next_due(WANTED, world.observed, NOW, POLICY) == NOW + DAY
    ((at, action),) = retirement.revocations(WANTED, world.observed, NOW, POLICY)
    assert (at, action.key_id, action.reason) == (NOW + DAY, "k1", "OverlapEnded")


def test_until_the_secret_is_written_nothing_of_the_old_type_goes():
    world = observed(FIRST, SECOND, passwords=(OLD,), secret_type=CredentialType.CLIENT_SECRET)
    assert retirement.revocations(WANTED, world, NOW, POLICY) == []


@pytest.mark.parametrize("kind", [None, CERTIFICATE])
def test_a_switch_away_issues_at_once_although_the_secret_is_young(kind):
    wanted = desired("Service", credential=kind)
    issue = issuance.due(wanted, observed(FIRST, SECOND, written_at=NOW), NOW, POLICY)
    assert (issue.reason, issue.planned, issue.at) == ("CredentialTypeChanged", True, NOW)
    assert federation.revocations(wanted, observed(FIRST, SECOND), NOW) == []


def test_after_a_switch_away_the_trust_ends_with_the_overlap():
    wanted = desired("Service", credential=CERTIFICATE)
    world = observed(FIRST, secret_type=CredentialType.CERTIFICATE, key_id="c1",
                     holds_credential=True, written_at=NOW)  # fmt: skip
    world = replace(world, application=replace(world.application, keys=(key("c1"),)))
    ((at, action),) = federation.revocations(wanted, world, NOW)
    assert (at, action.key_id) == (NOW + DAY, FIRST.name)


def test_a_federated_secret_is_usable_without_a_value_unless_it_was_tampered_with():
    assert credential_usable(WANTED, observed(FIRST, SECOND), NOW)
    assert not credential_usable(WANTED, observed(FIRST, SECOND, credential_intact=False), NOW)


def test_deletion_takes_ours_away_and_leaves_theirs():
    app = replace(observed(FIRST, THEIRS).application, tags=frozenset({identity().owner_tag}))
    actions = deletion_plan(identity(), Observed(application=app), purge=False)
    assert [getattr(action, "key_id", None) for action in actions] == [FIRST.name, None]


@pytest.mark.parametrize("suffix", ["", "prod", "a" * 80, "0123456789ABCDEF", "0" * 17])
def test_a_name_that_begins_like_ours_is_not_ours(suffix):
    lookalike = replace(THEIRS, name=f"fhirapps-uid-1-{suffix}")
    assert federation.ours(identity(), [lookalike, FIRST]) == [FIRST]
    assert retirement.revocations(WANTED, observed(FIRST, SECOND, lookalike), NOW, POLICY) == []


def test_the_overlap_of_a_switch_ends_early_on_request():
    asked = NOW - DAY - MINUTE
    wanted = replace(WANTED, requests=Requests(revoke_previous_at=asked))
    world = observed(FIRST, SECOND, passwords=(OLD,))
    ((at, action),) = retirement.revocations(wanted, world, NOW, POLICY)
    assert (at, action.key_id, action.reason) == (asked, "k1", "RevocationRequested")
    before = Requests(revoke_previous_at=NOW - 3 * DAY)
    before_the_switch = replace(WANTED, requests=before)
    ((at, action),) = retirement.revocations(before_the_switch, world, NOW, POLICY)
    assert (at, action.reason) == (NOW - DAY, "OverlapEnded")
    along_with_it = replace(WANTED, requests=replace(before, revoke_is_news=True))
    ((at, action),) = retirement.revocations(along_with_it, world, NOW, POLICY)
    assert (at, action.reason) == (NOW - 3 * DAY, "RevocationRequested")


def test_the_trust_that_a_switch_replaces_ends_early_on_request():
    wanted = desired("Service", credential=CERTIFICATE)
    asked = Requests(revoke_previous_at=NOW - MINUTE, revoke_is_news=True)
    wanted = replace(wanted, requests=asked)
    world = observed(FIRST, secret_type=CredentialType.CERTIFICATE, key_id="c1",
                     holds_credential=True, written_at=NOW)  # fmt: skip
    world = replace(world, application=replace(world.application, keys=(key("c1"),)))
    ((at, action),) = federation.revocations(wanted, world, NOW)
    assert (at, action.reason) == (NOW - MINUTE, "RevocationRequested")
    assert not requests.is_revocation_done(wanted, world, NOW, POLICY)


def test_those_of_others_go_where_the_manifest_says_so():
    tidy = desired("Service", credential=FEDERATED | {"unmanaged": "Remove"})
    by_hand = replace(OLD, display_name="by hand", end=NOW + 999 * DAY)
    world = observed(FIRST, SECOND, THEIRS, passwords=(by_hand,))
    found = {action.key_id: at for at, action in retirement.revocations(tidy, world, NOW, POLICY)}
    assert found == {"k1": NOW - DAY, "by-hand": NOW - DAY}
    assert retirement.revocations(WANTED, world, NOW, POLICY) == []
    broken = replace(world, secret=replace(world.secret, credential_intact=False))
    assert retirement.revocations(tidy, broken, NOW, POLICY) == []


def test_there_is_nothing_to_rotate():
    wanted = replace(WANTED, requests=Requests(rotate_at=NOW))
    assert issuance.due(wanted, observed(FIRST, SECOND), NOW, POLICY) is None
    assert requests.is_rotation_done(wanted, observed(FIRST, SECOND), NOW)
