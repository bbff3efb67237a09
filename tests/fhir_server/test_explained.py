"""What `explain` says of a token is what the FHIR server answers to it."""

import time
from datetime import UTC, datetime

import pytest

from entra_emulator import TENANT_ID, Emulator
from entra_emulator.server import serve
from fhir_app_operator.planning.expectation import Expectation, judge
from tests.fhir_server.server import FhirServer

AUDIENCE = "https://fhir.clinic.example"
NOW = int(time.time())
TOKENS = {
    "as it should be": {},
    "for another server": {"aud": "https://other.example"},
    "of another tenant": {"iss": "https://sts.windows.net/other/", "tid": "other"},
    "of the other version": {"iss": "{origin}/v2.0", "ver": "2.0"},
    "ended": {"exp": NOW - 5},
    "without roles": {"roles": []},
    "with scopes and no role": {"roles": ["system.all.rs"]},
    "with mixed versions": {"roles": ["smartUser", "system.all.rs", "system.all.read"]},
    "with mixed contexts": {"roles": ["smartUser", "system.all.rs", "user.all.rs"]},
}


@pytest.fixture(scope="module")
def running():
    with serve(Emulator()) as running:
        yield running


@pytest.mark.parametrize("what", TOKENS)
def test_both_give_the_same_answer(running, tmp_path, what):
    issuer = f"https://sts.windows.net/{TENANT_ID}/"
    claims = {
        "aud": AUDIENCE, "iss": issuer, "ver": "1.0", "tid": TENANT_ID, "appid": "c",
        "nbf": NOW - 60, "exp": NOW + 600, "roles": ["smartUser", "system.all.rs"],
    } | TOKENS[what]  # fmt: skip
    ca = tmp_path / "ca.pem"
    ca.write_bytes(running.ca_pem)
    authority = f"{running.origin}/{TENANT_ID}"
    server = FhirServer.from_secret({"FHIR_AUTHORITY": authority, "FHIR_AUDIENCE": AUDIENCE}, ca)
    token = running.emulator._world.key.sign(claims)
    answer, _ = server.decide("GET", "/Patient", f"Bearer {token}")
    expected = Expectation(
        audience=AUDIENCE, issuer=issuer, token_version=1, tenant_id=TENANT_ID, client_id="c",
        claim="roles", permissions={"system.all.rs": "system/*.rs"},
    )  # fmt: skip
    assert judge(expected, claims, datetime.now(UTC)).status == answer
