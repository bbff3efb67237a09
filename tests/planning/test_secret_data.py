"""The Secret's keys: presets, other names, and where the credential stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_app_operator.api.v1alpha1 import AppType, CredentialType, SecretKey, SecretPreset
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning import secret_data
from fhir_app_operator.planning.model import NEEDED_OF, PARTS_OF, SecretShape, SecretState
from fhir_app_operator.planning.model.secret import OWN_NAMES
from tests.planning.worlds import CERTIFICATE, FEDERATED, SERVER, TYPES, desired, made

CLIENT_SECRET, SIGNED = CredentialType.CLIENT_SECRET, CredentialType.CERTIFICATE
SPRING = "SPRING_SECURITY_OAUTH2_"
CLIENT = f"{SPRING}CLIENT_REGISTRATION_ENTRA_"
PROVIDER = f"{SPRING}CLIENT_PROVIDER_ENTRA_"


def wanted(kind, *presets, keys=(), **spec):
    return desired(kind, secret={"presets": list(presets), "keys": list(keys)}, **spec)


def data(*args, **fields):
    return secret_data.data(wanted(*args, **fields), made("app-9"))


def names(source, *targets):
    return [{"from": source, "to": target} for target in targets]


def places(*args, kind=CLIENT_SECRET, **fields):
    return dict(wanted(*args, **fields).credential_keys[kind])


@pytest.mark.parametrize("kind", TYPES)
def test_without_a_word_the_secret_has_the_keys_of_the_azure_sdk(kind):
    by_default = desired(kind)
    assert secret_data.data(by_default, made("app-9")) == data(kind, "AzureSdk")
    assert secret_data.data(by_default, made("app-9"))["AZURE_CLIENT_ID"] == "app-9"
    clients = OWN_NAMES if kind in ("Confidential", "Service") else {}
    assert by_default.credential_keys == clients


def test_the_fhir_server_gets_its_environment():
    assert data("Resource", "FhirServer") == {
        "FhirServer__Security__Enabled": "true",
        "FhirServer__Security__Authentication__Audience": "https://fhir.clinic.example",
        "FhirServer__Security__Authentication__Authority":
            "https://login.example/11111111-1111-1111-1111-111111111111",
        "FhirServer__Security__Authorization__Enabled": "true",
        "FhirServer__Security__Authorization__RolesClaim": "roles",
        "FhirServer__Security__Authorization__ScopesClaim__0": "scp",
        "FhirServer__Security__Authorization__ScopesClaim__1": "roles",
    }  # fmt: skip


@pytest.mark.parametrize(("preset", "key"), [("Spring", "AZURE_CLIENT_SECRET"),
                                             ("ServiceBinding", "client-secret")])  # fmt: skip
def test_the_secret_of_a_front_door_makes_no_half_client_for_spring(preset, key):
    door = {"redirectUris": ["https://proxy.example/.auth/login/aad/callback"]}
    resource = {"url": "https://fhir.example", "frontDoor": door}
    assert places("Resource", preset, resource=resource) == {key: "AZURE_CLIENT_SECRET"}


@pytest.mark.parametrize("preset", ["FhirServer", "Spring", "ServiceBinding"])
def test_an_audience_made_of_the_own_client_id_is_resolved_under_every_name(preset):
    resource = {"url": "https://fhir.example", "identifierUri": "api://{appId}"}
    found = data("Resource", preset, resource=resource)
    assert "api://app-9" in found.values()
    assert not [value for value in found.values() if "{" in value]


def test_springs_resource_server_gets_issuer_keys_and_audience():
    assert data("Resource", "Spring") == {
        f"{SPRING}RESOURCESERVER_JWT_AUDIENCES": "https://fhir.clinic.example",
        f"{SPRING}RESOURCESERVER_JWT_ISSUERURI": "https://sts.example/t/",
        f"{SPRING}RESOURCESERVER_JWT_JWKSETURI": "https://login.example/keys",
    }


def test_springs_service_gets_a_client_credentials_registration():
    token = "https://login.example/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token"
    assert data("Service", "Spring") == {
        f"{CLIENT}CLIENTID": "app-9",
        f"{CLIENT}CLIENTAUTHENTICATIONMETHOD": "client_secret_post",
        f"{CLIENT}AUTHORIZATIONGRANTTYPE": "client_credentials",
        f"{CLIENT}SCOPE": "https://fhir.clinic.example/.default",
        f"{PROVIDER}TOKENURI": token,
        f"{PROVIDER}JWKSETURI": "https://login.example/keys",
    }
    assert places("Service", "Spring") == {f"{CLIENT}CLIENTSECRET": "AZURE_CLIENT_SECRET"}


def test_springs_web_client_signs_users_in_and_checks_who_issued_the_id_token():
    found = data("Confidential", "Spring")
    assert found[f"{CLIENT}AUTHORIZATIONGRANTTYPE"] == "authorization_code"
    assert found[f"{CLIENT}REDIRECTURI"] == "https://portal.example/b"
    assert found[f"{CLIENT}SCOPE"] == (
        "openid,offline_access,https://fhir.clinic.example/user_impersonation"
    )
    issuer = "https://login.example/11111111-1111-1111-1111-111111111111/v2.0"
    assert found[f"{PROVIDER}ISSUERURI"] == issuer


@pytest.mark.parametrize(
    ("kind", "spec", "method"),
    [
        ("Public", {}, "none"),
        ("Confidential", {}, "client_secret_post"),
        ("Service", {"credential": CERTIFICATE}, "private_key_jwt"),
        ("Service", {"credential": FEDERATED}, "private_key_jwt"),
    ],
)
def test_a_client_is_told_how_it_proves_itself(kind, spec, method):
    assert data(kind, "ServiceBinding", **spec)["client-authentication-method"] == method


def test_a_service_binding_says_what_it_is_and_where():
    client, server = data("Service", "ServiceBinding"), data("Resource", "ServiceBinding")
    common = {"provider": "entra", "uri": SERVER.url, "host": "fhir.clinic.example"}
    assert client.items() >= (common | {"type": "oauth2", "client-id": "app-9"}).items()
    assert server.items() >= (common | {"type": "oauth2-resource-server"}).items()
    assert places("Service", "ServiceBinding") == {"client-secret": "AZURE_CLIENT_SECRET"}
    assert places("Service", "ServiceBinding", kind=SIGNED) == {
        "certificates": "tls.crt", "private-key": "tls.key",
    }  # fmt: skip


def test_a_preset_without_a_name_for_the_key_does_not_lose_it():
    assert places("Service", "Spring", kind=SIGNED) == {"tls.crt": "tls.crt", "tls.key": "tls.key"}
    assert places("Service", kind=CLIENT_SECRET) == {"AZURE_CLIENT_SECRET": "AZURE_CLIENT_SECRET"}


def test_presets_stand_beside_each_other():
    both = data("Confidential", "AzureSdk", "Spring", "ServiceBinding")
    each = [data("Confidential", preset) for preset in ("AzureSdk", "Spring", "ServiceBinding")]
    assert both == each[0] | each[1] | each[2]


def test_a_key_is_renamed_written_twice_kept_and_left_out():
    keys = [
        *names("AZURE_CLIENT_ID", "CLIENT_ID"),
        *names("FHIR_SCOPE", "FHIR_SCOPE", "SCOPE"),
        {"from": "FHIR_ISSUER"},
    ]
    before, after = data("Service", "AzureSdk"), data("Service", "AzureSdk", keys=keys)
    assert (after["CLIENT_ID"], after["SCOPE"]) == ("app-9", before["FHIR_SCOPE"])
    assert before.keys() - after.keys() == {"AZURE_CLIENT_ID", "FHIR_ISSUER"}
    assert after.keys() - before.keys() == {"CLIENT_ID", "SCOPE"}


def test_two_keys_change_names():
    keys = names("FHIR_ISSUER", "FHIR_AUTHORITY") + names("FHIR_AUTHORITY", "FHIR_ISSUER")
    before, after = data("Service", "AzureSdk"), data("Service", "AzureSdk", keys=keys)
    assert after["FHIR_ISSUER"] == before["FHIR_AUTHORITY"]
    assert after["FHIR_AUTHORITY"] == before["FHIR_ISSUER"]


def test_without_presets_there_is_only_what_is_named():
    keys = names("AZURE_CLIENT_ID", "FS-CLIENT-ID") + names("AZURE_CLIENT_SECRET", "FS-SECRET")
    assert data("Service", keys=keys) == {"FS-CLIENT-ID": "app-9"}
    assert places("Service", keys=keys) == {"FS-SECRET": "AZURE_CLIENT_SECRET"}


def test_the_credential_follows_its_names():
    keys = names("AZURE_CLIENT_SECRET", "A", "B") + names("tls.key", "key.pem")
    keys += [{"from": "tls-combined.pem"}, {"from": "AZURE_CLIENT_CERTIFICATE_THUMBPRINT"}]
    assert places("Service", "AzureSdk", keys=keys) == dict.fromkeys("AB", "AZURE_CLIENT_SECRET")
    assert places("Service", "AzureSdk", keys=keys, kind=SIGNED) == {
        "tls.crt": "tls.crt", "key.pem": "tls.key",
    }  # fmt: skip


@pytest.mark.parametrize("part", ["AZURE_CLIENT_SECRET", "tls.key", "tls.crt"])
def test_the_only_copy_of_a_credential_is_not_left_out(part):
    with pytest.raises(Invalid, match=f"must not leave out the last key with '{part}'"):
        wanted("Service", "AzureSdk", keys=[{"from": part}])


def test_a_second_copy_of_a_credential_may_be_left_out():
    keys = [{"from": "AZURE_CLIENT_SECRET"}]
    assert places("Service", "AzureSdk", "ServiceBinding", keys=keys) == {
        "client-secret": "AZURE_CLIENT_SECRET"
    }


@pytest.mark.parametrize("kind", ["Resource", "Public"])
def test_a_type_without_a_credential_has_none_to_rename(kind):
    with pytest.raises(Invalid, match=r"keys\[0\].from`: this registration has no 'AZURE_CLIENT_S"):
        wanted(kind, "AzureSdk", keys=names("AZURE_CLIENT_SECRET", "X"))


def test_a_name_that_nothing_has_is_refused_with_those_that_there_are():
    with pytest.raises(
        Invalid, match=r"\[1\].from`: .* no 'CLIENT_ID'; the field may name: AZURE_AUTHORITY"
    ):
        wanted("Service", "AzureSdk",
               keys=names("FHIR_SCOPE", "S") + names("CLIENT_ID", "X"))  # fmt: skip


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("FHIR_SCOPE", "FHIR_ISSUER"),
        ("AZURE_CLIENT_SECRET", "FHIR_ISSUER"),
        ("tls.key", "FHIR_ISSUER"),
        ("FHIR_SCOPE", "AZURE_CLIENT_SECRET"),
        ("FHIR_SCOPE", "tls-combined.pem"),
        ("tls.key", "tls.crt"),
    ],
)
def test_two_values_under_one_key_are_refused(source, target):
    with pytest.raises(Invalid, match=f"written to the key '{target}'"):
        wanted("Service", "AzureSdk", keys=names(source, target))


def test_two_presets_that_write_one_key_differently_are_refused():
    assert secret_data.merged([{"A": "1"}, {"A": "1", "B": "2"}]) == {"A": "1", "B": "2"}
    with pytest.raises(Invalid, match="written to the key 'A'; rename one") as refused:
        secret_data.merged([{"A": "canary"}, {"B": "2"}, {"A": "other"}])
    assert "canary" not in str(refused.value)


def test_a_credential_under_other_keys_than_asked_for_is_out_of_place():
    moved = wanted("Service", "AzureSdk", keys=names("AZURE_CLIENT_SECRET", "X"))
    live = SecretState(ours=True, type=CLIENT_SECRET, credential_intact=True)
    assert not secret_data.is_placed(moved, live)
    assert secret_data.is_placed(desired("Service"), live)


@given(
    presets=st.lists(st.sampled_from(["AzureSdk", "Spring", "ServiceBinding"]), unique=True),
    pairs=st.lists(
        st.tuples(
            st.sampled_from(["AZURE_CLIENT_SECRET", "tls.crt", "tls.key", "FHIR_SCOPE",
                             "client-secret", "AZURE_CLIENT_ID", "tls-combined.pem"]),
            st.none() | st.sampled_from(["A", "B", "client-secret", "tls.key", "FHIR_SCOPE"]),
        ),
        max_size=4,
    ),
)  # fmt: skip
def test_whatever_is_asked_for_a_credential_is_never_lost_and_shares_no_key(presets, pairs):
    shape = SecretShape(
        type=AppType.SERVICE, credential=CLIENT_SECRET, presets=tuple(map(SecretPreset, presets)),
        keys=tuple(SecretKey(source=source, to=to) for source, to in pairs),
    )  # fmt: skip
    facts = desired("Service").connection
    try:
        secret_data.check(shape, facts)
    except Invalid:
        return
    plain = secret_data.render(shape, facts)
    for kind, found in secret_data.credential_keys(shape).items():
        assert set(NEEDED_OF[kind]) <= set(found.values()) <= set(PARTS_OF[kind])
        assert not found.keys() & plain.keys()
