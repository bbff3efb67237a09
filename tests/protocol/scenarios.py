"""Stories: what people do, and what must have come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from fhir_app_operator.api import names
from tests.protocol.operators import RESYNC
from tests.protocol.playing import DAY, HOUR
from tests.protocol.starts import (
    CERTIFICATE,
    SPECS,
    asks_for_config_map,
    asks_for_scopes,
    before_certificate_renewal,
    before_renewal,
    consents_to,
    exposing,
    handed_over,
    has_config_maps,
    holds,
    key_of,
    uid_of,
    with_certificate,
    with_config_map,
    with_consent,
    with_grant,
    with_leave_to_consent,
    with_leave_to_grant,
    with_public,
    with_server,
    with_service,
    with_tenant,
    with_wide_server,
)


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
    lag: timedelta = timedelta(seconds=5)
    """How far reads and sign-ins are behind the directory's writes: longer than a restart takes."""


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


def is_gone(world):
    return world.registration("service") is None and not world.live_applications("service")


def delete(policy):
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
            goal=holds("globalReader"), issues=1,
            lag=timedelta(seconds=1),  # the next process sees what the dead one granted
        ),
        Scenario(
            name="another grant", start=with_grant,
            act=lambda world: world.edit("service", appRoles=["globalWriter"]),
            goal=holds("globalWriter"),
        ),
        Scenario(
            name="consent", start=with_leave_to_consent, act=asks_for_scopes("keptScope"),
            goal=consents_to("keptScope"), issues=1,
            lag=timedelta(seconds=1),  # as with a grant
        ),
        Scenario(
            name="another consent", start=with_consent,
            act=lambda world: world.edit("confidential", scopes=["keptScope", "keptTwin"]),
            goal=consents_to("keptScope", "keptTwin"),
        ),
        Scenario(
            name="ConfigMap", start=with_service, act=asks_for_config_map("facts"),
            goal=has_config_maps("facts"),
        ),
        Scenario(
            name="another ConfigMap", start=with_config_map, act=asks_for_config_map("other"),
            goal=has_config_maps("other"),
        ),
        Scenario(
            name="no ConfigMap", start=with_config_map, act=asks_for_config_map(None),
            goal=has_config_maps(),
        ),
        Scenario(name="guard a server", start=with_public, act=_guard, goal=_is_guarded),
        Scenario(name="delete", start=with_service, act=delete("Delete"), goal=is_gone),
        Scenario(
            name="delete, Orphan", start=with_service, act=delete("Orphan"), goal=_is_orphaned
        ),
        Scenario(name="delete, Purge", start=with_service, act=delete("Purge"), goal=_is_purged),
        Scenario(
            name="recreate", start=with_service, act=delete("Delete"),
            then=(
                lambda world: world.registration("service") is None,
                lambda world: world.register("service", **SPECS["service"]),
            ),
            goal=_is_made_anew, issues=1,
        ),
        Scenario(name="handed over", start=handed_over, act=_edit_spec, goal=_is_refused),
    )
}  # fmt: skip
