"""What a server answers to a token, and the claim that is to blame."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fhir_app_operator.api.v1alpha1 import ScopeEncoding
from fhir_app_operator.planning.expectation import Expectation, judge, rows

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = int((NOW + timedelta(hours=1)).timestamp())
EXPECTED = Expectation(
    audience="https://fhir.example", issuer="https://sts.windows.net/t/", token_version=1,
    tenant_id="t", client_id="c", claim="roles",
    permissions={"globalReader": "globalReader", "system.all.rs": "system/*.rs"},
)  # fmt: skip
GOOD = {
    "aud": "https://fhir.example", "iss": "https://sts.windows.net/t/", "ver": "1.0", "tid": "t",
    "appid": "c", "exp": LATER, "roles": ["globalReader", "system.all.rs", "more"],
}  # fmt: skip
USERS = replace(
    EXPECTED, claim="scp", permissions={"user.all.rs": "user/*.rs"}, token_version=2,
    audience="server", issuer="https://login/t/v2.0",
)  # fmt: skip
USERS_GOOD = {
    "aud": "server", "iss": "https://login/t/v2.0", "ver": "2.0", "tid": "t", "azp": "c",
    "exp": LATER, "scp": "user.all.rs launch.patient",
}  # fmt: skip


@pytest.mark.parametrize(("expected", "claims"), [(EXPECTED, GOOD), (USERS, USERS_GOOD)])
def test_a_token_with_all_that_is_expected_gets_in(expected, claims):
    verdict = judge(expected, claims, NOW)
    assert verdict.status == 200
    assert all(row.answer == 200 and not row.remedy for row in verdict.rows)


@pytest.mark.parametrize(
    ("claim", "value", "named"),
    [
        ("aud", "https://other.example", "FHIR_AUDIENCE"), ("aud", None, "FHIR_AUDIENCE"),
        ("iss", "https://login/t/v2.0", "tokenVersion"), ("ver", "2.0", "tokenVersion"),
        ("tid", "u", "tenantRef"), ("appid", "d", "Secret"), ("exp", LATER - 7200, "clocks"),
        ("exp", "soon", "clocks"), ("exp", None, "clocks"),
    ],
)  # fmt: skip
def test_a_wrong_claim_is_a_401_that_names_it_and_where_to_look(claim, value, named):
    verdict = judge(EXPECTED, GOOD | {claim: value}, NOW)
    row = next(row for row in verdict.rows if row.claim == claim)
    assert verdict.status == row.answer == 401
    assert f"`{claim}`" in verdict.why
    assert named in row.remedy


def test_an_end_that_no_calendar_has_is_still_later_than_now():
    assert judge(EXPECTED, GOOD | {"exp": 10**20}, NOW).status == 200


@pytest.mark.parametrize("roles", [[], None, "globalWriter", ["other"]])
def test_without_any_of_the_permissions_every_request_is_forbidden(roles):
    verdict = judge(EXPECTED, GOOD | {"roles": roles}, NOW)
    assert verdict.status == 403
    assert "lacks globalReader, system/*.rs: every request" in verdict.why


def test_with_some_of_them_only_what_is_missing_is_named_as_manifests_spell_it():
    verdict = judge(EXPECTED, GOOD | {"roles": ["globalReader"]}, NOW)
    assert verdict.status == 403
    assert "lacks system/*.rs: a request that needs it" in verdict.why


@pytest.mark.parametrize("more", ["patient.all.rs", "user.all.read"])
def test_scopes_that_do_not_go_together_are_a_bad_request(more):
    verdict = judge(USERS, USERS_GOOD | {"scp": f"user.all.rs {more}"}, NOW)
    assert verdict.status == 400
    assert "must not mix" in verdict.rows[-1].remedy


def test_what_is_no_scope_is_not_mixed_with_any():
    claims = USERS_GOOD | {"scp": "user.all.rs patient.all.nothing user_impersonation"}
    assert judge(USERS, claims, NOW).status == 200


def test_scopes_are_read_in_the_servers_own_encoding():
    dollar = replace(USERS, encoding=ScopeEncoding.DOLLAR, permissions={"user$*.rs": "user/*.rs"})
    claims = USERS_GOOD | {"scp": "user$*.rs patient$*.rs"}
    assert judge(dollar, claims, NOW).status == 400


def test_smart_scopes_of_a_service_mean_nothing_without_a_role_of_the_server():
    smart = replace(EXPECTED, permissions={"system.all.rs": "system/*.rs"})
    verdict = judge(smart, GOOD | {"roles": ["system.all.rs"]}, NOW)
    assert verdict.status == 403
    assert "smartUser" in verdict.rows[-1].remedy
    assert "expects a role of the server" in verdict.why
    assert judge(smart, GOOD | {"roles": ["system.all.rs", "smartUser"]}, NOW).status == 200
    managed = replace(smart, needs_role=False)
    assert judge(managed, GOOD | {"roles": ["system.all.rs"]}, NOW).status == 200


def test_the_first_thing_that_the_server_looks_at_decides():
    claims = GOOD | {"aud": "other", "roles": []}
    assert judge(EXPECTED, claims, NOW).status == 401


def test_what_is_not_asked_for_is_not_looked_at():
    server = replace(EXPECTED, claim=None, client_id=None, permissions={})
    claims = GOOD | {"appid": "anybody", "roles": []}
    assert judge(server, claims, NOW).status == 200
    assert [row.claim for row in rows(server)] == ["aud", "iss", "ver", "tid"]


def test_the_table_of_expectations_has_each_claim_once():
    assert [(row.claim, row.expected) for row in rows(EXPECTED)] == [
        ("aud", "https://fhir.example"), ("iss", "https://sts.windows.net/t/"), ("ver", "1.0"),
        ("tid", "t"), ("appid", "c"), ("roles", "globalReader, system.all.rs"),
    ]  # fmt: skip


def test_long_and_many_values_are_cut():
    claims = GOOD | {"roles": [f"r{n}" for n in range(30)], "iss": "x" * 1000}
    found = {row.claim: row.found for row in judge(EXPECTED, claims, NOW).rows}
    assert found["roles"].endswith("and 10 more")
    assert len(found["iss"]) == 200
