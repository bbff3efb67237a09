"""Literals in, actions out: one test for each row of the truth table, and for what it protects."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.planning.credentials import renew_at
from fhir_app_operator.planning.differences import changed_properties
from fhir_app_operator.planning.model import (
    ApplicationChanges,
    CreateApplication,
    CreateServicePrincipal,
    DeleteApplication,
    IssueCredential,
    Observed,
    Purge,
    RecordIntent,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    SecretState,
    SecretTemplate,
    UpdateApplication,
    WriteSecret,
)
from fhir_app_operator.planning.plan import (
    credential_usable,
    deletion_plan,
    next_due,
    plan,
)
from tests.planning.worlds import (
    NOW,
    POLICY,
    TYPES,
    Directories,
    desired,
    identity,
    password,
)

SECRET = CredentialType.CLIENT_SECRET


def converged(kind="Service", **spec):
    """The world after every action was applied."""
    world = Directories(desired(kind, **spec))
    for _ in range(20):
        actions = plan(world.wanted, world.observed, NOW, POLICY)
        if not actions:
            return world
        for action in actions:
            world.apply(action)
    raise AssertionError("it does not converge")


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_converges_and_then_nothing_is_left_to_do(kind):
    world = converged(kind)
    assert plan(world.wanted, world.observed, NOW, POLICY) == ()


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("Resource", [CreateApplication, CreateServicePrincipal, WriteSecret]),
        ("Public", [CreateApplication, CreateServicePrincipal, WriteSecret]),
        (
            "Confidential",
            [CreateApplication, CreateServicePrincipal, RecordIntent, IssueCredential],
        ),
        ("Service", [CreateApplication, CreateServicePrincipal, RecordIntent, IssueCredential]),
    ],
)
def test_a_new_registration_takes_the_fewest_steps(kind, steps):
    assert [type(action) for action in converged(kind).log] == steps


def test_an_identifier_uri_with_the_client_id_comes_after_the_create():
    world = converged(
        "Resource", resource={"url": "http://fhir.svc", "identifierUri": "api://{appId}"}
    )
    create, update = world.log[0], world.log[2]
    assert create.changes.identifier_uris is None
    assert update == UpdateApplication(
        changes=ApplicationChanges(identifier_uris=frozenset({"api://app-1"}))
    )
    assert world.observed.secret.data["FHIR_AUDIENCE"] == "api://app-1"


def test_a_label_or_annotation_of_the_manifest_is_written_and_then_left_alone():
    template = {"annotations": {"reloader.stakater.com/match": "true"}}
    world = converged("Service", secret={"template": template})
    assert plan(world.wanted, world.observed, NOW, POLICY) == ()
    edited = replace(world.observed.secret, template=SecretTemplate())
    observed = replace(world.observed, secret=edited)
    assert plan(world.wanted, observed, NOW, POLICY) == (WriteSecret(reason="SecretDiffers"),)


def test_a_foreign_secret_stops_everything_before_any_write():
    observed = Observed(secret=SecretState(ours=False))
    with pytest.raises(Stalled) as caught:
        plan(desired("Service"), observed, NOW, POLICY)
    assert caught.value.reason == "SecretConflict"
    assert "portal" in caught.value.message


def test_a_secret_that_a_deleted_namesake_left_behind_is_waited_for():
    observed = Observed(secret=SecretState(ours=False, leftover=True))
    with pytest.raises(Waiting) as caught:
        plan(desired("Service"), observed, NOW, POLICY)
    assert caught.value.reason == "SecretConflict"


def test_an_application_in_the_bin_is_restored_not_created_again():
    observed = Observed(deleted_application_id="object-1", recorded_object_id="object-1")
    assert plan(desired("Service"), observed, NOW, POLICY) == (
        RestoreApplication(object_id="object-1"),
    )


def test_a_recorded_application_that_is_not_seen_is_never_created_again():
    observed = Observed(recorded_object_id="object-1", recorded_app_id="app-1")
    with pytest.raises(Waiting) as waiting:
        plan(desired("Service"), observed, NOW, POLICY)
    assert waiting.value.reason == "NotYetReplicated"
    with pytest.raises(Stalled) as stalled:
        plan(desired("Service"), replace(observed, missing_for_sure=True), NOW, POLICY)
    assert stalled.value.reason == "ApplicationDeleted"


@pytest.mark.parametrize(
    "tags", [frozenset(), frozenset({"fhirapps.dev/owner:other/uid"})], ids=["none", "another"]
)
def test_an_application_without_our_tag_is_not_touched(tags):
    world = converged()
    stranger = replace(world.observed.application, tags=tags, display_name="changed")
    with pytest.raises(Stalled) as caught:
        plan(world.wanted, replace(world.observed, application=stranger), NOW, POLICY)
    assert caught.value.reason == "OwnershipConflict"


def test_a_service_principal_in_the_bin_is_restored_with_its_grants():
    world = converged()
    observed = replace(
        world.observed, service_principal_id=None, deleted_service_principal_id="sp-1"
    )
    assert plan(world.wanted, observed, NOW, POLICY) == (RestoreServicePrincipal(object_id="sp-1"),)


def test_only_what_differs_is_sent():
    world = converged("Confidential")
    drifted = replace(world.observed.application, display_name="Renamed in the portal")
    actions = plan(world.wanted, replace(world.observed, application=drifted), NOW, POLICY)
    assert actions == (UpdateApplication(changes=ApplicationChanges(display_name="clinic/portal")),)
    assert changed_properties(actions[0].changes) == ("display_name",)


def test_tags_of_others_stay_and_a_stale_registration_tag_goes():
    world = converged()
    app = world.observed.application
    tags = app.tags - {identity().registration_tag} | {"theirs", "fhirapps.dev/registration:old/x"}
    observed = replace(world.observed, application=replace(app, tags=tags))
    (update,) = plan(world.wanted, observed, NOW, POLICY)
    assert update.changes.tags == app.tags | {"theirs"}


def test_version_1_and_no_version_are_the_same_to_graph():
    world = converged("Resource")
    app = replace(world.observed.application, token_version=None)
    assert plan(world.wanted, replace(world.observed, application=app), NOW, POLICY) == ()


def test_identifier_uris_of_a_client_are_left_alone():
    world = converged()
    app = replace(world.observed.application, identifier_uris=frozenset({"api://theirs"}))
    assert plan(world.wanted, replace(world.observed, application=app), NOW, POLICY) == ()


def test_an_intent_of_an_earlier_pass_is_replaced_before_anything_is_issued():
    world = converged()
    stale = replace(world.observed.intent, nonce="old", fresh=False)
    observed = replace(world.observed, secret=None, intent=stale)
    assert plan(world.wanted, observed, NOW, POLICY) == (
        RecordIntent(type=SECRET, reason="SecretDeleted"),
    )


def test_a_secret_lost_again_and_again_waits():
    world = converged()
    two = tuple(password(f"k{i}", f"x{i}", NOW - timedelta(minutes=i)) for i in range(2))
    app = replace(world.observed.application, passwords=two, created_at=NOW - timedelta(days=1))
    with pytest.raises(Waiting) as caught:
        plan(world.wanted, replace(world.observed, secret=None, application=app), NOW, POLICY)
    assert caught.value.reason == "CredentialRateLimited"
    assert caught.value.retry_after == 300


@pytest.mark.parametrize(
    "change",
    [
        {"data": {}},
        {"current": False},
        {"owner_reference": False},
    ],
    ids=["data", "metadata", "owner"],
)
def test_an_edited_secret_is_rewritten_without_a_new_credential(change):
    world = converged()
    observed = replace(world.observed, secret=replace(world.observed.secret, **change))
    assert plan(world.wanted, observed, NOW, POLICY) == (WriteSecret(reason="SecretDiffers"),)


def test_a_credential_in_a_public_clients_secret_is_taken_out():
    world = converged("Public")
    secret = replace(world.observed.secret, holds_credential=True)
    observed = replace(world.observed, secret=secret)
    assert plan(world.wanted, observed, NOW, POLICY) == (WriteSecret(reason="SecretDiffers"),)


def test_orphan_takes_the_owner_reference_off():
    world = converged(deletionPolicy="Orphan")
    assert world.observed.secret.owner_reference is False


def test_deletion_revokes_ours_then_deletes():
    world = converged()
    theirs = password("theirs", name="made in the portal")
    app = world.observed.application
    app = replace(app, passwords=(*app.passwords, theirs))
    mine = app.passwords[0].key_id
    assert deletion_plan(identity(), replace(world.observed, application=app), purge=False) == (
        RevokeCredential(type=SECRET, key_id=mine, reason="RegistrationDeleted"),
        DeleteApplication(),
    )


def test_deletion_leaves_what_is_gone_or_not_ours():
    world = converged()
    assert deletion_plan(identity(), Observed(), purge=True) == ()
    assert deletion_plan(identity(uid="uid-2"), world.observed, purge=True) == ()


def test_purge_empties_the_bin_of_both_objects():
    binned = Observed(deleted_application_id="object-1", deleted_service_principal_id="sp-1")
    assert deletion_plan(identity(), binned, purge=True) == (
        Purge(object_id="sp-1", what="service principal"),
        Purge(object_id="object-1", what="application"),
    )
    assert deletion_plan(identity(), binned, purge=False) == ()


def test_the_next_pass_is_due_at_the_renewal_or_the_end_of_an_overlap():
    world = converged()
    (current,) = world.observed.application.passwords
    renewal = renew_at(world.wanted.credential, current, "uid-1")
    assert next_due(world.wanted, world.observed, NOW, POLICY) == renewal
    app = world.observed.application
    older = password("older", "n0", NOW - timedelta(hours=1))
    both = replace(world.observed, application=replace(app, passwords=(older, *app.passwords)))
    assert next_due(world.wanted, both, NOW, POLICY) == NOW + timedelta(hours=24)
    assert next_due(world.wanted, Observed(), NOW, POLICY) is None


def test_a_credential_that_does_not_show_yet_is_looked_for_again():
    world = converged()
    hidden = replace(world.observed.application, passwords=())
    observed = replace(world.observed, application=hidden)
    assert plan(world.wanted, observed, NOW, POLICY) == ()
    assert next_due(world.wanted, observed, NOW, POLICY) == NOW + POLICY.replication_window


def test_a_type_without_time_has_nothing_due():
    world = converged("Public")
    assert next_due(world.wanted, world.observed, NOW, POLICY) is None


def test_usable_means_intact_and_not_expired():
    world = converged()
    assert credential_usable(world.wanted, world.observed, NOW)
    assert not credential_usable(world.wanted, Observed(), NOW)
    later = NOW + timedelta(hours=4321)
    assert not credential_usable(world.wanted, world.observed, later)
    public = converged("Public")
    assert credential_usable(public.wanted, public.observed, NOW)


def test_no_application_no_differences_no_secret():
    wanted = desired("Public")
    (create,) = plan(wanted, Observed(), NOW, POLICY)
    assert isinstance(create, CreateApplication)
    assert create.changes.is_fallback_public_client is True
