"""The chain from a manifest to a token that its FHIR server takes: what is there, what is missing.

Pure; what `fhir-app-operator explain` shows. What a server answers to a token is in `expectation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from fhir_app_operator.api.v1alpha1 import AppType, Condition, CredentialType, FhirAppRegistration
from fhir_app_operator.errors import OperatorError
from fhir_app_operator.planning import conditions, secret_data, smart
from fhir_app_operator.planning.expectation import Expectation
from fhir_app_operator.planning.model import (
    AppRoleAssignment,
    Asked,
    Desired,
    Observed,
    PermissionGrant,
    ResourceAccess,
    WantedGrants,
)
from fhir_app_operator.planning.server import FIRST_PARTY_APP_ID, Server

_BY_READY: Final = "the operator sees to it; if it stays, `Ready` says why"
_TOLD_ELSEWHERE: Final = ("Ready", "Reconciling", "Stalled")


class Granted(StrEnum):
    """Whether a permission that is asked for is granted."""

    YES = "yes"
    PRE_AUTHORIZED = "by the server"
    NO = "no"
    BY_USERS = "each user is asked"
    UNKNOWN = "cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one registration; None: it could not be found out, or is not there."""

    registration: FhirAppRegistration
    observed: Observed
    desired: Desired | None = None
    server: Server | None = None
    resources: Mapping[str, str] = field(default_factory=dict)
    """Service principals of the APIs that are asked for something, by client id."""
    assignments: tuple[AppRoleAssignment, ...] | None = None
    """The app roles that the client holds."""
    consents: tuple[PermissionGrant, ...] | None = None
    """What was consented to for all users."""
    pre_authorized: frozenset[str] = frozenset()
    """Ids of the scopes for which the server itself lets the client in without consent."""
    stopped: OperatorError | None = None
    """What kept us from finding out what should be."""
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of the chain; `remedy` is empty where it holds."""

    what: str
    state: str
    remedy: str = ""
    is_missing: bool = True
    """With a remedy: False if nobody here can see whether it is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One permission that the manifest asks for, as manifests spell it."""

    value: str
    kind: str
    api: str
    is_asked: bool
    """Whether the application in Entra asks for it, too."""
    granted: Granted
    remedy: str = ""

    @property
    def needs_consent(self) -> bool:
        """Whether somebody still has to consent, as far as that is known."""
        return self.granted not in (Granted.YES, Granted.PRE_AUTHORIZED)


def links(facts: Facts) -> tuple[Link, ...]:
    """Return the chain, in the order in which each link needs the one before."""
    found = [_registration(facts), *_stopped(facts), *_server(facts), *_application(facts)]
    if facts.observed.application is not None:
        found += [_service_principal(facts), *_exposed(facts), *_credential(facts)]
    return (*found, _secret(facts), *_conditions(facts))


def permissions(facts: Facts) -> tuple[Permission, ...]:
    """Return what the manifest asks for, API by API; nothing while that cannot be resolved."""
    asked = facts.desired.asked if facts.desired else ()
    return tuple(each for api in asked for each in _permissions(facts, api))


def expectation(facts: Facts) -> Expectation | None:
    """Return what the server expects of the registration's tokens; None while that is not known."""
    application, desired, server = facts.observed.application, facts.desired, facts.server
    if desired is None or server is None or (desired.own_application and application is None):
        return None
    connection = secret_data.resolved(desired.connection, facts.observed)
    wanted = {
        value: smart.decode(value, server.scope_encoding)
        for api in desired.asked
        if api.app_id == server.app_id
        for value in (*api.app_roles, *api.scopes)
    }
    by_type = {AppType.SERVICE: "roles", AppType.RESOURCE: None}
    is_server = facts.registration.spec.type is AppType.RESOURCE
    return Expectation(
        audience=connection["FHIR_AUDIENCE"],
        issuer=connection["FHIR_ISSUER"],
        token_version=server.token_version,
        tenant_id=connection["AZURE_TENANT_ID"],
        client_id=None if is_server or application is None else application.app_id,
        claim=by_type.get(facts.registration.spec.type, "scp") if wanted else None,
        permissions=wanted,
        encoding=server.scope_encoding,
        needs_role=not server.managed,
    )


