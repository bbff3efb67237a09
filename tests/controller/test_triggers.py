"""Which watch events are worth a pass, and for whom."""

import pytest

from fhir_app_operator.controller.handlers import (
    Backoffs,
    Triggers,
    kopf_settings,
    watched_paths,
)
from fhir_app_operator.controller.keys import Index, RegistrationKey, TenantKey

SERVER = RegistrationKey("clinic", "fhir-server")
CLIENT = RegistrationKey("clinic", "portal")


class Added(list):
    def __call__(self, key, *, urgent):
        self.append((str(key), urgent))


@pytest.fixture
def added():
    return Added()


@pytest.fixture
def index():
    return Index()


@pytest.fixture
def standby(index, added):
    return Triggers(index, added)


@pytest.fixture
def triggers(standby):
    standby.lead()
    return standby


def registration(name, kind="MODIFIED", generation=1, server=None, **meta):
    spec = {"tenantRef": {"name": "default"}} | (
        {"fhirServerRef": {"name": server}} if server else {}
    )
    metadata = {"namespace": "clinic", "name": name, "uid": f"uid-{name}", "generation": generation}
    status = {"observedGeneration": 1}
    return {"type": kind, "object": {"metadata": metadata | meta, "spec": spec, "status": status}}


def test_first_sight_is_calm_and_a_change_is_urgent(triggers, added):
    triggers.registration(registration("portal", kind=None))
    triggers.registration(registration("portal", generation=2))
    assert added == [("clinic/portal", False), ("clinic/portal", True)]


def test_after_a_restart_what_somebody_waits_for_goes_first(triggers, added):
    triggers.registration(registration("old", kind=None))
    triggers.registration(registration("new", kind=None, generation=2))
    triggers.registration(registration("going", kind=None, deletionTimestamp="now"))
    assert added == [("clinic/old", False), ("clinic/new", True), ("clinic/going", True)]


def test_our_own_status_write_wakes_nobody(triggers, added):
    triggers.registration(registration("portal", "ADDED"))
    added.clear()
    triggers.registration(registration("portal", resourceVersion="2"))
    triggers.registration(registration("portal", labels={"touched": "by argo"}))
    assert added == []


@pytest.mark.parametrize("name", ["reconcile", "rotate", "revoke-previous"])
def test_a_request_by_annotation_acts_once_for_each_value(triggers, added, name):
    triggers.registration(registration("portal", "ADDED"))
    added.clear()
    for value in ("1", "1", "2"):
        notes = {f"fhirapps.dev/{name}-requested-at": value}
        triggers.registration(registration("portal", annotations=notes))
    assert len(added) == 2


def test_deletion_and_re_creation_are_news(triggers, added):
    triggers.registration(registration("portal", "ADDED"))
    triggers.registration(registration("portal", deletionTimestamp="now"))
    triggers.registration(registration("portal", "DELETED"))
    triggers.registration(registration("portal", "ADDED"))
    assert [key for key, _ in added if key == "clinic/portal"] == ["clinic/portal"] * 4


def test_what_a_pass_found_gone_is_forgotten_without_an_event(triggers, added):
    triggers.registration(registration("portal", kind=None))
    triggers.tenant({"type": None, "object": {"metadata": {"name": "default", "uid": "t"}}})
    triggers.forget(CLIENT)
    triggers.forget(TenantKey("default"))
    triggers.forget(SERVER)
    assert triggers._seen == {}


def test_the_end_of_a_registration_is_told_to_whoever_remembers_it(added):
    gone = []
    triggers = Triggers(Index(gone.append), added)
    triggers.registration(registration("portal", "ADDED"))
    triggers.registration(registration("portal", "DELETED"))
    triggers.registration(registration("portal", "DELETED"))
    assert gone == ["uid-portal"]


def test_a_changed_server_wakes_its_clients(triggers, added):
    triggers.registration(registration("portal", "ADDED", server="fhir-server"))
    added.clear()
    triggers.registration(registration("fhir-server", "ADDED"))
    assert added == [("clinic/fhir-server", True), ("clinic/portal", True)]


def test_a_changed_tenant_wakes_its_registrations(triggers, added):
    triggers.registration(registration("portal", "ADDED"))
    added.clear()
    tenant = {"metadata": {"name": "default", "uid": "t", "generation": 2}}
    triggers.tenant({"type": "MODIFIED", "object": tenant})
    triggers.tenant({"type": "MODIFIED", "object": tenant})
    assert added == [("default", True), ("clinic/portal", True)]


def test_a_relabelled_namespace_wakes_its_registrations(triggers, added):
    triggers.registration(registration("portal", "ADDED"))
    added.clear()
    namespace = {"metadata": {"name": "clinic", "labels": {}}}
    triggers.namespace({"type": None, "object": namespace})
    assert added == []
    namespace = {"metadata": {"name": "clinic", "labels": {"fhir": "yes"}}}
    triggers.namespace({"type": "MODIFIED", "object": namespace})
    triggers.namespace({"type": "MODIFIED", "object": namespace})
    assert added == [("clinic/portal", True)]


