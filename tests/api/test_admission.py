"""What the real API server says to manifests: bad ones are refused with a field and a remedy."""

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.control_plane

NAMESPACE = "admission"
RESOURCE = {"type": "Resource", "resource": {"url": "https://fhir.clinic.example"}}
CONFIDENTIAL = {
    "type": "Confidential",
    "fhirServerRef": {"name": "fhir-server"},
    "redirectUris": {"web": ["https://portal.clinic.example/callback"]},
}
PUBLIC = {
    "type": "Public",
    "fhirServerRef": {"name": "fhir-server"},
    "redirectUris": {"spa": ["https://spa.clinic.example/"]},
}
SERVICE = {
    "type": "Service",
    "fhirServerRef": {"name": "fhir-server"},
    "appRoles": ["globalReader"],
}
NO_ROLES = {key: value for key, value in SERVICE.items() if key != "appRoles"}
NO_SERVER = {key: value for key, value in SERVICE.items() if key != "fhirServerRef"}
ADDRESS = {
    "url": "https://fhir.hospital.example/r4",
    "appId": "99999999-9999-4999-8999-999999999999",
}
PLACE = (
    "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/clinic/providers/"
    "Microsoft.HealthcareApis"
)
MANAGED = {
    "type": "Resource",
    "resource": {
        "url": "https://clinic-fhir.fhir.azurehealthcareapis.com",
        "product": "AzureHealthDataServices",
    },
}


def managed(**resource):
    return MANAGED | {"resource": MANAGED["resource"] | resource}


TENANT = {
    "tenantId": "11111111-1111-1111-1111-111111111111",
    "clientId": "22222222-2222-2222-2222-222222222222",
}


