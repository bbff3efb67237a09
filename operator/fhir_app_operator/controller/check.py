"""What `fhir-app-operator check` looks at: everything that must be in place, each with a remedy.

Reads only, but for the sign-in of each tenant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pydantic import SecretStr

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import EntraTenant
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import World
from fhir_app_operator.errors import OperatorError
from fhir_app_operator.graph.auth import SignInRefused, claims_of
from fhir_app_operator.kube.api_server import ApiServer, Request
from fhir_app_operator.kube.registrations import parse_tenant, tenant_path
from fhir_app_operator.kube.token_issuer import DISCOVERY_PATH, KEYS_PATH

_ENOUGH: Final = ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All")
_ALL: Final = "Application.ReadWrite.All"
_TO_ASSIGN: Final = (
    ("AppRoleAssignment.ReadWrite.All", _ALL),
    ("Application.Read.All", "Directory.Read.All", _ALL),
)
_TO_CONSENT: Final = (("DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"),)
"""For each need, the permissions that fill it; the first is the one to ask for."""
_VERBS: Final = (
    (names.GROUP, names.REGISTRATION_PLURAL, ("get", "list", "watch", "patch")),
    (names.GROUP, f"{names.REGISTRATION_PLURAL}/status", ("patch",)),
    (names.GROUP, names.TENANT_PLURAL, ("get", "list", "watch", "patch")),
    (names.GROUP, f"{names.TENANT_PLURAL}/status", ("patch",)),
    ("", "namespaces", ("get", "list", "watch")),
    ("", "secrets", ("get", "create", "patch")),
    ("events.k8s.io", "events", ("create", "patch")),
)
_RBAC: Final = "kubectl apply -k deploy: the RBAC of this version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: `problem` None means it is good, else `remedy` says what to do."""

    check: str
    problem: str | None = None
    remedy: str = ""


async def check(
    world: World, api: ApiServer, *, watch_secrets: bool, lease_namespace: str | None
) -> list[Finding]:
    """Return all findings: RBAC, then each tenant's sign-in, permissions, ownership and clock.

    `lease_namespace` is the operator's own, None if it takes part in no leader election.
    """
    findings = await _verbs(api, watch_secrets=watch_secrets)
    if lease_namespace is not None:
        findings.append(await _lease(api, lease_namespace))
    try:
        tenants = await _tenants(api)
    except OperatorError as error:
        return [*findings, Finding(check="EntraTenants", problem=error.message, remedy=_RBAC)]
    if not tenants:
        findings.append(
            Finding(
                check="EntraTenants",
                problem="there is none",
                remedy="apply one; examples/tenants/ has one for each cloud",
            )
        )
    for tenant in tenants:
        findings += await _tenant(world, tenant)
    return findings


async def _verbs(api: ApiServer, *, watch_secrets: bool) -> list[Finding]:
    findings = []
    for group, resource, verbs in _VERBS:
        extra = ("list", "watch") if watch_secrets and resource == "secrets" else ()
        missing = [verb for verb in (*verbs, *extra) if not await _may(api, group, resource, verb)]
        findings.append(_allowed(resource, missing))
    for path in (DISCOVERY_PATH, KEYS_PATH):
        attributes = {"nonResourceAttributes": {"path": path, "verb": "get"}}
        findings.append(_allowed(path, [] if await _reviewed(api, attributes) else ["get"]))
    return findings


async def _lease(api: ApiServer, namespace: str) -> Finding:
    """RBAC cannot name what does not exist yet: only `create` goes without a name."""
    asked = [("create", {}), *((verb, {"name": names.LEASE}) for verb in ("get", "update"))]
    where = {"namespace": namespace}
    missing = [
        verb for verb, which in asked
        if not await _may(api, "coordination.k8s.io", "leases", verb, **where, **which)
    ]  # fmt: skip
    return _allowed("leases", missing)


def _allowed(resource: str, missing: list[str]) -> Finding:
    problem = f"may not {', '.join(missing)}" if missing else None
    return Finding(check=f"RBAC: {resource}", problem=problem, remedy=_RBAC)


async def _may(api: ApiServer, group: str, resource: str, verb: str, **where: str) -> bool:
    name, _, subresource = resource.partition("/")
    attributes = {
        "group": group, "resource": name, "subresource": subresource, "verb": verb, **where,
    }  # fmt: skip
    return await _reviewed(api, {"resourceAttributes": attributes})


