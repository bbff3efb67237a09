"""The keys of the preset `FhirServer` against the settings that the FHIR server documents.

The server itself comes as an image only. Its settings are those of its `appsettings.json` and of
the classes SecurityConfiguration, AuthenticationConfiguration and AuthorizationConfiguration
(repository microsoft/fhir-server); ASP.NET reads them from variables with `__` between the levels,
and an index for an entry of a list.
"""

import pytest

from fhir_app_operator.planning import secret_data
from tests.planning.worlds import desired, made

SETTINGS = {
    "Enabled": bool,
    "EnableAadSmartOnFhirProxy": bool,
    "Authentication": {"Audience": str, "Authority": str},
    "PrincipalClaims": [str],
    "Authorization": {
        "Enabled": bool,
        "RolesClaim": str,
        "ScopesClaim": [str],
        "FhirUserClaim": str,
        "ErrorOnMissingFhirUserClaim": bool,
        "EnableSmartWithoutAuth": bool,
    },
}
PREFIX = ["FhirServer", "Security"]


def written(**spec):
    return secret_data.data(
        desired("Resource", secret={"presets": ["FhirServer"]}, **spec), made("app")
    )


def setting(name):
    """What the server takes for the variable `name`."""
    first, second, *path = name.split("__")
    assert [first, second] == PREFIX
    node = SETTINGS
    for step in path:
        if isinstance(node, list):
            assert step.isdigit()
            (node,) = node
        else:
            node = node[step]
    return node


def test_every_key_is_a_setting_of_the_server_with_a_value_that_it_takes():
    for name, value in written().items():
        assert setting(name) in (bool, str)
        assert value in ("true", "false") or setting(name) is str


def test_a_setting_that_the_server_does_not_have_would_be_seen():
    with pytest.raises(KeyError):
        setting("FhirServer__Security__Authentification__Audience")


def test_the_server_demands_tokens_for_its_own_audience_and_reads_entras_claims():
    data = written()
    root = "FhirServer__Security__"
    assert data[f"{root}Enabled"] == data[f"{root}Authorization__Enabled"] == "true"
    facts = secret_data.data(desired("Resource"), made("app"))
    assert data[f"{root}Authentication__Audience"] == facts["FHIR_AUDIENCE"]
    assert data[f"{root}Authentication__Authority"] == facts["FHIR_AUTHORITY"]
    assert data[f"{root}Authorization__RolesClaim"] == "roles"
    assert data[f"{root}Authorization__ScopesClaim__0"] == "scp"
