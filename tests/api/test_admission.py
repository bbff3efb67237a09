"""What the real API server lets in, fills in, and lets nobody change."""

import re
from pathlib import Path

import pytest

from tests.api.manifests import (
    ADDRESS,
    CONFIDENTIAL,
    MANAGED,
    NO_ROLES,
    NO_SERVER,
    OTHER_API,
    PLACE,
    PUBLIC,
    RESOURCE,
    SERVICE,
    additional,
    federated,
    managed,
    manifest,
)

pytestmark = pytest.mark.control_plane


@pytest.mark.parametrize(
    "spec",
    [
        RESOURCE,
        CONFIDENTIAL,
        PUBLIC,
        SERVICE,
        PUBLIC | {"consent": "Admin"},
        PUBLIC | {"redirectUris": {"publicClient": ["msal1234://auth", "http://localhost:8080/x"]}},
        CONFIDENTIAL | {"redirectUris": {"web": ["http://127.0.0.1/callback"]}},
        CONFIDENTIAL | {"credential": {"clientSecret": {}}},
        SERVICE | {"credential": {"certificate": {"issue": {}}}},
        CONFIDENTIAL | {"credential": {"certificate": {"secretRef": {"name": "portal-tls"}}}},
        CONFIDENTIAL | {"credential": {"federated": {"serviceAccounts": [{"name": "portal"}]}}},
        federated(issuer="https://oidc.example/cluster", audience="api://AzureADTokenExchange"),
        SERVICE | {"credential": {"certificate": {"issue": {"duration": "8760h", "keySize": 4096,
                                                            "overlap": "1h"}}}},
        CONFIDENTIAL | {"credential": {"clientSecret": {"duration": "2h", "renewBefore": "1h"}}},
        CONFIDENTIAL | {"credential": {"clientSecret": {}, "unmanaged": "Remove"}},
        RESOURCE | {"secret": {"template": {
            "labels": {"reconcile.fluxcd.io/watch": "Enabled"},
            "annotations": {
                "reloader.stakater.com/match": "true",
                "reflector.v1.k8s.emberstack.com/reflection-auto-namespaces": "a,b",
                "replicator.v1.mittwald.de/replicate-to": "clinic-*",
                "replicator.v1.mittwald.de/replication-allowed-namespaces": "a",
            },
        }}},
        RESOURCE | {"secret": {"presets": ["AzureSdk", "FhirServer", "Spring", "ServiceBinding"]}},
        CONFIDENTIAL | {"secret": {"presets": [], "keys": [
            {"from": "AZURE_CLIENT_ID", "to": "FS-CLIENT-ID"},
            {"from": "AZURE_CLIENT_SECRET", "to": ".secret"},
            {"from": "AZURE_CLIENT_SECRET", "to": "again"},
            {"from": "FHIR_ISSUER"},
        ]}},
        SERVICE | {"secret": {"keys": [{"from": f"K{n}" + "k" * 120, "to": f"T{n}" + "t" * 120}
                                       for n in range(64)]}},
        RESOURCE | {"resource": {"url": "https://FHIR.example/r4/", "identifierUri": "api://{appId}"}},
        RESOURCE | {"resource": {"url": "http://fhir.clinic.svc:8080", "identifierUri": "api://{appId}",
                                 "tokenVersion": 2}},
        RESOURCE | {"resource": RESOURCE["resource"] | {"appRoles": {"presets": []}}},
        RESOURCE | {"resource": RESOURCE["resource"] | {
            "appRoles": {"presets": ["FhirServer", "FhirProxy", "SmartBackend"],
                         "unmanaged": "Remove",
                         "custom": [{"value": "user/*.rs", "displayName": "x",
                                     "description": "y"}]},
            "scopes": {"presets": ["UserImpersonation", "SmartContext", "SmartV1", "SmartV2"],
                       "custom": [{"value": "user/Goal.rs?code=http://a.example/b|c",
                                   "adminConsentDisplayName": "x",
                                   "adminConsentDescription": "y"}]},
            "smart": {"scopeEncoding": "Dollar", "resourceTypes": ["*", "Patient"]},
        }},
        RESOURCE | {"resource": RESOURCE["resource"] | {
            "scopes": {"presets": ["SmartV2"],
                       "custom": [{"value": "user/Goal.rs", "adminConsentDisplayName": "x",
                                   "adminConsentDescription": "y"}]},
            "smart": {"resourceTypes": ["Patient"]},
        }},
        PUBLIC | {"scopes": ["user/Goal.rs?code=http://loinc.org/" + "x" * 79]},
        RESOURCE | {"resource": RESOURCE["resource"] | {
            "assignmentRequired": True,
            "frontDoor": {"redirectUris": ["https://proxy.example/.auth/login/aad/callback"]},
            "preAuthorizedClients": {"unmanaged": "Remove", "clients": [
                {"registrationRef": {"name": "portal"}},
                {"registrationRef": {"name": "app"}, "scopes": ["user_impersonation"]},
                {"appId": "24c50db1-1e11-4273-b6a0-b697f734bcb4",
                 "scopes": ["patient/*.rs", "launch/patient"]},
            ]},
        }},
        RESOURCE | {
            "credential": {"certificate": {"issue": {}}},
            "resource": RESOURCE["resource"] | {
                "frontDoor": {"redirectUris": ["https://proxy.example/.auth/login/aad/callback"]}},
        },
        PUBLIC | {"scopes": ["launch/patient", "fhirUser", "patient/*.rs", "patient/Goal.cruds"]},
        CONFIDENTIAL | {"scopes": ["user_impersonation", "user/*.read", "user/Goal.*"]},
        SERVICE | {"appRoles": ["globalReader", "system/*.rs"]},
        SERVICE | {"fhirServerRef": {"name": "fhir-server", "namespace": "clinic"}},
        MANAGED,
        managed(product="AzureApiForFhir", azureResourceId=f"{PLACE}/services/clinic"),
        managed(azureResourceId=f"{PLACE}/workspaces/clinic/fhirservices/fhir"),
        managed(application="Own", identifierUri="https://fhir.clinic.example",
                appRoles={"presets": ["SmartBackend"]}),
        RESOURCE | {"resource": RESOURCE["resource"] | {"application": "Own"}},
        NO_ROLES | {"azureRole": "FHIR Data Reader"},
        NO_SERVER | {"fhirServer": ADDRESS},
        NO_SERVER | {"fhirServer": ADDRESS | {"audience": "api://fhir/x", "tokenVersion": 2}},
        NO_SERVER | {"fhirServer": ADDRESS | {"audience": ADDRESS["appId"]}},
        RESOURCE | {"resource": RESOURCE["resource"] | {"allowedClients": {
            "namespaces": ["research"], "selector": {"matchLabels": {"team": "research"}},
        }, "deletionProtection": "Enabled"}},
        SERVICE | additional(wellKnown="AzureHealthcareApis", appRoles=["system.all.read"]),
        CONFIDENTIAL | additional(appId=OTHER_API, scopes=["a/b"], appRoles=["x"]),
    ],
)  # fmt: skip
def test_good_registrations_are_accepted(admission, spec):
    answer = admission.attempt(manifest(spec))
    assert answer.accepted, answer.said


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        (CONFIDENTIAL, SERVICE, "`type` must not change"),
        (MANAGED, managed(application="Own"), "`application` must not change"),
        (CONFIDENTIAL, CONFIDENTIAL | {"tenantRef": {"name": "other"}}, "`tenantRef` must not"),
        (CONFIDENTIAL, CONFIDENTIAL | {"secret": {"name": "other"}}, "`secret.name` must not"),
    ],
    ids=["type", "application", "tenantRef", "secret"],
)
def test_immutable_fields_of_a_registration_stay(admission, before, after, field):
    name = f"immutable-{field.split('`')[1].replace('.', '-').lower()}"
    assert admission.apply(manifest(before, name=name)).accepted
    answer = admission.apply(manifest(after, name=name))
    assert field in answer.said