async def _reviewed(api: ApiServer, spec: dict[str, Any]) -> bool:
    """Source: Kubernetes, "Authorization: checking API access" (SelfSubjectAccessReview)."""
    kind = "SelfSubjectAccessReview"
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await api.send(Request(method="POST", path=path, what="access review", body=body))
    return bool((answer.get("status") or {}).get("allowed"))


async def _tenants(api: ApiServer) -> list[EntraTenant]:
    body = await api.get(tenant_path("").rstrip("/"), "EntraTenants") or {}
    return [parse_tenant(item) for item in body.get("items") or ()]


async def _tenant(world: World, tenant: EntraTenant) -> list[Finding]:
    name = f"EntraTenant '{tenant.metadata.name}'"
    try:
        connection = await world.connections.get(tenant)
        token = await connection.tokens.token()
    except SignInRefused as refusal:
        return [_sign_in_refused(name, str(refusal))]
    except OperatorError as error:
        return [Finding(check=f"{name}: sign-in", problem=error.reason, remedy=error.message)]
    findings = [Finding(check=f"{name}: sign-in"), _permissions(name, token)]
    findings += _grants(name, tenant, token)
    try:
        findings.append(await _ownership(world, connection, tenant))
        findings.append(_skew(world, connection, name))
    except OperatorError as error:
        problem = f"{error.reason}: {error.message}"
        findings.append(Finding(check=f"{name}: Microsoft Graph", problem=problem))
    return findings


def _sign_in_refused(name: str, refusal: str) -> Finding:
    return Finding(
        check=f"{name}: sign-in",
        problem=refusal,
        remedy="check `clientId`, `auth` and, for workload identity, the application's federated "
        "credential: issuer, subject and audience",
    )


def _permissions(name: str, token: SecretStr) -> Finding:
    roles = _roles(token)
    enough = any(role in roles for role in _ENOUGH)
    return Finding(
        check=f"{name}: Graph permissions",
        problem=None if enough else f"the token has {', '.join(sorted(roles)) or 'none'}",
        remedy=f"grant {_ENOUGH[0]} to the operator's application, with admin consent",
    )


def _grants(name: str, tenant: EntraTenant, token: SecretStr) -> list[Finding]:
    """What `spec.grants` needs beyond the usual."""
    said, roles = tenant.spec.grants, _roles(token)
    needed: tuple[tuple[str, ...], ...] = ()
    if said is not None and said.assigns:
        needed += _TO_ASSIGN
    if said is not None and said.consents:
        needed += _TO_CONSENT
    missing = [choice[0] for choice in needed if roles.isdisjoint(choice)]
    if not needed:
        return []
    return [
        Finding(
            check=f"{name}: permissions for `grants`",
            problem=f"the token lacks {', '.join(missing)}" if missing else None,
            remedy="grant them to the operator's application, with admin consent, or set the part "
            "of `grants` that needs them to Disabled",
        )
    ]


def _roles(token: SecretStr) -> set[str]:
    roles = claims_of(token).get("roles")
    return {str(role) for role in roles} if isinstance(roles, list) else set()


async def _ownership(world: World, connection: Connection, tenant: EntraTenant) -> Finding:
    check_name = f"EntraTenant '{tenant.metadata.name}': ownership"
    snapshot = await connection.inventory.snapshot(timedelta(0))
    lost = []
    async for body in world.registrations.all():
        reference = ((body.get("spec") or {}).get("tenantRef") or {}).get("name")
        object_id = (body.get("status") or {}).get("objectId")
        owned = object_id is None or object_id in snapshot.applications
        if reference == tenant.metadata.name and not owned:
            meta = body["metadata"]
            lost.append(f"{meta['namespace']}/{meta['name']}")
    return Finding(
        check=check_name,
        problem=f"not an owner of the applications of {', '.join(sorted(lost)[:5])}"
        if lost
        else None,
        remedy="make the operator's service principal an owner of them again",
    )


def _skew(world: World, connection: Connection, name: str) -> Finding:
    skew = abs(connection.server_clock.ahead(world.clock()) or timedelta(0))
    return Finding(
        check=f"{name}: clock",
        problem=f"differs from the directory's by {skew.total_seconds():.0f} s"
        if skew > world.policy.max_skew
        else None,
        remedy="synchronise the node's clock: lifetimes of credentials depend on it",
    )
