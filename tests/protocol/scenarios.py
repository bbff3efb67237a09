"""Stories: where a run starts, what people do, what must have come of it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from fhir_app_operator.api import names
from tests.protocol.operators import RESYNC
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


@dataclass(frozen=True)
class Scenario:
    """One story.

    Args:
        name: what it is called in tests and tables.
        start: returns the snapshot to start from.
        act: what people do, at the start.
        then: what they do once something holds: (condition, act).
        goal: whether the world is as it must become.
        issues: how many credentials are issued without faults.
        within: how long it may take, once nothing goes wrong any more.
        crowded: how much longer, if two tries failed: then as many secrets exist as there may be.
        heals: how long it may take after the late landing of what a dead process sent.
    """

    name: str
    start: Callable
    act: Callable = lambda _world: None
    then: tuple = ()
    goal: Callable = lambda _world: True
    issues: int = 0
    within: timedelta = HOUR
    crowded: timedelta = timedelta(0)
    heals: timedelta = HOUR
    lag: timedelta = timedelta(seconds=10)
    """How far reads and sign-ins are behind the directory's writes."""


# ---- where runs start


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
        _holds("globalReader"), rest=DAY,
    )  # fmt: skip


def _holds(*values):
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


# ---- the stories


def _create(kind):
    name = "server" if kind == "resource" else kind
    return Scenario(
        name=f"create {kind}",
        start=with_tenant if kind == "resource" else with_server,
        act=lambda world: world.register(name, **SPECS[kind]),
        goal=lambda world: world.is_ready(name),
        issues=1 if kind in ("confidential", "service") else 0,
    )


def is_replaced(start):
    """Whether the client is ready with another credential than it had."""

    def goal(world):
        new = world.key_id("service")
        ready = world.is_ready("service") and world.is_settled("service")
        return ready and new not in (None, key_of(start()))

    return goal


def _rotate(world):
    world.annotate("service", **{names.ROTATE_REQUESTED_ANNOTATION: world.time()})


def _revoke(world):
    """Rotate, and let what was there before go at once: it has leaked."""
    world.oracle.revocable.add(world.key_id("service"))
    wanted = {
        names.ROTATE_REQUESTED_ANNOTATION: world.time(),
        names.REVOKE_PREVIOUS_REQUESTED_ANNOTATION: world.time(),
    }
    world.annotate("service", **wanted)


def _switch_and_revoke(world):
    """In one commit: another type, and the end of what was there before."""
    world.oracle.revocable.add(world.key_id("service"))
    wanted = {"certificate": None} | SPECS["service"]["credential"]
    notes = {names.REVOKE_PREVIOUS_REQUESTED_ANNOTATION: world.time(seconds=-60)}
    body = {"metadata": {"annotations": notes}, "spec": {"credential": wanted}}
    world.patch("service", body)


def _is_revoked(start):
    """Whether the client is ready with another credential, and the one that it had has gone."""

    def goal(world):
        kept = {each["keyId"] for each in world.credentials("service")}
        return is_replaced(start)(world) and key_of(start()) not in kept

    return goal


def _edit_spec(world):
    world.edit("service", displayName="Another name", appRoles=["globalWriter"])


def _has_edits(world):
    names_now = [each.document["displayName"] for each in world.live_applications("service")]
    return world.is_ready("service") and names_now == ["Another name"]


def _narrow(world):
    world.edit("server", resource=exposing("kept"))


def _is_narrow(world):
    """Nothing is left of what went, and what stays was never touched."""
    found = [each.document for each in world.live_applications("server")]
    if not world.is_ready("server") or not world.is_settled("server") or len(found) != 1:
        return False
    entries = (*found[0]["appRoles"], *found[0]["api"]["oauth2PermissionScopes"])
    values = {each["value"] for each in entries if each["value"].startswith(("kept", "gone"))}
    return values == {"keptRole", "keptScope", "keptTwin"} and all(e["isEnabled"] for e in entries)


def _guard(world):
    """Only whom the server was told of gets in, and one client without consent."""
    clients = [{"registrationRef": {"name": "public"}}]
    guarded = {"assignmentRequired": True, "preAuthorizedClients": {"clients": clients}}
    world.edit("server", resource=SPECS["resource"]["resource"] | guarded)


def _is_guarded(world):
    if not world.is_ready("server"):
        return False
    [server] = world.live_applications("server")
    [client] = world.live_applications("public")
    [principal] = world.cloud.principals(server.document["appId"])
    entries = server.document["api"]["preAuthorizedApplications"]
    named = [entry["appId"] for entry in entries if entry["delegatedPermissionIds"]]
    required = principal.document["appRoleAssignmentRequired"]
    return required and named == [client.document["appId"]]