def test_a_server_counts_again_when_a_reference_to_it_comes_changes_or_goes(triggers, added):
    steps = (
        (registration("portal", "ADDED", server="fhir-server"), {"clinic/fhir-server"}),
        (registration("portal", generation=2, server="fhir-server"), set()),
        (registration("portal", generation=3, server="other"),
         {"clinic/fhir-server", "clinic/other"}),
        (registration("portal", "DELETED", generation=3, server="other"), {"clinic/other"}),
    )  # fmt: skip
    for event, woken in steps:
        added.clear()
        triggers.registration(event)
        assert {key for key, urgent in added if not urgent and key != "default"} == woken


def test_a_server_counts_again_when_a_client_s_namespace_is_relabelled(triggers, added, index):
    event = registration("portal", "ADDED")
    event["object"]["spec"]["fhirServerRef"] = {"name": "fhir-server", "namespace": "hospital"}
    triggers.registration(event)
    for labels in ({}, {"fhir": "yes"}):
        added.clear()
        namespace = {"metadata": {"name": "clinic", "labels": labels}}
        triggers.namespace({"type": "MODIFIED", "object": namespace})
        assert added == [("clinic/portal", True), ("hospital/fhir-server", False)]
        assert index.labels_of("clinic") == labels
    triggers.namespace({"type": "DELETED", "object": namespace})
    assert index.labels_of("clinic") is None


def test_what_a_relist_shows_changed_is_as_good_as_an_event(triggers, added):
    tenant = {"metadata": {"name": "default", "uid": "t", "generation": 1}}
    namespace = {"metadata": {"name": "clinic", "labels": {}}}
    triggers.registration(registration("fhir-server", kind=None))
    triggers.registration(registration("portal", kind=None, server="fhir-server"))
    triggers.tenant({"type": None, "object": tenant})
    triggers.namespace({"type": None, "object": namespace})
    assert {urgent for _, urgent in added} == {False}
    assert len(added) == 3

    added.clear()
    triggers.registration(registration("fhir-server", kind=None, generation=2))
    assert added == [("clinic/fhir-server", True), ("clinic/portal", True)]
    added.clear()
    changed = {"metadata": tenant["metadata"] | {"generation": 2}}
    triggers.tenant({"type": None, "object": changed})
    assert added == [("default", True), ("clinic/fhir-server", True), ("clinic/portal", True)]
    added.clear()
    labelled = {"metadata": namespace["metadata"] | {"labels": {"fhir": "yes"}}}
    triggers.namespace({"type": None, "object": labelled})
    assert added == [("clinic/fhir-server", True), ("clinic/portal", True)]


def test_a_relist_that_shows_nothing_new_wakes_nobody(triggers, added):
    tenant = {"metadata": {"name": "default", "uid": "t", "generation": 1}}
    for _ in range(2):
        triggers.registration(registration("portal", kind=None))
        triggers.tenant({"type": None, "object": tenant})
    assert added == [("clinic/portal", False), ("default", False)]


def test_a_deleted_registration_lets_its_tenant_look(triggers, added, index):
    triggers.registration(registration("portal", "ADDED"))
    added.clear()
    triggers.registration(registration("portal", "DELETED"))
    assert added == [("default", False), ("clinic/portal", True)]
    assert index.count_of_tenant("default") == 0


def test_a_late_deletion_leaves_the_new_holder_of_the_name_alone(triggers, index):
    triggers.registration(registration("portal", "ADDED", uid="old"))
    triggers.registration(registration("portal", "ADDED", uid="new"))
    triggers.registration(registration("portal", "DELETED", uid="old"))
    assert index.by_uid("new") == CLIENT
    assert index.of_tenant("default") == [CLIENT]


def test_a_deleted_or_edited_secret_wakes_its_registration(triggers, added):
    triggers.registration(registration("portal", "ADDED"))
    added.clear()
    labels = {"fhirapps.dev/registration": "uid-portal"}
    secret = {"metadata": {"name": "portal", "namespace": "clinic", "labels": labels}, "data": {}}
    triggers.secret({"type": "DELETED", "object": secret})
    triggers.secret({"type": "MODIFIED", "object": secret})
    triggers.secret({"type": None, "object": secret})
    stranger = {"metadata": {"name": "x", "namespace": "clinic", "labels": {}}}
    triggers.secret({"type": "DELETED", "object": stranger})
    elsewhere = {"metadata": secret["metadata"] | {"namespace": "other"}, "data": {}}
    triggers.secret({"type": "DELETED", "object": elsewhere})
    assert added == [("clinic/portal", True)] * 2