def _registration(facts: Facts) -> Link:
    what = f"registration ({facts.registration.spec.type})"
    ready = conditions.find(facts.registration.status.conditions, "Ready")
    if facts.registration.spec.suspend:
        return Link(what=what, state="suspended", remedy="set `suspend: false`")
    if ready is None:
        return Link(
            what=what, state="not seen by the operator yet", remedy="is the operator running?"
        )
    if ready.status != "True":
        return Link(what=what, state=ready.reason, remedy=ready.message)
    return Link(what=what, state="Ready")


def _stopped(facts: Facts) -> Iterator[Link]:
    ready = conditions.find(facts.registration.status.conditions, "Ready")
    error = facts.stopped
    if error is not None and (ready is None or ready.reason != error.reason):
        yield Link(what="what it refers to", state=error.reason, remedy=error.message)


def _server(facts: Facts) -> Iterator[Link]:
    if facts.server is not None and facts.registration.spec.type is not AppType.RESOURCE:
        yield Link(what=f"FHIR server '{facts.server.name}'", state=facts.server.url)
        yield Link(what="its client id", state=facts.server.app_id)


def _application(facts: Facts) -> Iterator[Link]:
    found = facts.observed.application
    if facts.desired is not None and not facts.desired.own_application:
        yield Link(what="application", state=f"Microsoft's, {FIRST_PARTY_APP_ID}")
        return
    if found is not None:
        yield Link(what="application (client id)", state=found.app_id)
        yield Link(what="application (object id)", state=found.object_id)
        return
    binned = facts.observed.deleted_application_id is not None
    state = "in Entra's bin" if binned else "missing"
    yield Link(what="application", state=state, remedy=_BY_READY)


def _service_principal(facts: Facts) -> Link:
    found = facts.observed.service_principal_id
    if found is None:
        return Link(what="service principal", state="missing", remedy=_BY_READY)
    return Link(what="service principal (id)", state=found)


def _exposed(facts: Facts) -> Iterator[Link]:
    application = facts.observed.application
    if application is None or facts.registration.spec.type is not AppType.RESOURCE:
        return
    counts = [
        sum(entry.is_enabled for entry in entries)
        for entries in (application.app_roles, application.scopes)
    ]
    state = f"{counts[0]} app roles, {counts[1]} scopes"
    yield Link(what="exposes", state=state, remedy="" if any(counts) else _BY_READY)


def _credential(facts: Facts) -> Iterator[Link]:
    """The credential of the Secret, as far as Entra shows it."""
    secret, application = facts.observed.secret, facts.observed.application
    if not _has_credential(facts):
        return
    if secret is None or application is None or secret.type is None:
        yield Link(what="credential", state="none in the Secret", remedy=_BY_READY)
        return
    if secret.type is CredentialType.FEDERATED_IDENTITY:
        subjects = ", ".join(sorted(each.subject for each in application.federated)) or "nobody"
        yield Link(what="credential", state=f"tokens of {subjects}")
        return
    found = next((c for c in application.credentials if c.key_id == secret.key_id), None)
    if found is None:
        state = f"{secret.type}, which Entra does not show"
        yield Link(what="credential", state=state, remedy=_BY_READY)
    elif found.end <= facts.now:
        yield Link(what="credential", state=f"ended {found.end:%Y-%m-%d}", remedy=_BY_READY)
    else:
        yield Link(what="credential", state=f"{secret.type}, until {found.end:%Y-%m-%d}")


def _has_credential(facts: Facts) -> bool:
    """Whether its Secret should hold one; a server's does behind a front door."""
    if facts.desired is not None:
        return facts.desired.credential is not None
    return facts.registration.spec.type in (AppType.CONFIDENTIAL, AppType.SERVICE)


