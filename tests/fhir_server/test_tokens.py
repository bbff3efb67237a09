"""The stand-in takes what Entra issues for it and nothing else."""

import ssl
import time

import httpx
import pytest

from entra_emulator import TENANT_ID, Emulator
from entra_emulator.server import serve
from entra_emulator.signin.keys import SigningKey
from tests.fhir_server.server import FhirServer, serving, settings

AUDIENCE = "https://fhir.clinic.example"
STRANGER = "99999999-9999-9999-9999-999999999999"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    with serve(Emulator()) as running:
        running.emulator.ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
        running.emulator.ca_file.write_bytes(running.ca_pem)
        yield running.emulator


@pytest.fixture(scope="module", params=[1, 2])
def server(request, authority):
    suffix = "/v2.0" if request.param == 2 else ""
    told = environment_of(f"{authority.origin}/{TENANT_ID}{suffix}", AUDIENCE)
    with serving(FhirServer.from_secret(told, authority.ca_file)) as made:
        made.version, made.told = request.param, told
        yield made


def environment_of(authority, audience):
    told = settings(authority, audience)
    return {f"FhirServer__Security__{name}": value for name, value in told.items()}


def issuer(authority, version, tenant=TENANT_ID):
    return (
        f"{authority.origin}/{tenant}/v2.0"
        if version == 2
        else f"https://sts.windows.net/{tenant}/"
    )


def token(authority, server, key=None, **claims):
    now = int(time.time())
    good = {
        "aud": AUDIENCE, "iss": issuer(authority, server.version), "nbf": now - 60,
        "exp": now + 600, "roles": ["globalReader"],
    }  # fmt: skip
    return (key or authority._world.key).sign(good | claims)


def ask(server, bearer, method="GET", path="/Patient"):
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    return httpx.request(method, server.url + path, headers=headers, trust_env=False)


def test_a_token_for_this_server_gets_in(authority, server):
    answer = ask(server, token(authority, server))
    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_token_of_the_other_version_does_not(authority, server):
    other = issuer(authority, 3 - server.version)
    assert ask(server, token(authority, server, iss=other)).status_code == 401


@pytest.mark.parametrize("audience", [f"{AUDIENCE}/", "https://other.clinic.example", STRANGER])
def test_the_audience_must_be_the_configured_one_to_the_letter(authority, server, audience):
    assert ask(server, token(authority, server, aud=audience)).status_code == 401


def test_a_token_of_another_tenant_is_refused_though_microsoft_signs_all_with_one_key(
    authority, server
):
    other = issuer(authority, server.version, tenant=STRANGER)
    assert ask(server, token(authority, server, iss=other)).status_code == 401


def test_a_token_that_somebody_else_signed_is_refused(authority, server):
    assert ask(server, token(authority, server, key=SigningKey.generate())).status_code == 401


def test_a_token_that_has_ended_is_refused(authority, server):
    assert ask(server, token(authority, server, exp=int(time.time()) - 1)).status_code == 401


@pytest.mark.parametrize("bearer", [None, "x", "a.b.c"])
def test_what_is_no_token_is_refused_with_an_outcome_and_a_challenge(server, bearer):
    answer = ask(server, bearer)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["issue"][0]["code"] == "login"


def test_without_a_role_the_answer_is_forbidden(authority, server):
    answer = ask(server, token(authority, server, roles=[]))
    assert answer.status_code == 403
    assert answer.json()["issue"][0]["code"] == "forbidden"


def test_the_authoritys_certificate_must_be_trusted(authority):
    told = environment_of(f"{authority.origin}/{TENANT_ID}", AUDIENCE)
    system = ssl.get_default_verify_paths().cafile or "/dev/null"
    server = FhirServer.from_secret(told, system)
    server.version = 1
    with pytest.raises(httpx.ConnectError):
        server.decide("GET", "/Patient", f"Bearer {token(authority, server)}")


@pytest.mark.parametrize("switch", ["Enabled", "Authorization__Enabled"])
def test_a_server_that_lets_everybody_in_is_not_started(authority, switch):
    told = environment_of(f"{authority.origin}/{TENANT_ID}", AUDIENCE)
    told[f"FhirServer__Security__{switch}"] = "false"
    with pytest.raises(ValueError, match="everybody"):
        FhirServer.from_secret(told, authority.ca_file)


def test_scopes_are_read_where_the_server_was_told(authority, server):
    bearer = token(authority, server, roles=["smartUser", "system.Patient.rs"])
    assert ask(server, bearer).status_code == 200
    told = dict(server.told)
    del told["FhirServer__Security__Authorization__ScopesClaim__1"]
    deaf = FhirServer.from_secret(told, authority.ca_file)
    assert deaf.decide("GET", "/Patient", f"Bearer {bearer}")[0] == 403
