"""What is remembered of our own writes, and for how long it corrects a read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from entra_emulator import ManualClock
from fhir_app_operator.controller.own_writes import OwnWrites
from fhir_app_operator.planning.model import Application, AppRole, PasswordCredential

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TRUST = timedelta(minutes=30)


def app(name, *key_ids):
    passwords = tuple(
        PasswordCredential(key_id=key_id, display_name=None, start=NOW, end=NOW + TRUST)
        for key_id in key_ids
    )
    return Application(object_id="o", app_id="a", display_name=name, passwords=passwords)


class Directory:
    """A clock, the memory, and a read at a time."""

    def __init__(self):
        self.clock = ManualClock(NOW)
        self.writes = OwnWrites(self.clock.now)

    def read(self, found):
        return self.writes.corrected("uid", found, trusted_for=TRUST)


def test_a_read_from_before_a_write_is_corrected_until_the_trust_ends():
    directory = Directory()
    directory.writes.updated("uid", app("old"), app("new"))
    assert directory.read(app("old")) == app("new")
    assert directory.read(app("new")) == app("new")
    directory.clock.advance(TRUST)
    assert directory.read(app("old")) == app("old")


def test_what_somebody_else_made_of_it_is_believed():
    directory = Directory()
    directory.writes.updated("uid", app("old"), app("new"))
    assert directory.read(app("drifted")) == app("drifted")


def test_every_state_that_was_left_behind_is_known():
    directory = Directory()
    directory.writes.updated("uid", app("one"), app("two"))
    directory.writes.updated("uid", app("two"), app("three"))
    assert directory.read(app("one")) == directory.read(app("two")) == app("three")


def test_a_state_that_was_left_and_wanted_again_is_right():
    directory = Directory()
    directory.writes.updated("uid", app("one"), app("two"))
    directory.writes.updated("uid", app("two"), app("one"))
    assert directory.read(app("one")) == app("one")
    assert directory.read(app("two")) == app("one")


def test_credentials_are_as_read_but_for_the_removed_ones():
    directory = Directory()
    directory.writes.updated("uid", app("old", "a"), app("new", "a"))
    directory.writes.removed("uid", "a")
    assert directory.read(app("old", "a", "b")) == app("new", "b")
    assert directory.read(app("drifted", "a")) == app("drifted")


def test_a_service_principal_that_was_made_is_known_for_a_while():
    directory = Directory()
    assert directory.writes.principal("uid", trusted_for=TRUST) is None
    directory.writes.made_principal("uid", "sp")
    assert directory.writes.principal("uid", trusted_for=TRUST) == "sp"
    assert directory.writes.principal("other", trusted_for=TRUST) is None
    directory.clock.advance(TRUST)
    assert directory.writes.principal("uid", trusted_for=TRUST) is None


def test_a_registration_can_be_forgotten():
    directory = Directory()
    directory.writes.updated("uid", app("old"), app("new"))
    directory.writes.forget("uid")
    assert directory.read(app("old")) == app("old")


def test_a_credential_that_was_removed_and_made_again_under_its_name_is_shown():
    directory = Directory()
    directory.writes.removed("uid", "a")
    directory.writes.added("uid", "a")
    directory.writes.added("another", "a")
    assert directory.read(app("name", "a")) == app("name", "a")


def with_role(*, is_enabled):
    role = AppRole(id="r", value="r", display_name="r", description="r", is_enabled=is_enabled,
                   allowed_member_types=frozenset({"User"}))  # fmt: skip
    return replace(app("name"), app_roles=(role,))


def test_what_was_disabled_counts_as_unseen_until_somebody_saw_it_or_it_is_enabled_again():
    directory = Directory()
    on, off = with_role(is_enabled=True), with_role(is_enabled=False)

    def unseen():
        return directory.writes.unseen_disabled("uid", trusted_for=TRUST)

    assert unseen() == frozenset()
    directory.writes.updated("uid", on, off)
    assert directory.read(off) == off
    assert unseen() == {"r"}
    directory.writes.updated("uid", off, on)
    assert unseen() == frozenset()
    directory.writes.updated("uid", on, off)
    directory.writes.saw_disabled("uid", frozenset({"r"}))
    assert unseen() == frozenset()