def _secret(facts: Facts) -> Link:
    what, secret = f"Secret '{facts.registration.secret_name}'", facts.observed.secret
    if secret is None:
        return Link(what=what, state="missing", remedy=_BY_READY)
    if not secret.ours:
        return Link(what=what, state="somebody else's", remedy="name another in `secret.name`")
    desired = facts.desired
    made = facts.observed.application or (desired and not desired.own_application)
    if made and desired and secret.data != secret_data.data(desired, facts.observed):
        return Link(what=what, state="does not say what it should", remedy=_BY_READY)
    return Link(what=what, state="says what it should" if desired else "is there")


def _conditions(facts: Facts) -> Iterator[Link]:
    """What else the operator says of it, where that is not good."""
    # A server's consent is about other people's roles, which no other table has.
    is_server = facts.registration.spec.type is AppType.RESOURCE
    told = {*_TOLD_ELSEWHERE, *(() if is_server else (conditions.CONSENT,))}
    for condition in facts.registration.status.conditions:
        if condition.type not in told and not _is_good(condition):
            yield Link(
                what=condition.type, state=condition.reason, remedy=condition.message,
                is_missing=condition.status != "Unknown",
            )  # fmt: skip


def _is_good(condition: Condition) -> bool:
    return condition.status == ("False" if condition.type in conditions.ABNORMAL else "True")


def _permissions(facts: Facts, api: Asked) -> Iterator[Permission]:
    for kind, access, ids in (("app role", "Role", api.app_roles), ("scope", "Scope", api.scopes)):
        for value, permission_id in ids.items():
            wanted = ResourceAccess(resource_app_id=api.app_id, type=access, id=permission_id)
            application = facts.observed.application
            asked = application is not None and wanted in application.resource_access
            granted = _granted(facts, api, kind, value)
            remedy = _remedy(facts, api, value, granted) if asked else _BY_READY
            shown = value
            if facts.server is not None and api.app_id == facts.server.app_id:
                shown = smart.decode(value, facts.server.scope_encoding)
            yield Permission(
                value=shown, kind=kind, api=api.name, is_asked=asked, granted=granted,
                remedy=remedy,
            )  # fmt: skip


def _granted(facts: Facts, api: Asked, kind: str, value: str) -> Granted:
    resource_id = facts.resources.get(api.app_id)
    if kind == "app role":
        if facts.assignments is None:
            return Granted.UNKNOWN
        held = {a.app_role_id for a in facts.assignments if a.resource_id == resource_id}
        return Granted.YES if api.app_roles[value] in held else Granted.NO
    if api.scopes[value] in facts.pre_authorized:
        return Granted.PRE_AUTHORIZED
    grants = (g for g in facts.consents or () if g.resource_id == resource_id)
    if any(value in grant.scopes for grant in grants):
        return Granted.YES
    if facts.desired is not None and facts.desired.grants.asks_users:
        return Granted.BY_USERS
    return Granted.UNKNOWN if facts.consents is None else Granted.NO


def _remedy(facts: Facts, api: Asked, value: str, granted: Granted) -> str:
    if granted is Granted.NO:
        if _is_grantable(facts, api, value):
            return _BY_READY.replace("`Ready`", f"`{conditions.CONSENT}`")
        return "an administrator of the tenant consents"
    return {
        Granted.YES: "",
        Granted.PRE_AUTHORIZED: "",
        Granted.BY_USERS: "nothing, or an administrator consents for all",
        Granted.UNKNOWN: f"the operator may not read it: `{conditions.CONSENT}` says more",
    }[granted]


def _is_grantable(facts: Facts, api: Asked, value: str) -> bool:
    wanted: tuple[WantedGrants, ...] = facts.desired.grants.apis if facts.desired else ()
    return any(
        each.app_id == api.app_id and value in each.grantable_roles | each.grantable_scopes
        for each in wanted
    )
