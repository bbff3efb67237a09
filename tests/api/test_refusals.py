"""What the real API server says to bad registrations: the field at fault, and a remedy."""

import pytest

from tests.api.manifests import (
    ADDRESS,
    CONFIDENTIAL,
    NATIVE,
    NO_REDIRECTS,
    NO_ROLES,
    NO_SERVER,
    OTHER_API,
    PINNED,
    PLACE,
    PUBLIC,
    RESOURCE,
    SERVICE,
    SPA,
    TWIN,
    WEB,
    additional,
    allowing,
    certificate,
    federated,
    keys,
    label,
    managed,
    manifest,
    note,
    resource,
    role,
    scope,
    secret,
    web,
)

pytestmark = pytest.mark.control_plane


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
def test_bad_registrations_are_refused_with_field_and_remedy(admission, case):
    spec, field, remedy = REFUSED[case]
    answer = admission.attempt(manifest(spec))
    assert not answer.accepted
    assert field in answer.said
    assert remedy in answer.said


def test_a_name_that_is_no_secret_label_is_refused(admission):
    answer = admission.attempt(manifest(RESOURCE, name="x" * 64))
    assert "63 characters" in answer.said
