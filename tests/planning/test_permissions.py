"""App roles and scopes: stable ids, and the way to a new list past enabled entries."""

from dataclasses import replace

from fhir_app_operator.api.v1alpha1 import Resource
from fhir_app_operator.planning import permissions
from fhir_app_operator.planning.model import AppRole
from fhir_app_operator.planning.permissions import merged

RESOURCE = Resource.model_validate({"url": "https://fhir.example"})
WHERE = ("tenant", "clinic", "fhir")


def role(value, entry_id=None, **fields):
    derived = permissions.permission_id(*WHERE, value)
    return AppRole(
        id=entry_id or derived, value=value, display_name=value, description=value,
        allowed_member_types=frozenset({"User"}), **fields,
    )  # fmt: skip


def ours(*entries):
    return frozenset(permissions.permission_id(*WHERE, entry.value) for entry in entries)


def test_ids_are_the_same_for_a_registration_made_again():
    first, again = permissions.app_roles(RESOURCE, *WHERE), permissions.app_roles(RESOURCE, *WHERE)
    assert first == again
    other = permissions.app_roles(RESOURCE, "tenant", "clinic", "other")
    assert not {r.id for r in first} & {r.id for r in other}


def test_the_preset_is_the_servers_own_list():
    values = [r.value for r in permissions.app_roles(RESOURCE, *WHERE)]
    assert values == ["globalAdmin", "globalConverter", "globalExporter", "globalImporter",
                      "globalReader", "globalWriter", "smartUser"]  # fmt: skip
    assert [s.value for s in permissions.scopes(RESOURCE, *WHERE)] == ["user_impersonation"]


def test_custom_entries_stand_beside_the_preset_or_instead_of_it():
    custom = {"value": "audit", "adminConsentDisplayName": "t", "adminConsentDescription": "d"}
    resource = Resource.model_validate(
        {
            "url": "https://fhir.example",
            "appRoles": {"preset": "None"},
            "scopes": {"preset": "None", "custom": [custom | {"userConsentDisplayName": "u"}]},
        }
    )
    assert permissions.app_roles(resource, *WHERE) == ()
    (scope,) = permissions.scopes(resource, *WHERE)
    assert (scope.user_consent_display_name, scope.user_consent_description) == ("u", "d")


def test_nothing_to_do_in_whatever_order():
    a, b = role("a"), role("b")
    assert merged((a, b), (b, a), ours(a, b)) is None


def test_an_entry_under_a_declared_value_keeps_its_id():
    live = role("a", "made-in-the-portal")
    assert merged((role("a"),), (live,), frozenset()) is None


def test_entries_of_others_are_kept():
    theirs = role("theirs", "their-id")
    assert merged((role("a"),), (theirs,), frozenset()) == (theirs, role("a"))


def test_an_enabled_entry_is_disabled_before_it_changes_or_goes():
    stays, changes, goes = role("stays"), role("changes"), role("goes")
    live = (stays, changes, goes)
    wanted = (stays, replace(changes, description="new"))
    first = merged(wanted, live, ours(*live))
    assert first == (stays, replace(changes, is_enabled=False), replace(goes, is_enabled=False))
    second = merged(wanted, first, ours(*live))
    assert second == (stays, replace(changes, description="new"))
    assert merged(wanted, second, ours(*live)) is None


def test_an_entry_disabled_in_the_portal_is_enabled_again():
    entry = role("a")
    assert merged((entry,), (replace(entry, is_enabled=False),), ours(entry)) == (entry,)