def test_the_index_answers_who_depends_on_whom(index):
    index.update(CLIENT, registration("portal", server="fhir-server")["object"])
    index.update(SERVER, registration("fhir-server")["object"])
    assert index.clients_of(SERVER) == [CLIENT]
    assert set(index.of_tenant("default")) == {CLIENT, SERVER}
    assert set(index.in_namespace("clinic")) == {CLIENT, SERVER}
    assert index.by_uid("uid-portal") == CLIENT
    assert index.tenant_of(CLIENT) == "default"
    index.forget(CLIENT)
    assert index.clients_of(SERVER) == []
    assert index.tenant_of(CLIENT) is None
    assert str(TenantKey("default")) == "default"


def test_a_changed_reference_leaves_nothing_behind(index):
    other = RegistrationKey("clinic", "other-server")
    index.update(CLIENT, registration("portal", server="fhir-server", uid="old")["object"])
    index.update(CLIENT, registration("portal", server="other-server", uid="new")["object"])
    assert index.clients_of(SERVER) == []
    assert index.clients_of(other) == [CLIENT]
    assert (index.by_uid("old"), index.by_uid("new")) == (None, CLIENT)
    assert index.of_tenant("default") == index.in_namespace("clinic") == [CLIENT]
    index.forget(CLIENT, "old")
    assert CLIENT in index
    index.forget(CLIENT)
    assert CLIENT not in index
    assert index.by_uid("new") is None
    assert index.clients_of(other) == index.of_tenant("default") == []
    assert index.in_namespace("clinic") == []
    assert index.count_of_tenant("default") == 0


def test_an_answer_does_not_grow_with_the_cluster(index):
    compared = []

    class Counted(str):
        __slots__ = ()

        def __eq__(self, other):
            compared.append(other)
            return super().__eq__(other)

        __hash__ = str.__hash__

    for n in range(500):
        key = RegistrationKey(Counted(f"ns-{n}"), "portal")
        body = registration("portal", server="fhir-server", uid=Counted(n))["object"]
        index.update(key, body)
    compared.clear()
    assert len(index.clients_of(RegistrationKey("ns-7", "fhir-server"))) == 1
    assert len(index.in_namespace("ns-7")) == 1
    assert index.by_uid("7") is not None
    assert len(compared) < 10


def test_kopf_never_gives_up_and_never_persists():
    settings = kopf_settings()
    assert isinstance(settings.networking.error_backoffs, Backoffs)
    delays = [
        delay for delay, _ in zip(settings.networking.error_backoffs, range(50), strict=False)
    ]
    assert len(delays) == 50
    assert max(delays) <= 30.0
    assert settings.posting.enabled is False
    assert settings.persistence.finalizer != "fhirapps.dev/application"


def test_a_standby_queues_nothing(standby, added):
    standby.registration(registration("portal", kind=None))
    standby.registration(registration("portal", generation=2))
    standby.registration(registration("portal", "DELETED"))
    assert added == []


def test_whoever_takes_over_looks_at_everything_and_first_at_what_waits(standby, added):
    standby.tenant({"type": None, "object": {"metadata": {"name": "default", "uid": "t"}}})
    for name in ("done", "new", "done-since", "short-lived"):
        generation = 1 if name == "done" else 2
        standby.registration(registration(name, kind=None, generation=generation))
    dealt_with = registration("done-since", generation=2)
    dealt_with["object"]["status"] = {"observedGeneration": 2}
    standby.registration(dealt_with)
    standby.registration(registration("short-lived", "DELETED"))
    standby.lead()
    assert sorted(added) == [
        ("clinic/done", False), ("clinic/done-since", False), ("clinic/new", True),
        ("default", False),
    ]  # fmt: skip
    standby.registration(registration("done", generation=2))
    assert added[4:] == [("clinic/done", True)]


def test_a_listing_after_the_first_makes_everything_known_calm_work(triggers, added):
    for path in watched_paths(watch_secrets=True):
        triggers.listed(path)
    for name in ("fhir-server", "portal"):
        triggers.registration(registration(name, kind=None))
    added.clear()
    triggers.listed("/api/v1/secrets")
    assert added == [("clinic/fhir-server", False), ("clinic/portal", False)]
    added.clear()
    triggers.listed("/api/v1/namespaces")
    assert added == []


def test_a_followed_secret_wakes_the_registration_that_its_label_names(triggers, added):
    triggers.registration(registration("portal", "ADDED"))
    added.clear()
    labels = {"fhirapps.dev/registration": "portal"}
    meta = {"name": "portal-tls", "namespace": "clinic", "labels": labels}
    changed = {"metadata": meta, "data": {"tls.crt": "eA=="}}
    elsewhere = {"metadata": meta | {"namespace": "other"}, "data": {}}
    triggers.secret({"type": None, "object": changed})
    triggers.secret({"type": "MODIFIED", "object": elsewhere})
    assert added == []
    triggers.secret({"type": "MODIFIED", "object": changed})
    assert added == [("clinic/portal", True)]


def test_only_secrets_with_our_label_are_watched():
    selectors = kopf_settings().watching.label_selectors
    assert selectors["v1/secrets"] == "fhirapps.dev/registration"
