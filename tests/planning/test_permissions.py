"""App roles and scopes: stable ids, and the way to new lists past enabled entries."""

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning.model import AppRole, Exposure, PermissionScope
from fhir_app_operator.planning.permissions import (
    Ownership,
    changed_although,
    disabled,
    disabled_by,
    next_step,
    permission_id,
    without,
)

ID_OF = partial(permission_id, "tenant", "clinic", "fhir")
OWN = Ownership(id_of=ID_OF)


def role(value, entry_id=None, text=None, **fields):
    return AppRole(
        id=entry_id or ID_OF(value), value=value, display_name=text or value,
        description=text or value, allowed_member_types=frozenset({"User"}), **fields,
    )  # fmt: skip


def scope(value, entry_id=None, text=None, **fields):
    return PermissionScope(
        id=entry_id or ID_OF(value), value=value, type="User",
        admin_consent_display_name=text or value, admin_consent_description=text or value,
        user_consent_display_name=value, user_consent_description=value, **fields,
    )  # fmt: skip


def roles(*entries):
    return Exposure(app_roles=entries)


def off(entry):
    return replace(entry, is_enabled=False)


def test_ids_are_the_same_for_a_registration_made_again_and_differ_for_others():
    assert ID_OF("a") == permission_id("tenant", "clinic", "fhir", "a")
    assert ID_OF("a") != permission_id("tenant", "clinic", "other", "a")


def test_nothing_to_do_in_whatever_order():
    live = roles(role("b"), role("a"))
    assert next_step(roles(role("a"), role("b")), live, OWN) is not live
    assert next_step(roles(role("a"), role("b")), live, OWN) == live


def test_an_entry_under_a_declared_value_keeps_its_id():
    live = roles(role("a", "made-in-the-portal"))
    assert next_step(roles(role("a")), live, OWN) == live


def test_a_scope_takes_the_id_that_a_role_of_its_value_has():
    live = roles(role("a", "made-in-the-portal"))
    wanted = Exposure(app_roles=(role("a"),), scopes=(scope("a"),))
    assert next_step(wanted, live, OWN).scopes == (scope("a", "made-in-the-portal"),)


def test_a_named_id_that_is_not_the_directorys_is_refused():
    with pytest.raises(Invalid, match="directory has it under theirs"):
        next_step(roles(role("a", "named")), roles(role("a", "theirs")), OWN)
    assert next_step(roles(role("a", "named")), roles(), OWN) == roles(role("a", "named"))


def test_a_named_id_that_is_in_use_for_something_else_is_refused():
    with pytest.raises(Invalid, match="belongs to another"):
        next_step(roles(role("a"), role("b", "x")), roles(role("a", "x")), OWN)


def test_values_that_somebody_swapped_go_back_to_their_ids():
    """What was granted on an id was meant for the value that the id was derived from."""
    wanted = roles(role("a"), role("b"))
    swapped = roles(role("a", ID_OF("b")), role("b", ID_OF("a")))
    first = next_step(wanted, swapped, OWN)
    assert first == roles(*map(off, swapped.app_roles))
    assert set(next_step(wanted, first, OWN).app_roles) == set(wanted.app_roles)


def test_the_id_of_another_declared_value_is_not_adopted_though_that_one_has_moved():
    wanted, moved = roles(role("a"), role("b")), role("b", "made-in-the-portal")
    live = roles(role("a", ID_OF("b")), moved)
    first = next_step(wanted, live, OWN)
    assert first == roles(off(role("a", ID_OF("b"))), moved)
    second = next_step(wanted, first, OWN)
    assert second == roles(moved, role("a"))
    assert next_step(wanted, second, OWN) == second


def test_an_entry_that_changes_its_value_under_its_id_counts_as_gone():
    before = Exposure(app_roles=(role("a", "x"), role("b")), scopes=(scope("s", "y"),))
    after = Exposure(app_roles=(role("c", "x"), role("b", text="new")), scopes=(scope("t", "y"),))
    assert without(before, after) == Exposure(
        app_roles=(role("a", "x"),), scopes=(scope("s", "y"),)
    )


def test_entries_of_others_are_kept():
    theirs = role("theirs", "their-id")
    assert next_step(roles(role("a")), roles(theirs), OWN) == roles(theirs, role("a"))


def test_entries_of_others_go_in_two_steps_where_that_is_asked_for():
    live = Exposure(app_roles=(role("r", "x"),), scopes=(scope("s", "y"),))
    own = replace(OWN, remove_app_roles=True)
    first = next_step(Exposure(), live, own)
    assert first == replace(live, app_roles=(off(role("r", "x")),))
    assert next_step(Exposure(), first, own) == replace(live, app_roles=())
    own = replace(OWN, remove_scopes=True)
    first = next_step(Exposure(), live, own)
    assert next_step(Exposure(), first, own) == replace(live, scopes=())


def test_what_a_tag_claims_is_ours_though_its_id_does_not_tell():
    live = roles(off(role("a", "named")))
    assert next_step(roles(), live, OWN) == live
    assert next_step(roles(), live, replace(OWN, claimed=frozenset({"named"}))) == roles()