def manifest(spec, name="probe", kind="FhirAppRegistration"):
    metadata = {"name": name} | ({} if kind == "EntraTenant" else {"namespace": NAMESPACE})
    document = {
        "apiVersion": "fhirapps.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }
    return json.dumps(document)


@pytest.fixture(scope="session")
def cluster(control_plane):
    control_plane.kubectl("apply", "--server-side", "-k", str(Path(__file__).parents[2] / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    return control_plane


def attempt(cluster, document):
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=document, check=False)


def federated(**fields):
    wanted = {"serviceAccounts": [{"name": "ingest"}]} | fields
    return SERVICE | {"credential": {"federated": wanted}}


def allowing(**clients):
    return RESOURCE | {"resource": RESOURCE["resource"] | {"allowedClients": clients}}


OTHER_API = "aaaaaaaa-1111-1111-1111-111111111111"


def additional(**entry):
    return {"additionalPermissions": [entry]}


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
def test_good_registrations_are_accepted(cluster, spec):
    answer = attempt(cluster, manifest(spec))
    assert answer.returncode == 0, answer.stderr


def role(value):
    return {"value": value, "displayName": value, "description": "A role"}


def scope(value):
    return {"value": value, "adminConsentDisplayName": "x", "adminConsentDescription": "y"}


def resource(**fields):
    return RESOURCE | {"resource": RESOURCE["resource"] | fields}


def web(uri):
    return CONFIDENTIAL | {"redirectUris": {"web": [uri]}}


def note(key, value="x"):
    return RESOURCE | {"secret": {"template": {"annotations": {key: value}}}}


def label(key, value="Enabled"):
    return RESOURCE | {"secret": {"template": {"labels": {key: value}}}}


def keys(*entries):
    return CONFIDENTIAL | {"secret": {"keys": list(entries)}}


def secret(**fields):
    return CONFIDENTIAL | {"credential": {"clientSecret": fields}}


def certificate(**fields):
    return SERVICE | {"credential": {"certificate": {"issue": fields}}}


PINNED = "24c50db1-1e11-4273-b6a0-b697f734bcb4"
TWIN = scope("y") | {"adminConsentDisplayName": "y", "adminConsentDescription": "y"}
NO_REDIRECTS = {key: value for key, value in CONFIDENTIAL.items() if key != "redirectUris"}
SPA = {"spa": ["https://spa.clinic.example/"]}
NATIVE = {"publicClient": ["myapp://auth"]}
WEB = {"web": ["https://portal.clinic.example/callback"]}

REFUSED = {
    # every empty cell of the table of fields by type
    "resource on Confidential": (CONFIDENTIAL | {"resource": RESOURCE["resource"]},
                                 "spec.resource", "only be set for type Resource"),
    "resource on Public": (PUBLIC | {"resource": RESOURCE["resource"]},
                           "spec.resource", "only be set for type Resource"),
    "resource on Service": (SERVICE | {"resource": RESOURCE["resource"]},
                            "spec.resource", "only be set for type Resource"),
    "no resource on Resource": ({"type": "Resource"}, "spec.resource", "must be set"),
    "fhirServerRef on Resource": (RESOURCE | {"fhirServerRef": {"name": "x"}},
                                  "spec.fhirServerRef", "only be set for type"),
    "no fhirServerRef on Service": (NO_SERVER, "spec.fhirServerRef", "must be set for type"),
    "fhirServer beside fhirServerRef": (
        SERVICE | {"fhirServer": ADDRESS}, "spec.fhirServer", "has one FHIR server"),
    "fhirServer on Resource": (
        RESOURCE | {"fhirServer": ADDRESS}, "spec.fhirServer", "only be set for type"),
    "Microsoft Graph as FHIR server": (
        NO_SERVER | {"fhirServer": ADDRESS | {"appId": "00000003-0000-0000-c000-000000000000"}},
        "spec.fhirServer.appId", "Microsoft Graph is none"),
    "an audience with a blank": (
        NO_SERVER | {"fhirServer": ADDRESS | {"audience": "api://a b"}},
        "spec.fhirServer.audience", "should match"),
    "an audience with a template": (
        NO_SERVER | {"fhirServer": ADDRESS | {"audience": "api://{appId}"}},
        "spec.fhirServer.audience", "should match"),
    "an audience that is no URI": (
        NO_SERVER | {"fhirServer": ADDRESS | {"audience": "fhir"}},
        "spec.fhirServer.audience", "should match"),
    "fhirServer without appId": (
        NO_SERVER | {"fhirServer": {"url": ADDRESS["url"]}}, "spec.fhirServer.appId", "Required"),
    "Microsoft's application for OpenSource": (
        RESOURCE | {"resource": RESOURCE["resource"] | {"application": "FirstParty"}},
        "spec.resource.application", "must be Own for product OpenSource"),
    "an Azure resource for OpenSource": (
        RESOURCE | {"resource": RESOURCE["resource"] | {
            "azureResourceId": f"{PLACE}/services/clinic"}},
        "spec.resource.azureResourceId", "managed services"),
    "something else in Azure": (
        managed(azureResourceId=PLACE.replace("Healthcare", "Storage")),
        "spec.resource.azureResourceId", "should match"),
    "azureRole on Resource": (
        RESOURCE | {"azureRole": "FHIR Data Reader"}, "spec.azureRole", "role of a client"),
    "an Azure role that is none": (NO_ROLES | {"azureRole": "Owner"}, "spec.azureRole",
                                   "Unsupported value"),
    "identifierUri with Microsoft's application": (
        managed(identifierUri="https://fhir.clinic.example"),
        "spec.resource.application", "must be left out"),
    "tokenVersion with Microsoft's application": (
        managed(tokenVersion=2),
        "spec.resource.application", "must be left out"),
    "assignmentRequired with Microsoft's application": (
        managed(assignmentRequired=True),
        "spec.resource.application", "must be left out"),
    "appRoles with Microsoft's application": (
        managed(appRoles={"presets": ["SmartBackend"]}),
        "spec.resource.application", "must be left out"),
    "scopes with Microsoft's application": (
        managed(scopes={"presets": []}),
        "spec.resource.application", "must be left out"),
    "preAuthorizedClients with Microsoft's application": (
        managed(preAuthorizedClients={"clients": [{"registrationRef": {"name": "portal"}}]}),
        "spec.resource.application", "must be left out"),
    "assignments with Microsoft's application": (
        managed(assignments=[{"principalId": ADDRESS["appId"], "appRoles": ["globalReader"]}]),
        "spec.resource.application", "must be left out"),
    "frontDoor with Microsoft's application": (
        managed(frontDoor={"redirectUris": ["https://proxy.clinic.example/callback"]}),
        "spec.resource.application", "must be left out"),
    "smart with Microsoft's application": (
        managed(smart={"scopeEncoding": "Dollar"}),
        "spec.resource.application", "must be left out"),
    "a server's namespace that is none": (
        SERVICE | {"fhirServerRef": {"name": "fhir-server", "namespace": "a.b"}},
        "spec.fhirServerRef.namespace", "should match"),
    "allowedClients that allow nobody": (
        allowing(namespaces=[]), "spec.resource.allowedClients", "leave it out"),
    "allowedClients with an empty selector": (
        allowing(selector={}), "allowedClients.selector", "must not be empty"),
    "allowedClients with a wildcard": (
        allowing(namespaces=["*"]), "allowedClients.namespaces[0]", "should match"),
    "scopes on Resource": (RESOURCE | {"scopes": ["a"]}, "spec.scopes", "only be set for type"),
    "scopes on Service": (SERVICE | {"scopes": ["a"]}, "spec.scopes", "only be set for type"),
    "appRoles on Resource": (RESOURCE | {"appRoles": ["a"]}, "spec.appRoles", "only be set"),
    "appRoles on Confidential": (CONFIDENTIAL | {"appRoles": ["a"]}, "spec.appRoles", "only be"),
    "appRoles on Public": (PUBLIC | {"appRoles": ["a"]}, "spec.appRoles", "only be set"),
    "no appRoles on Service": (NO_ROLES, "spec.appRoles", "must be set for type Service"),
    "redirectUris on Resource": (RESOURCE | {"redirectUris": WEB}, "spec.redirectUris", "only be"),
    "redirectUris on Service": (SERVICE | {"redirectUris": SPA}, "spec.redirectUris", "only be"),
    "web on Public": (PUBLIC | {"redirectUris": WEB | SPA}, "spec.redirectUris.web", "use `spa`"),
    "spa on Confidential": (CONFIDENTIAL | {"redirectUris": WEB | SPA},
                            "spec.redirectUris.spa", "use `web`"),
    "publicClient on Confidential": (CONFIDENTIAL | {"redirectUris": WEB | NATIVE},
                                     "spec.redirectUris.publicClient", "use `web`"),
    "consent on Service": (SERVICE | {"consent": "Admin"}, "spec.consent", "only be set for type"),
    "consent on Resource": (RESOURCE | {"consent": "None"}, "spec.consent", "only be set for type"),
    "consent by somebody else": (PUBLIC | {"consent": "Owner"}, "spec.consent", "supported values"),
    "other APIs on Resource": (
        RESOURCE | additional(appId=OTHER_API, scopes=["a"]),
        "spec.additionalPermissions", "only be set for type"),
    "scopes of other APIs on Service": (
        SERVICE | additional(appId=OTHER_API, scopes=["a"]),
        "spec.additionalPermissions", "must not be set for type Service"),
    "app roles of other APIs on Public": (
        PUBLIC | additional(appId=OTHER_API, appRoles=["a"]),
        "spec.additionalPermissions", "must not be set for type Public"),
    "another API without a name": (
        PUBLIC | additional(scopes=["a"]), "spec.additionalPermissions[0]", "exactly one of"),
    "another API with two names": (
        PUBLIC | additional(appId=OTHER_API, wellKnown="MicrosoftGraph", scopes=["a"]),
        "spec.additionalPermissions[0]", "exactly one of"),
    "another API and nothing of it": (
        PUBLIC | additional(appId=OTHER_API), "spec.additionalPermissions[0]", "must be set"),
    "a permission with a blank": (
        PUBLIC | additional(appId=OTHER_API, scopes=["a b"]),
        "spec.additionalPermissions[0].scopes[0]", "should match"),
    "credential on Resource": (RESOURCE | {"credential": {}}, "spec.credential", "never have"),
    "a front door without a way in": (resource(frontDoor={"redirectUris": []}),
                                      "frontDoor.redirectUris", "at least 1"),
    "a front door on http": (resource(frontDoor={"redirectUris": ["http://proxy.example/cb"]}),
                             "frontDoor.redirectUris[0]", "https"),
    "credential on Public": (PUBLIC | {"credential": {}}, "spec.credential", "never have"),
    "certificate on Public": (PUBLIC | {"credential": {"certificate": {"issue": {}}}},
                              "spec.credential", "never have"),
    "no kind of credential": (SERVICE | {"credential": {}}, "spec.credential", "exactly one of"),
    "two kinds of credential": (
        SERVICE | {"credential": {"clientSecret": {}, "certificate": {"issue": {}}}},
        "spec.credential", "exactly one of"),
    "federated without ServiceAccounts": (federated(serviceAccounts=[]),
                                          "federated.serviceAccounts", "at least 1"),
    "a ServiceAccount twice": (federated(serviceAccounts=[{"name": "a"}, {"name": "a"}]),
                               "federated.serviceAccounts[1]", "Duplicate"),
    "21 ServiceAccounts": (federated(serviceAccounts=[{"name": f"a{n}"} for n in range(21)]),
                           "federated.serviceAccounts", "at most 20"),
    "issuer with a blank": (federated(issuer="https://oidc.example/ "),
                            "federated.issuer", "^https"),
    "issuer without TLS": (federated(issuer="http://oidc.example/"), "federated.issuer", "^https"),
    "federated on Public": (PUBLIC | {"credential": federated()["credential"]},
                            "spec.credential", "never have"),
    "certificate from nowhere": (SERVICE | {"credential": {"certificate": {}}},
                                 "spec.credential.certificate", "exactly one of"),
    "certificate from both": (
        SERVICE | {"credential": {"certificate": {"issue": {}, "secretRef": {"name": "tls"}}}},
        "spec.credential.certificate", "exactly one of"),
    "certificate of two years": (certificate(duration="17520h"), "certificate.issue.duration",
                                 "one year"),
    "certificate with a short key": (certificate(keySize=1024), "certificate.issue.keySize",
                                     "2048"),
    "overlap of a certificate": (certificate(duration="3h", overlap="2h"),
                                 "certificate.issue.overlap", "must not exceed"),
    "Confidential without redirects": (NO_REDIRECTS, "spec.redirectUris", "must be set"),
    "Public without redirects": (PUBLIC | {"redirectUris": {}}, "spec.redirectUris",
                                 "at least one"),
    # redirect URIs
    "http that is not loopback": (web("http://portal.clinic.example/cb"), "web[0]", "https://"),
    "http that looks like loopback": (web("http://localhost.evil.example/"), "web[0]", "https"),
    "wildcard": (web("https://*.clinic.example/cb"), "web[0]", "wildcard"),
    "fragment": (web("https://portal.clinic.example/#cb"), "web[0]", "fragment"),
    "credentials": (web("https://me:pw@portal.clinic.example/"), "web[0]", "credentials"),
    "comma": (web("https://portal.clinic.example/a,b"), "web[0]", "must not contain blanks"),
    "blank": (web("https://portal.clinic.example/a b"), "web[0]", "must not contain blanks"),
    "backslash": (web("https://portal.clinic.example\\evil"), "web[0]", "must not contain blanks"),
    "custom scheme on web": (web("myapp://auth"), "web[0]", "publicClient"),
    "custom scheme on spa": (PUBLIC | {"redirectUris": {"spa": ["myapp://auth"]}}, "spa[0]",
                             "publicClient"),
    "script scheme": (PUBLIC | {"redirectUris": {"publicClient": ["javascript:alert"]}},
                      "publicClient[0]", "must start with"),
    "one URI on two platforms": (
        PUBLIC | {"redirectUris": {"spa": ["https://a.example/"],
                                   "publicClient": ["https://a.example/"]}},
        "publicClient", "at once"),
    # identifier URIs
    "upper case URL": (resource(url="https://FHIR.clinic.example"), "resource.url", "lower case"),
    "trailing slash in the URL": (resource(url="https://fhir.clinic.example/"), "resource.url",
                                  "slash"),
    "wildcard in the URL": (resource(url="https://*.clinic.example"), "resource.url", "wildcard"),
    "http URL as identifier": (resource(url="http://fhir.clinic.example"), "resource.url",
                               "https:// or api://"),
    "upper case identifier": (resource(identifierUri="api://Clinic/{appId}"),
                              "resource.identifierUri", "lower case"),
    "trailing slash in the identifier": (resource(identifierUri="api://{appId}/"),
                                         "resource.identifierUri", "slash"),
    "wildcard in the identifier": (resource(identifierUri="api://*"), "resource.identifierUri",
                                   "wildcard"),
    "template in an https identifier": (resource(identifierUri="https://{appId}.clinic.example"),
                                        "resource.identifierUri", "api://"),
    # lifetimes
    "renewBefore as long as duration": (secret(duration="48h", renewBefore="48h", overlap="1h"),
                                        "renewBefore", "shorter than `duration`"),
    "overlap longer than renewBefore": (secret(duration="48h", renewBefore="2h", overlap="3h"),
                                        "overlap", "must not exceed `renewBefore`"),
    "overlap longer than a third": (secret(duration="30h", overlap="11h"), "overlap", "a third"),
    "duration below an hour": (secret(duration="59m"), "duration", "between 1h"),
    "unmanaged that is none": (
        CONFIDENTIAL | {"credential": {"clientSecret": {}, "unmanaged": "Keep"}},
        "unmanaged", "Report"),
    # labels and annotations for the Secret
    "any annotation": (note("team"), "secret.template.annotations", "reloader.stakater.com/*"),
    "our own annotation": (note("fhirapps.dev/key-id"), "secret.template", "must not hold others"),
    "an annotation that only looks allowed": (
        note("xreloader.stakater.com/match"), "secret.template", "must not hold others"),
    "an annotation that fills the Secret from elsewhere": (
        note("reflector.v1.k8s.emberstack.com/reflects", "other/secret"),
        "secret.template.annotations", "reflection-*"),
    "the same for replicator": (
        note("replicator.v1.mittwald.de/replicate-from", "other/secret"),
        "secret.template.annotations", "replicate-to"),
    "any label": (label("team"), "secret.template.labels", "reconcile.fluxcd.io/watch"),
    "our own label": (label("fhirapps.dev/registration"), "secret.template.labels", "others"),
    "a label value that is none": (label("reconcile.fluxcd.io/watch", "a b"), "watch", "match"),
    "an endless annotation": (
        note("reloader.stakater.com/match", "x" * 1025), "secret.template", "1024"),
    # the Secret's keys
    "unknown preset": (RESOURCE | {"secret": {"presets": ["Dapr"]}}, "secret.presets", "supported"),
    "a Secret preset twice": (
        RESOURCE | {"secret": {"presets": ["Spring", "Spring"]}}, "secret.presets", "Duplicate"),
    "the server's preset on a client": (
        SERVICE | {"secret": {"presets": ["FhirServer"]}}, "secret.presets", "type Resource"),
    "two values under one name": (
        keys({"from": "A", "to": "X"}, {"from": "B", "to": "X"}), "secret.keys", "one name"),
    "a key renamed and left out": (
        keys({"from": "A", "to": "X"}, {"from": "A"}), "secret.keys", "must not leave out"),
    "a key that is none": (keys({"from": "A", "to": "a:b"}), "secret.keys[0].to", "should match"),
    "a key that leads elsewhere": (keys({"from": "A", "to": "..x"}), "keys[0].to", "should match"),
    "a name for nothing": (keys({"to": "X"}), "secret.keys[0].from", "Required"),
    "duration that is none": (secret(duration="soon"), "duration", "such as 4320h"),
    "duration in days": (secret(duration="180d"), "duration", "no unit for days"),
    "overlap in days": (secret(overlap="1d"), "clientSecret.overlap", "no unit for days"),
    # enums, duplicates, bounds
    "unknown type": (RESOURCE | {"type": "Robot"}, "spec.type", "supported values"),
    "unknown policy": (RESOURCE | {"deletionPolicy": "Shred"}, "spec.deletionPolicy",
                                  "supported values"),
    "product of a later version": (resource(product="SomethingElse"),
                                   "spec.resource.product", "supported values"),
    "token version 3": (resource(tokenVersion=3), "tokenVersion", "supported values"),
    "field of a later version": (CONFIDENTIAL | {"groupMembershipClaims": "All"},
                                 "spec.groupMembershipClaims", "unknown field"),
    "two roles with one value": (resource(appRoles={"custom": [role("a"), role("a")]}),
                                 "appRoles.custom", "value of its own"),
    "a role of the preset": (resource(appRoles={"custom": [role("globalAdmin")]}),
                             "appRoles.custom", "must not repeat"),
    "two scopes with one value": (resource(scopes={"custom": [scope("a"), scope("a")]}),
                                  "scopes.custom", "value of its own"),
    "the scope of the preset": (resource(scopes={"custom": [scope("user_impersonation")]}),
                                "scopes.custom", "must not repeat"),
    "a role and a scope with one value": (
        resource(appRoles={"custom": [role("a")]}, scopes={"custom": [scope("a")]}),
        "scopes", "one permission in Entra"),
    "a role and a scope with one value and one text, but an id": (
        resource(appRoles={"custom": [role("y") | {"description": "y", "id": PINNED}]},
                 scopes={"custom": [TWIN]}),
        "scopes", "their ids must be the same"),
    "a custom scope with a role of fhir-proxy": (
        resource(appRoles={"presets": ["FhirProxy"]}, scopes={"custom": [scope("Reader")]}),
        "scopes", "preset 'FhirProxy'"),
    "a preset that is none": (resource(scopes={"presets": ["Smart"]}), "scopes.presets",
                              "supported values"),
    "a preset twice": (resource(scopes={"presets": ["SmartV1", "SmartV1"]}), "scopes.presets[1]",
                       "Duplicate"),
    "an id that is none": (resource(appRoles={"custom": [role("a") | {"id": "x"}]}),
                           "appRoles.custom[0].id", "should match"),
    # SMART
    "letters out of order": (PUBLIC | {"scopes": ["patient/*.dus"]}, "scopes[0]", "in this order"),
    "a FHIR type that is none": (PUBLIC | {"scopes": ["fhirUser", "user/Foo.rs"]},
                                 "scopes[1]", "resource type of FHIR"),
    "a query of version 1": (PUBLIC | {"scopes": ["user/Goal.read?code=a"]}, "scopes[0]",
                             "without a query"),
    "a scope of 121 characters": (PUBLIC | {"scopes": ["x" * 121]}, "scopes[0]", "120"),
    "a scope that Entra's spelling makes too long": (
        PUBLIC | {"scopes": ["user/Goal.rs?code=http://loinc.org/" + "x" * 83]}, "scopes[0]",
        "at most 120 characters long in Entra"),
    "a scope twice": (PUBLIC | {"scopes": ["user/*.rs", "user/*.rs"]}, "scopes[1]", "Duplicate"),
    "an access with a letter twice": (PUBLIC | {"scopes": ["user/*.rr"]}, "scopes[0]",
                                      "each once"),
    "no access": (PUBLIC | {"scopes": ["user/Goal."]}, "scopes[0]", "must be read, write"),
    "a scope of SmartV2": (
        resource(scopes={"presets": ["SmartV2"], "custom": [scope("user/Goal.rs")]}),
        "resource.scopes", "preset 'SmartV2'"),
    "an app role of SmartBackend": (
        resource(appRoles={"presets": ["SmartBackend"], "custom": [role("system/Goal.rs")]}),
        "resource.appRoles", "preset 'SmartBackend'"),
    "a chained query": (PUBLIC | {"scopes": ["user/Goal.rs?patient.name=a"]}, "scopes[0]",
                        "without chains"),
    "Entra's form": (PUBLIC | {"scopes": ["patient.all.read"]}, "scopes[0]", "SMART's own form"),
    "a scope that is nothing": (PUBLIC | {"scopes": ["a b"]}, "scopes[0]", "a plain name"),
    "a system scope of a user": (PUBLIC | {"scopes": ["system/*.rs"]}, "scopes[0]",
                                 "app role of a Service"),
    "a patient scope of a service": (SERVICE | {"appRoles": ["patient/*.rs"]}, "appRoles[0]",
                                     "a user's client"),
    "two contexts": (PUBLIC | {"scopes": ["patient/*.rs", "user/*.rs"]}, "spec.scopes",
                     "must not mix the SMART contexts"),
    "two versions": (PUBLIC | {"scopes": ["user/*.read", "user/Goal.rs"]}, "spec.scopes",
                     "must not mix the SMART versions"),
    "two versions of a service": (SERVICE | {"appRoles": ["system/*.*", "system/*.rs"]},
                                  "spec.appRoles", "must not mix the SMART versions"),
    "a type of the presets that is none": (resource(smart={"resourceTypes": ["Foo"]}),
                                           "smart.resourceTypes[0]", "resource type of FHIR"),
    "a pre-authorized client that is none": (
        resource(preAuthorizedClients={"clients": [{"scopes": ["a"]}]}),
        "clients[0].registrationRef", "exactly one of"),
    "a pre-authorized client that is two": (
        resource(preAuthorizedClients={"clients": [
            {"registrationRef": {"name": "a"}, "appId": PINNED, "scopes": ["a"]}]}),
        "clients[0].registrationRef", "exactly one of"),
    "a pre-authorized client id without scopes": (
        resource(preAuthorizedClients={"clients": [{"appId": PINNED}]}),
        "clients[0].scopes", "must be set beside"),
    "a pre-authorized client twice": (
        resource(preAuthorizedClients={"clients": [{"registrationRef": {"name": "a"}}] * 2}),
        "preAuthorizedClients.clients", "named once"),
    "a pre-authorized client with two contexts": (
        resource(preAuthorizedClients={"clients": [
            {"registrationRef": {"name": "a"}, "scopes": ["patient/*.rs", "user/*.rs"]}]}),
        "clients[0].scopes", "must not mix"),
    "an encoding that is none": (resource(smart={"scopeEncoding": "Slash"}),
                                 "smart.scopeEncoding", "supported values"),
    "nothing exposed": (resource(appRoles={"presets": []}, scopes={"presets": []}),
                        "resource.scopes", "at least one"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_registrations_are_refused_with_field_and_remedy(cluster, case):
    spec, field, remedy = REFUSED[case]
    answer = attempt(cluster, manifest(spec))
    assert answer.returncode != 0, "it was accepted"
    assert field in answer.stderr
    assert remedy in answer.stderr


def test_a_name_that_is_no_secret_label_is_refused(cluster):
    answer = attempt(cluster, manifest(RESOURCE, name="x" * 64))
    assert "63 characters" in answer.stderr


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
def test_immutable_fields_of_a_registration_stay(cluster, before, after, field):
    name = f"immutable-{field.split('`')[1].replace('.', '-').lower()}"
    cluster.kubectl("apply", "-f", "-", stdin=manifest(before, name=name))
    answer = cluster.kubectl("apply", "-f", "-", stdin=manifest(after, name=name), check=False)
    assert field in answer.stderr


def test_naming_the_default_secret_explicitly_is_no_change(cluster):
    cluster.kubectl("apply", "-f", "-", stdin=manifest(CONFIDENTIAL, name="explicit"))
    cluster.kubectl(
        "apply", "-f", "-",
        stdin=manifest(CONFIDENTIAL | {"secret": {"name": "explicit"}}, name="explicit"),
    )  # fmt: skip


CUSTOM = TENANT | {
    "cloud": "Custom",
    "endpoints": {"authorityHost": "https://localhost:1", "graphUrl": "https://localhost:1"},
}
GRAPH = "00000003-0000-0000-c000-000000000000"


def grants(*allowed):
    opt_ins = {"appRoleAssignments": "Enabled", "delegatedConsent": "Enabled"}
    return TENANT | {"grants": opt_ins | {"allowed": list(allowed)}}


def test_grants_by_name_and_by_star_are_accepted(cluster):
    spec = grants(
        {"appRoles": ["global*"], "scopes": ["*"]},
        {"wellKnown": "MicrosoftGraph", "appRoles": ["User.Read.All"]},
    )
    answer = attempt(cluster, manifest(spec, kind="EntraTenant"))
    assert answer.returncode == 0, answer.stderr


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
def test_bad_tenants_are_refused(cluster, case):
    spec, remedy = BAD_TENANTS[case]
    answer = attempt(cluster, manifest(spec, kind="EntraTenant"))
    assert answer.returncode != 0, "it was accepted"
    assert remedy in answer.stderr


def test_immutable_fields_of_a_tenant_stay(cluster):
    cluster.kubectl("apply", "-f", "-", stdin=manifest(TENANT, "immutable", "EntraTenant"))
    for change in ({"tenantId": "99999999-1111-1111-1111-111111111111"}, {"cloud": "China"}):
        answer = cluster.kubectl(
            "apply", "-f", "-", stdin=manifest(TENANT | change, "immutable", "EntraTenant"),
            check=False,
        )  # fmt: skip
        assert f"`{next(iter(change))}` must not change" in answer.stderr


def dry_run(cluster, spec):
    arguments = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    return json.loads(cluster.kubectl(*arguments, stdin=manifest(spec)).stdout)


def test_defaults_are_filled_in_by_the_server(cluster):
    created = dry_run(cluster, CONFIDENTIAL | {"credential": {"clientSecret": {}}})
    assert created["spec"]["tenantRef"] == {"name": "default"}
    assert created["spec"]["credential"] == {
        "clientSecret": {"duration": "4320h"}, "unmanaged": "Report",
    }  # fmt: skip
    assert created["spec"]["deletionPolicy"] == "Delete"
    assert created["status"] == {"observedGeneration": -1}
    created = dry_run(cluster, RESOURCE)
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
    answer = attempt(cluster, policy)
    assert answer.returncode == 0, answer.stderr
