"""What the real API server says to tenants."""

import pytest

from tests.api.manifests import (
    TENANT,
    manifest,
)

pytestmark = pytest.mark.control_plane


CUSTOM = TENANT | {
    "cloud": "Custom",
    "endpoints": {"authorityHost": "https://localhost:1", "graphUrl": "https://localhost:1"},
}
GRAPH = "00000003-0000-0000-c000-000000000000"


def grants(*allowed):
    opt_ins = {"appRoleAssignments": "Enabled", "delegatedConsent": "Enabled"}
    return TENANT | {"grants": opt_ins | {"allowed": list(allowed)}}


def test_grants_by_name_and_by_star_are_accepted(admission):
    spec = grants(
        {"appRoles": ["global*"], "scopes": ["*"]},
        {"wellKnown": "MicrosoftGraph", "appRoles": ["User.Read.All"]},
    )
    answer = admission.attempt(manifest(spec, kind="EntraTenant"))
    assert answer.accepted, answer.said


BAD_TENANTS = {
    "Custom without endpoints": (TENANT | {"cloud": "Custom"}, "`endpoints` must be set"),
    "Public with endpoints": (CUSTOM | {"cloud": "Public"}, "`endpoints` must be set"),
    "http endpoint": (CUSTOM | {"endpoints": CUSTOM["endpoints"] | {"graphUrl": "http://x"}},
                      "graphUrl"),
    "graph with version": (
        CUSTOM | {"endpoints": CUSTOM["endpoints"] | {"graphUrl": "https://x/v1.0"}}, "graphUrl"),
    "two ways to sign in": (
        TENANT | {"auth": {"workloadIdentity": {}, "clientSecret": {"secretRef": {"name": "x"}}}},
        "exactly one"),
    "secret and certificate": (
        TENANT | {"auth": {"clientSecret": {"secretRef": {"name": "x"}},
                           "certificate": {"secretRef": {"name": "x"}}}},
        "exactly one"),
    "an owner that is no object id": (
        TENANT | {"applicationDefaults": {"owners": ["alice@clinic.example"]}}, "owners[0]"),
    "a tag with a blank": (TENANT | {"applicationDefaults": {"tags": ["a b"]}}, "tags[0]"),
    "no way to sign in": (TENANT | {"auth": {}}, "exactly one"),
    "tenant id that is none": (TENANT | {"tenantId": "contoso"}, "spec.tenantId"),
    "empty selector": (TENANT | {"allowedNamespaces": {"from": "Selector", "selector": {}}},
                       "must not be empty"),
    "All with a selector": (
        TENANT | {"allowedNamespaces": {"from": "All", "selector": {"matchLabels": {"a": "b"}}}},
        "`selector` must be set for from: Selector"),
    "CA bundle that is none": (TENANT | {"caBundle": "x" * 40}, "spec.caBundle"),
    "grants by a star on Microsoft Graph": (
        grants({"wellKnown": "MicrosoftGraph", "appRoles": ["User.*"]}), "by name"),
    "the same by client id": (grants({"appId": GRAPH, "scopes": ["*"]}), "by name"),
    "an API named twice": (grants({"appId": GRAPH, "wellKnown": "MicrosoftGraph"}), "not by both"),
    "a grant with a blank": (grants({"appRoles": ["a b"]}), "appRoles[0]"),
    "unknown cloud": (TENANT | {"cloud": "Mars"}, "supported values"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TENANTS)
def test_bad_tenants_are_refused(admission, case):
    spec, remedy = BAD_TENANTS[case]
    answer = admission.attempt(manifest(spec, kind="EntraTenant"))
    assert not answer.accepted
    assert remedy in answer.said


def test_immutable_fields_of_a_tenant_stay(admission):
    assert admission.apply(manifest(TENANT, "immutable", "EntraTenant")).accepted
    for change in ({"tenantId": "99999999-1111-1111-1111-111111111111"}, {"cloud": "China"}):
        answer = admission.apply(manifest(TENANT | change, "immutable", "EntraTenant"))
        assert f"`{next(iter(change))}` must not change" in answer.said
