"""What a server exposes: presets, custom entries, ids, and what is refused."""

import pytest

from fhir_app_operator.api.v1alpha1 import AppRolePreset, Resource, ScopePreset
from fhir_app_operator.api.v1alpha1.exposure import FHIR_PROXY_ROLES, FHIR_SERVER_ROLES
from fhir_app_operator.api.v1alpha1.fhir_types import FHIR_TYPES
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning.exposure import exposure

PINNED = "24c50db1-1e11-4273-b6a0-b697f734bcb4"


def exposed(roles=(), scopes=(), smart=None, custom_roles=(), custom_scopes=()):
    spec = {
        "url": "https://fhir.example",
        "appRoles": {"presets": list(roles), "custom": list(custom_roles)},
        "scopes": {"presets": list(scopes), "custom": list(custom_scopes)},
        "smart": smart or {},
    }
    return exposure(Resource.model_validate(spec), "id of {}".format)


def role(value, text="t", **fields):
    return {"value": value, "displayName": text, "description": text} | fields


def scope(value, text="t", **fields):
    names = ("adminConsentDisplayName", "adminConsentDescription")
    return {"value": value} | dict.fromkeys(names, text) | fields


def values(entries):
    return [entry.value for entry in entries]


def test_by_default_the_servers_own_roles_and_user_impersonation():
    found = exposure(Resource.model_validate({"url": "https://fhir.example"}), str)
    assert values(found.app_roles) == list(FHIR_SERVER_ROLES)
    assert values(found.scopes) == ["user_impersonation"]


def test_the_proxys_roles_have_the_ids_that_its_scripts_hold():
    found = {entry.value: entry for entry in exposed(roles=["FhirProxy"]).app_roles}
    assert tuple(found) == FHIR_PROXY_ROLES
    assert found["Reader"].id == PINNED
    assert found["Reader"].allowed_member_types == {"Application", "User"}
    assert found["Patient"].allowed_member_types == {"User"}


def test_a_backend_service_gets_system_roles_for_the_listed_types():
    found = exposed(roles=["SmartBackend"], smart={"resourceTypes": ["*", "Patient"]}).app_roles
    assert values(found) == [
        "system.Patient.rs", "system.all.all", "system.all.read", "system.all.rs",
    ]  # fmt: skip
    assert {kind for entry in found for kind in entry.allowed_member_types} == {"Application"}
    assert found[0].display_name == "system/Patient.rs"


def test_scopes_range_over_the_listed_types():
    smart = {"resourceTypes": ["Goal"]}
    assert values(exposed(scopes=["SmartV1"], smart=smart).scopes) == [
        "patient.Goal.read", "patient.Goal.write", "user.Goal.read", "user.Goal.write",
    ]  # fmt: skip
    assert values(exposed(scopes=["SmartV2"], smart=smart).scopes) == [
        f"{context}.Goal.{access}"
        for context in ("patient", "user")
        for access in ("cruds", "r", "rs", "s")
    ]
    assert values(exposed(scopes=["SmartContext"]).scopes) == [
        "fhirUser", "launch", "launch.encounter", "launch.patient", "online_access",
    ]  # fmt: skip


def test_all_presets_fit_into_one_application_and_dollars_can_be_had():
    found = exposed(AppRolePreset, ScopePreset, smart={"scopeEncoding": "Dollar"})
    assert {"user_impersonation", "patient$*.read", "launch$patient"} <= set(values(found.scopes))
    assert {"system$*.rs", "globalAdmin", "Reader"} <= set(values(found.app_roles))
    assert all(entry.is_enabled for entry in found.entries)


def test_custom_entries_stand_beside_the_presets():
    found = exposed(
        roles=["FhirServer"],
        custom_roles=[role("audit", id=PINNED)],
        custom_scopes=[scope("patient/Goal.rs", userConsentDisplayName="u")],
    )
    assert {entry.value: entry.id for entry in found.app_roles}["audit"] == PINNED
    (only,) = found.scopes
    assert (only.value, only.id) == ("patient.Goal.rs", "id of patient.Goal.rs")
    assert (only.user_consent_display_name, only.user_consent_description) == ("u", "t")


def test_a_role_and_a_scope_of_one_value_share_id_and_texts():
    found = exposed(custom_roles=[role("user/*.rs")], custom_scopes=[scope("user/*.rs")])
    assert found.app_roles[0].id == found.scopes[0].id


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"custom_roles": [role("system/Foo.rs")]},
         r"`resource.appRoles.custom\[0\]`: 'system/Foo.rs': .*resource type"),
        ({"custom_scopes": [scope("a"), scope("patient/*.sr")]},
         r"`resource.scopes.custom\[1\]`: .*in this order"),
        ({"custom_scopes": [scope("patient/Goal.rs?code=" + "a/" * 40)]}, "characters long"),
        ({"smart": {"resourceTypes": ["Foo"]}, "scopes": ["SmartV1"]},
         "`resource.smart`: 'patient/Foo.read'"),
        ({"custom_roles": [role("system/*.rs")], "roles": ["SmartBackend"]},
         "'system.all.rs' is there twice"),
        ({"custom_scopes": [scope("patient/*.rs")], "scopes": ["SmartV2"]}, "there twice"),
        ({"custom_roles": [role("a", id=PINNED)], "roles": ["FhirProxy"]}, "the same id"),
        ({"custom_roles": [role("a")], "custom_scopes": [scope("a", text="else")]},
         "one permission"),
        ({"custom_roles": [role("a", id=PINNED)], "custom_scopes": [scope("b", id=PINNED)]},
         "one permission"),
        ({"custom_roles": [role("a", id=PINNED)], "custom_scopes": [scope("a")]},
         "one permission"),
        ({"roles": AppRolePreset, "scopes": ScopePreset,
          "smart": {"resourceTypes": FHIR_TYPES[:40]},
          "custom_roles": [role(f"r{n}") for n in range(100)],
          "custom_scopes": [scope(f"s{n}") for n in range(100)]},
         "154 app roles and 586 scopes"),
    ],
)  # fmt: skip
def test_what_entra_or_smart_would_not_take_is_refused_with_the_field(fields, reason):
    with pytest.raises(Invalid, match=reason):
        exposed(**fields)
