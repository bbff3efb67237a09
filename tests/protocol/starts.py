"""Where runs start: what is declared, and the worlds that came of it."""

import functools
from datetime import timedelta

from fhir_app_operator.api import names
from tests.protocol.playing import DAY, HOUR, prepared
from tests.protocol.world import BYSTANDER_TAG

SPECS = {
    "resource": {"type": "Resource", "resource": {"url": "https://fhir.clinic.example"}},
    "confidential": {
        "type": "Confidential",
        "fhirServerRef": {"name": "server"},
        "redirectUris": {"web": ["https://portal.clinic.example/callback"]},
        "credential": {"clientSecret": {"duration": "240h", "overlap": "24h"}},
    },
    "public": {
        "type": "Public",
        "fhirServerRef": {"name": "server"},
        "redirectUris": {"publicClient": ["http://localhost/callback"]},
    },
    "service": {
        "type": "Service",
        "fhirServerRef": {"name": "server"},
        "appRoles": ["globalReader"],
        "credential": {"clientSecret": {"duration": "240h", "overlap": "24h"}},
    },
}
CERTIFICATE = {
    "clientSecret": None,
    "certificate": {"issue": {"duration": "240h", "overlap": "24h"}},
}


def exposing(*values):
    """What a server declares that has a role, a scope, and both in one, of each of `values`."""
    roles = [{"value": f"{value}{kind}", "displayName": f"{value}{kind}", "description": value}
             for value in values for kind in ("Role", "Twin")]  # fmt: skip
    scopes = [{"value": f"{value}{kind}", "adminConsentDisplayName": f"{value}{kind}",
               "adminConsentDescription": value}
              for value in values for kind in ("Scope", "Twin")]  # fmt: skip
    presets = {"appRoles": {"presets": ["FhirServer"], "custom": roles},
               "scopes": {"presets": [], "custom": scopes}}  # fmt: skip
    return SPECS["resource"]["resource"] | presets


@functools.cache
def with_tenant():
    """A tenant that is ready, in an allowed namespace."""
    path = "/apis/fhirapps.dev/v1alpha1/entratenants/default"
    ready = '"True"'
    return prepared(
        None, lambda _world: None,
        lambda world: "conditions" in world.kube.objects[path]["status"] and ready,
    )  # fmt: skip


@functools.cache
def with_server():
    """And a FHIR server."""
    return prepared(
        with_tenant, lambda world: world.register("server", **SPECS["resource"]),
        lambda world: world.is_ready("server"), rest=HOUR,
    )  # fmt: skip


@functools.cache
def with_wide_server():
    """A FHIR server whose app roles and scopes have been in use for an hour."""
    spec = SPECS["resource"] | {"resource": exposing("kept", "gone")}
    return prepared(
        with_tenant, lambda world: world.register("server", **spec),
        lambda world: world.is_ready("server"), rest=HOUR,
    )  # fmt: skip


@functools.cache
def with_public():
    """And a client of users."""
    return prepared(
        with_server, lambda world: world.register("public", **SPECS["public"]),
        lambda world: world.is_ready("public"), rest=HOUR,
    )  # fmt: skip


@functools.cache
def with_service():
    """And a client that has been in use for two days."""
    return prepared(
        with_server, lambda world: world.register("service", **SPECS["service"]),
        lambda world: world.is_ready("service"), rest=2 * DAY,
    )  # fmt: skip


@functools.cache
def handed_over():
    """The same, after somebody has given the application to another cluster."""
    return prepared(
        with_service, lambda world: world.move_owner_tag("service", BYSTANDER_TAG),
        lambda _world: True, rest=timedelta(minutes=1),
    )  # fmt: skip


@functools.cache
def with_certificate():
    """A client with a certificate."""
    spec = SPECS["service"] | {"credential": {"certificate": CERTIFICATE["certificate"]}}
    return prepared(
        with_server, lambda world: world.register("service", **spec),
        lambda world: world.is_ready("service"), rest=2 * DAY,
    )  # fmt: skip