def test_an_enabled_entry_is_disabled_before_it_changes_or_goes():
    stays, changes, goes = role("stays"), role("changes"), role("goes")
    wanted = roles(stays, role("changes", text="new"))
    first = next_step(wanted, roles(stays, changes, goes), OWN)
    assert first == roles(stays, off(changes), off(goes))
    second = next_step(wanted, first, OWN)
    assert second == wanted
    assert next_step(wanted, second, OWN) == wanted


def test_what_is_new_does_not_wait_for_what_goes():
    first = next_step(roles(role("new")), roles(role("old")), OWN)
    assert first == roles(off(role("old")), role("new"))


def test_an_entry_disabled_in_the_portal_is_enabled_again():
    assert next_step(roles(role("a")), roles(off(role("a"))), OWN) == roles(role("a"))


def test_twins_are_disabled_together_though_only_one_of_them_goes():
    live = Exposure(app_roles=(role("a"),), scopes=(scope("a"),))
    wanted = roles(role("a"))
    first = next_step(wanted, live, OWN)
    assert first == Exposure(app_roles=(off(role("a")),), scopes=(off(scope("a")),))
    assert next_step(wanted, first, OWN) == wanted


def test_a_twin_is_added_only_once_its_sibling_has_the_new_text():
    wanted = Exposure(app_roles=(role("a", text="new"),), scopes=(scope("a", text="new"),))
    first = next_step(wanted, roles(role("a")), OWN)
    assert first == roles(off(role("a")))
    assert next_step(wanted, first, OWN) == wanted


def test_which_entries_a_step_disables_and_which_it_changes_although_they_are():
    before, after = roles(role("a"), role("b"), off(role("c"))), roles(off(role("a")), role("b"))
    a, b = ID_OF("a"), ID_OF("b")
    assert disabled_by(before, after) == disabled(after) == {a}
    both = frozenset({a, b})
    assert changed_although(both, after, roles(role("b"))) == {a}
    assert changed_although(both, after, roles(role("a", text="new"), role("b"))) == {a}
    assert changed_although(both, after, roles(role("a"), role("b"))) == set()
    assert changed_although(frozenset(), after, roles()) == set()


VALUES = ("a", "b", "c")
ENABLED = st.sampled_from([True])
TEXTS = st.sampled_from(["one", "two"])


@st.composite
def exposures(draw, ids=(None,), states=ENABLED):
    """Lists that the directory would take: twins have one id, one text and one state."""
    found_roles, found_scopes = [], []
    for value in draw(st.lists(st.sampled_from(VALUES), unique=True)):
        entry_id, text, on = draw(st.sampled_from(ids)), draw(TEXTS), draw(states)
        entry_id = entry_id and f"{entry_id}-{value}"
        where = draw(st.sampled_from(["role", "scope", "both"]))
        if where != "scope":
            found_roles.append(role(value, entry_id, text, is_enabled=on))
        if where != "role":
            found_scopes.append(scope(value, entry_id, text, is_enabled=on))
    return Exposure(app_roles=tuple(found_roles), scopes=tuple(found_scopes))


def is_taken(before, after):
    """What Graph says to a PATCH from `before` to `after`."""
    facts = {(type(e), e.id): e for e in after.entries}
    changed = any(
        (
            entry.is_enabled
            and (new := facts.get((type(entry), entry.id))) is not None
            and replace(new, is_enabled=True) != entry
        )
        or (entry.is_enabled and (type(entry), entry.id) not in facts)
        for entry in before.entries
    )
    twins = [(r, s) for r in after.app_roles for s in after.scopes
             if r.id == s.id or r.value == s.value]  # fmt: skip
    equal = all(
        (r.id, r.value, r.description, r.is_enabled)
        == (s.id, s.value, s.admin_consent_description, s.is_enabled)
        for r, s in twins
    )
    unique = all(
        len({e.value for e in side}) == len({e.id for e in side}) == len(side)
        for side in (after.app_roles, after.scopes)
    )
    return not changed and equal and unique


@given(
    exposures(),
    exposures(ids=(None, "theirs"), states=st.booleans()),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_two_steps_lead_from_any_lists_to_the_declared_and_graph_takes_each(
    wanted, live, no_roles, no_scopes
):
    own = replace(OWN, remove_app_roles=no_roles, remove_scopes=no_scopes)
    if not _compatible(wanted, live, own):
        return
    state = live
    for _ in range(3):
        after = next_step(wanted, state, own)
        assert is_taken(state, after)
        if after == state:
            break
        state = after
    assert next_step(wanted, state, own) == state
    ids = {entry.value: entry.id for entry in live.entries}
    for entry in wanted.entries:
        assert replace(entry, id=ids.get(entry.value, entry.id)) in state.entries
    left = {e.value for e in state.entries} - {e.value for e in wanted.entries}
    assert left <= {e.value for e in live.entries if not own.is_ours(e)}


def _compatible(wanted, live, own):
    """Whether no entry of others that stays shares a value with a declared one of the other list.

    Their texts are theirs: such a pair is refused by Graph whatever we send.
    """
    kept = {(type(e), e.value) for e in live.entries if not own.is_ours(e)}
    declared = {(type(e), e.value) for e in wanted.entries}
    return not any(v == w and t is not u for t, v in kept - declared for u, w in declared)
