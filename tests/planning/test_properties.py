"""Properties of planning over many worlds: it converges, is idempotent, and survives crashes."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.errors import OperatorError
from fhir_app_operator.planning.credentials import is_federated, ours, published
from fhir_app_operator.planning.issuance import due
from fhir_app_operator.planning.model import (
    Application,
    AppRole,
    ConfigMapState,
    FederatedIdentityCredential,
    Federation,
    Following,
    Intent,
    IssuePolicy,
    Observed,
    RevokeCredential,
    SecretState,
)
from fhir_app_operator.planning.plan import credential_usable, deletion_plan, plan
from tests.planning.worlds import (
    CERTIFICATE,
    FEDERATED,
    FOLLOWED,
    NOW,
    POLICY,
    TYPES,
    Directories,
    desired,
    following,
    identity,
    key,
    password,
)

kinds = st.sampled_from(TYPES)
wants = st.sampled_from([
    *(desired(kind) for kind in TYPES), desired("Service", credential=CERTIFICATE),
    desired("Service", credential=FEDERATED),
    desired("Service", credential=FOLLOWED, follows=following()),
    desired("Service", secret={"configMap": {"name": "facts"}}),
])  # fmt: skip
texts = st.sampled_from(["", "clinic/portal", "something else"])
uris = st.frozensets(st.sampled_from(["https://portal.example/a", "https://x.example/"]))
ages = st.integers(min_value=0, max_value=400 * 24)
roles = st.lists(
    st.builds(
        AppRole,
        id=st.sampled_from(["r1", "r2", "r3"]),
        value=st.sampled_from(["globalReader", "theirs", "other"]),
        display_name=texts, description=texts,
        allowed_member_types=st.just(frozenset({"User"})), is_enabled=st.booleans(),
    ),
    max_size=3, unique_by=(lambda r: r.id, lambda r: r.value),
)  # fmt: skip


@st.composite
def passwords(draw):
    made = []
    for index in range(draw(st.integers(0, 4))):
        start = NOW - timedelta(hours=draw(ages))
        name = draw(st.sampled_from([f"fhirapps:uid-1:n{index}", "theirs", None]))
        made.append(replace(password(f"k{index}", start=start), display_name=name))
    return tuple(made)


TRUSTED = (
    *desired("Service", credential=FEDERATED).credential.credentials,
    FederatedIdentityCredential(name="fhirapps-uid-1-0", issuer="i", subject="s", audience="a"),
    FederatedIdentityCredential(name="theirs", issuer="i", subject="t", audience="a"),
)


@st.composite
def keys(draw):
    made = []
    for index in range(draw(st.integers(0, 3))):
        start = NOW - timedelta(hours=draw(ages))
        name = draw(st.sampled_from([f"fhirapps:uid-1:c{index}", "theirs", None]))
        made.append(replace(key(f"c{index}", start=start), display_name=name))
    return tuple(made)


@st.composite
def applications(draw):
    tags = frozenset({identity().owner_tag}) | draw(st.frozensets(st.just("theirs")))
    return Application(
        object_id="object-1", app_id="app-1", display_name=draw(texts), tags=tags,
        app_roles=tuple(draw(roles)), passwords=draw(passwords()), keys=draw(keys()),
        federated=tuple(draw(st.sets(st.sampled_from(TRUSTED)))),
        identifier_uris=draw(uris), token_version=draw(st.sampled_from([None, 1, 2])),
        is_fallback_public_client=draw(st.booleans()), created_at=NOW,
    )  # fmt: skip


@st.composite
def secrets(draw):
    kind = draw(st.sampled_from([*CredentialType, None]))
    dated = kind is not CredentialType.FEDERATED_IDENTITY
    held = st.sampled_from(["k0", "k1", "k9", "c0", "c1", None])
    return SecretState(
        ours=True, current=draw(st.booleans()), owner_reference=draw(st.booleans()),
        data=draw(st.sampled_from([{}, {"FOREIGN": "x"}])),
        holds_credential=dated,
        credential_intact=draw(st.booleans()),
        type=kind,
        key_id=draw(held if dated else st.none()), nonce="n0",
        expires_at=NOW + timedelta(hours=draw(ages)),
        written_at=draw(st.one_of(st.none(), ages.map(lambda h: NOW - timedelta(hours=h)))),
    )  # fmt: skip


worlds = st.builds(
    Observed,
    secret=st.one_of(st.none(), secrets()),
    application=st.one_of(st.none(), applications()),
    service_principal_id=st.one_of(st.none(), st.just("sp-1")),
    config_map=st.sampled_from([None, ConfigMapState(ours=True, data={"FOREIGN": "x"})]),
    recorded_config_map=st.sampled_from([None, "facts", "old"]),
    intent=st.one_of(st.none(), st.just(Intent(nonce="old", requested_at=NOW))),
)


def settle(world, rounds=30):
    for _ in range(rounds):
        actions = plan(world.wanted, world.observed, world.now, POLICY)
        if not actions:
            return world
        for action in actions:
            world.apply(action)
    raise AssertionError(f"it does not converge: {world.log}")


@given(wants, worlds)
@settings(max_examples=300, deadline=None)
def test_every_world_converges_to_a_usable_secret(wanted, observed):
    world = Directories(wanted, observed)
    try:
        settle(world)
    except OperatorError as error:
        assert error.reason == "CredentialRateLimited"
        return
    credentials_now = world.observed.application.credentials
    secret = world.observed.secret
    if isinstance(world.wanted.credential, IssuePolicy) and secret.credential_intact:
        current = published(secret, credentials_now)
        if is_federated(secret) or (current and current.type is not world.wanted.credential.type):
            # The old type works on while the switch has to wait.
            assert due(world.wanted, world.observed, NOW, POLICY).at > NOW
        else:
            young = secret.written_at and secret.written_at + POLICY.replication_window > NOW
            assert current is not None or young
    if isinstance(world.wanted.credential, Following):
        wanted_key = identity().key_id(world.wanted.credential.nonce)
        assert (secret.credential_intact, secret.key_id) == (True, wanted_key)
        assert wanted_key in {each.key_id for each in world.observed.application.keys}
    if isinstance(world.wanted.credential, Federation):
        assert not world.observed.secret.holds_credential
        assert set(world.wanted.credential.credentials) <= set(world.observed.application.federated)
    if world.wanted.credential is None:
        assert not world.observed.secret.holds_credential
        assert ours(world.wanted, credentials_now) == []


@given(wants, worlds, st.integers(1, 8))
@settings(max_examples=300, deadline=None)
def test_a_crash_after_any_action_still_converges_without_a_second_application(
    wanted, observed, survives
):
    world = Directories(wanted, observed)
    try:
        for _ in range(survives):
            actions = plan(world.wanted, world.observed, NOW, POLICY)
            if not actions:
                break
            world.apply(actions[0])
        intent = world.observed.intent
        # What a new process reads back: the intent of the dead one, fresh no more.
        stale = replace(intent, fresh=False) if intent else None
        world.observed = replace(world.observed, intent=stale)
        settle(world)
    except OperatorError as error:
        assert error.reason == "CredentialRateLimited"
    creates = [action for action in world.log if type(action).__name__ == "CreateApplication"]
    assert len(creates) == (0 if observed.application else 1)


@given(st.sampled_from([None, CERTIFICATE, FEDERATED]), worlds)
@settings(max_examples=300, deadline=None)
def test_the_credential_in_the_secret_is_never_revoked_and_strangers_never_are(kind, observed):
    wanted = desired("Service", credential=kind)
    try:
        actions = plan(wanted, observed, NOW, POLICY)
    except OperatorError:
        return
    revoked = {a.key_id for a in actions if isinstance(a, RevokeCredential)}
    if observed.secret and observed.secret.credential_intact:
        assert observed.secret.key_id not in revoked
    if observed.application:
        strange = {p.key_id for p in observed.application.credentials
                   if identity().nonce_of(p.display_name) is None}  # fmt: skip
        assert not revoked & strange


@given(kinds, worlds)
@settings(max_examples=200, deadline=None)
def test_nothing_is_planned_for_an_application_of_another_registration(kind, observed):
    if observed.application is None:
        return
    taken = replace(observed.application, tags=frozenset({"fhirapps.dev/owner:cluster/uid-2"}))
    stolen = replace(observed, application=taken)
    assert deletion_plan(identity(), stolen, purge=True) == ()
    try:
        actions = plan(desired(kind), stolen, NOW, POLICY)
    except OperatorError as error:
        actions = ()
        assert error.reason == "OwnershipConflict"
    assert actions == ()


@given(worlds, st.randoms())
@settings(max_examples=200, deadline=None)
def test_the_order_of_what_the_directory_lists_means_nothing(observed, rng):
    if observed.application is None:
        return
    app = observed.application
    shuffled = replace(
        app,
        app_roles=tuple(rng.sample(app.app_roles, len(app.app_roles))),
        passwords=tuple(rng.sample(app.passwords, len(app.passwords))),
    )

    def kinds_of(world):
        try:
            return [type(a).__name__ for a in plan(desired("Service"), world, NOW, POLICY)]
        except OperatorError as error:
            return error.reason

    assert kinds_of(observed) == kinds_of(replace(observed, application=shuffled))


@given(kinds, worlds)
@settings(max_examples=100, deadline=None)
def test_usable_never_raises(kind, observed):
    credential_usable(desired(kind), observed, NOW)