def shortly_before_renewal(start):
    """The snapshot `start`, moved on; when the renewal comes is found out."""
    first = key_of(start())
    renewed = prepared(
        start, lambda _world: None, lambda world: world.key_id("service") != first, within=10 * DAY
    )
    rest = timedelta(seconds=renewed.now - start().now - 180)
    return prepared(start, lambda _world: None, lambda _world: True, rest=rest)


@functools.cache
def before_renewal():
    """A client whose secret is renewed in three minutes."""
    return shortly_before_renewal(with_service)


@functools.cache
def before_certificate_renewal():
    """A client whose certificate is renewed in three minutes."""
    return shortly_before_renewal(with_certificate)


def key_of(start):
    """The key id in the client's Secret."""
    secret = start.kube.objects["/api/v1/namespaces/clinic/secrets/service"]
    return secret["metadata"]["annotations"][names.KEY_ID_ANNOTATION]


def uid_of(start):
    """The UID of the client."""
    path = f"/apis/{names.API_VERSION}/namespaces/clinic/fhirappregistrations/service"
    return start.kube.objects[path]["metadata"]["uid"]


def _lets_grant(world):
    """Let the operator assign the app roles of the servers here."""
    world.permit("AppRoleAssignment.ReadWrite.All", "Application.Read.All")
    world.edit_tenant(
        grants={"appRoleAssignments": "Enabled", "allowed": [{"appRoles": ["global*"]}]}
    )


@functools.cache
def with_leave_to_grant():
    """A server in a tenant that lets the operator assign app roles."""
    return prepared(with_server, _lets_grant, lambda _world: True, rest=HOUR)


@functools.cache
def with_grant():
    """A client in use whose app role the operator assigned."""
    return prepared(
        with_leave_to_grant, lambda world: world.register("service", **SPECS["service"]),
        holds("globalReader"), rest=DAY,
    )  # fmt: skip


def holds(*values):
    """Whether the client is ready and holds just those roles, all of them accounted for."""

    def goal(world):
        held = world.granted("service")
        account = {
            role
            for each in (world.registration("service").get("status") or {}).get("grants") or ()
            for role in each["appRoles"]
        }
        return world.is_ready("service") and held.values == set(values) and account == held.ids

    return goal


def _lets_consent(world):
    """Let the operator consent to the scopes of the servers here, for all users."""
    world.permit("DelegatedPermissionGrant.ReadWrite.All")
    world.edit_tenant(grants={"delegatedConsent": "Enabled", "allowed": [{"scopes": ["*"]}]})


@functools.cache
def with_leave_to_consent():
    """A server with scopes of its own in a tenant that lets the operator consent to them."""
    return prepared(with_wide_server, _lets_consent, lambda _world: True, rest=HOUR)


def asks_for_scopes(*scopes):
    """Return what registers a client of users for which the operator is to consent."""
    spec = SPECS["confidential"] | {"consent": "Admin", "scopes": list(scopes)}
    return lambda world: world.register("confidential", **spec)


@functools.cache
def with_consent():
    """A client in use to whose scopes the operator consented."""
    return prepared(
        with_leave_to_consent, asks_for_scopes("keptScope", "goneScope"),
        consents_to("keptScope", "goneScope"), rest=DAY,
    )  # fmt: skip


def consents_to(*scopes):
    """Whether the client is ready and has the consent of all users to just those scopes."""

    def goal(world):
        ready = world.is_ready("confidential")
        found = [scope for app in world.live_applications("confidential")
                 for scope in world.cloud.consented(app)]  # fmt: skip
        return ready and sorted(found) == sorted((*scopes, "offline_access", "openid"))

    return goal


def asks_for_config_map(name):
    return lambda world: world.edit("service", secret={"configMap": name and {"name": name}})


def has_config_maps(*wanted):
    """Whether the ConfigMaps are those, with what the Secret says but for its credential."""

    def goal(world):
        if not (world.is_ready("service") and world.is_settled("service")):
            return False
        data = dict(world.secret_data("service"))
        data.pop("AZURE_CLIENT_SECRET")
        return world.config_maps() == dict.fromkeys(wanted, data)

    return goal


@functools.cache
def with_config_map():
    """A client in use that has a ConfigMap."""
    return prepared(with_service, asks_for_config_map("facts"), has_config_maps("facts"), rest=HOUR)
