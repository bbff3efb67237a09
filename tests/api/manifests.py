"""Manifests to try on the real API server, as small as they can be, and what varies in them."""

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
    return {
        "apiVersion": "fhirapps.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def federated(**fields):
    wanted = {"serviceAccounts": [{"name": "ingest"}]} | fields
    return SERVICE | {"credential": {"federated": wanted}}


def allowing(**clients):
    return RESOURCE | {"resource": RESOURCE["resource"] | {"allowedClients": clients}}


OTHER_API = "aaaaaaaa-1111-1111-1111-111111111111"


def additional(**entry):
    return {"additionalPermissions": [entry]}


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