def test_naming_the_default_secret_explicitly_is_no_change(admission):
    assert admission.apply(manifest(CONFIDENTIAL, name="explicit")).accepted
    named = CONFIDENTIAL | {"secret": {"name": "explicit"}}
    assert admission.apply(manifest(named, name="explicit")).accepted


def test_defaults_are_filled_in_by_the_server(admission):
    created = admission.attempt(manifest(CONFIDENTIAL | {"credential": {"clientSecret": {}}})).body
    assert created["spec"]["tenantRef"] == {"name": "default"}
    assert created["spec"]["credential"] == {
        "clientSecret": {"duration": "4320h"}, "unmanaged": "Report",
    }  # fmt: skip
    assert created["spec"]["deletionPolicy"] == "Delete"
    assert created["status"] == {"observedGeneration": -1}
    created = admission.attempt(manifest(RESOURCE)).body
    assert created["spec"]["resource"]["appRoles"] == {
        "presets": ["FhirServer"],
        "unmanaged": "Report",
    }
    assert created["spec"]["resource"]["scopes"] == {
        "presets": ["UserImpersonation"], "unmanaged": "Report",
    }  # fmt: skip
    assert created["spec"]["resource"]["tokenVersion"] == 1


def test_the_policy_against_copies_in_the_docs_is_valid(cluster):
    text = (Path(__file__).parents[2] / "docs" / "credentials.md").read_text()
    (policy,) = re.findall(r"```yaml\n(apiVersion: admissionregistration.*?)```", text, re.DOTALL)
    cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=policy)