def _is_repaired(world):
    return world.is_ready("service") and world.is_usable(world.registration("service"))


def _is_gone(world):
    return world.registration("service") is None and not world.live_applications("service")


def _with_config_map(name):
    return lambda world: world.edit("service", secret={"configMap": name and {"name": name}})


def _has_config_maps(*wanted):
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
    return prepared(with_service, _with_config_map("facts"), _has_config_maps("facts"), rest=HOUR)


def _delete(policy):
    def act(world):
        world.edit("service", deletionPolicy=policy)
        world.delete("service")

    return act


def _is_orphaned(world):
    left = world.live_applications("service")
    return world.registration("service") is None and len(left) == 1 and world.secret("service")


def _is_purged(world):
    mine = [e for e in world.cloud.applications() if e.document["displayName"] == "clinic/service"]
    return world.registration("service") is None and not mine


def _is_made_anew(world):
    return (
        world.is_ready("service")
        and world.registration("service")["metadata"]["uid"] != uid_of(with_service())
        and len(world.live_applications("service")) == 1
    )


def _is_refused(world):
    return world.condition("service", "Stalled") == ("True", "OwnershipConflict")


_SHORT_LAG = timedelta(seconds=2)
"""Signing in with a certificate takes the computer long: fewer tries."""
CREATE = tuple(_create(kind) for kind in SPECS)
RENEW = Scenario(
    name="renew", start=before_renewal, goal=is_replaced(before_renewal), issues=1, crowded=DAY
)
SCENARIOS = {
    each.name: each
    for each in (
        *CREATE,
        RENEW,
        Scenario(
            name="rotate on request", start=with_service, act=_rotate,
            goal=is_replaced(with_service), issues=1,
        ),
        Scenario(
            name="rotate and revoke", start=with_service, act=_revoke,
            goal=_is_revoked(with_service), issues=1,
        ),
        Scenario(
            name="switch to certificate", lag=_SHORT_LAG, start=with_service,
            act=lambda world: world.edit("service", credential=CERTIFICATE),
            goal=is_replaced(with_service),
        ),
        Scenario(
            name="switch to client secret and revoke", start=with_certificate,
            act=_switch_and_revoke, goal=_is_revoked(with_certificate), issues=1,
        ),
        Scenario(
            name="renew certificate", lag=_SHORT_LAG, start=before_certificate_renewal,
            goal=is_replaced(before_certificate_renewal),
        ),
        Scenario(
            name="Secret deleted", start=with_service,
            act=lambda world: world.delete_secret("service"), goal=_is_repaired, issues=1,
        ),
        Scenario(
            name="Secret emptied", start=with_service,
            act=lambda world: world.edit_secret("service", {"AZURE_CLIENT_SECRET": None}),
            goal=_is_repaired, issues=1,
        ),
        Scenario(name="spec change", start=with_service, act=_edit_spec, goal=_has_edits),
        Scenario(
            name="remove roles and scopes", start=with_wide_server, act=_narrow, goal=_is_narrow,
            heals=RESYNC * 1.1 + HOUR,  # a late list brings them back, disabled, until then
        ),
        Scenario(
            name="grant", start=with_leave_to_grant,
            act=lambda world: world.register("service", **SPECS["service"]),
            goal=_holds("globalReader"), issues=1,
            lag=timedelta(seconds=1),  # the next process sees what the dead one granted
        ),
        Scenario(
            name="another grant", start=with_grant,
            act=lambda world: world.edit("service", appRoles=["globalWriter"]),
            goal=_holds("globalWriter"),
        ),
        Scenario(
            name="ConfigMap", start=with_service, act=_with_config_map("facts"),
            goal=_has_config_maps("facts"),
        ),
        Scenario(
            name="another ConfigMap", start=with_config_map, act=_with_config_map("other"),
            goal=_has_config_maps("other"),
        ),
        Scenario(
            name="no ConfigMap", start=with_config_map, act=_with_config_map(None),
            goal=_has_config_maps(),
        ),
        Scenario(name="guard a server", start=with_public, act=_guard, goal=_is_guarded),
        Scenario(name="delete", start=with_service, act=_delete("Delete"), goal=_is_gone),
        Scenario(
            name="delete, Orphan", start=with_service, act=_delete("Orphan"), goal=_is_orphaned
        ),
        Scenario(name="delete, Purge", start=with_service, act=_delete("Purge"), goal=_is_purged),
        Scenario(
            name="recreate", start=with_service, act=_delete("Delete"),
            then=(
                lambda world: world.registration("service") is None,
                lambda world: world.register("service", **SPECS["service"]),
            ),
            goal=_is_made_anew, issues=1,
        ),
        Scenario(name="handed over", start=handed_over, act=_edit_spec, goal=_is_refused),
    )
}  # fmt: skip
