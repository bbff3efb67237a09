"""A pass that stops before it writes: what `fhir-app-operator plan` shows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import DeletionPolicy, FhirAppRegistration
from fhir_app_operator.api.v1alpha1.schema import format_duration
from fhir_app_operator.controller import consent, finalize, observe, references
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import OperatorError, Stalled
from fhir_app_operator.kube.registrations import parse_registration
from fhir_app_operator.planning import policy
from fhir_app_operator.planning.differences import changed_properties
from fhir_app_operator.planning.forecast import forecast
from fhir_app_operator.planning.model import (
    Action,
    ApplicationChanges,
    AppRoleAssignment,
    FederatedIdentityCredential,
    Following,
    GrantAction,
    IssuePolicy,
)
from fhir_app_operator.planning.plan import deletion_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a pass would do for one registration, or what would stop it."""

    name: str
    actions: tuple[Action | GrantAction, ...] = ()
    consent: str | None = None
    """What the condition `ConsentGranted` would say, if there is something to consent to."""
    error: OperatorError | None = None


async def preview(world: World, namespace: str, name: str) -> Preview:
    """Return what a pass for the registration `namespace`/`name` would do; writes nothing.

    Raises:
        Stalled: `NotFound`, there is no such registration.
    """
    found = await world.registrations.registration(namespace, name)
    if found is None:
        raise Stalled("NotFound", f"FhirAppRegistration '{namespace}/{name}' does not exist")
    return await _preview(world, found)


async def preview_manifest(world: World, manifest: dict[str, Any]) -> Preview:
    """Return what applying `manifest` would come to; writes nothing.

    The API server fills in defaults and checks the rules in a dry run of the apply. Where the
    caller may not create registrations, as the operator itself, this version's own defaults serve.

    Raises:
        Stalled: the API server refuses the manifest.
        Invalid: it is no FhirAppRegistration of this version.
    """
    try:
        body = await world.registrations.dry_run(manifest)
    except Stalled as error:
        if error.reason != "PermissionDenied":
            raise
        return await _preview(world, await _without_server(world, manifest))
    return await _preview(world, parse_registration(body))


async def _without_server(world: World, manifest: dict[str, Any]) -> FhirAppRegistration:
    meta = {"namespace": "default", "name": "", "uid": "new", **(manifest.get("metadata") or {})}
    wanted = parse_registration({**manifest, "metadata": meta, "status": {}})
    live = await world.registrations.registration(meta["namespace"], meta["name"])
    return live.model_copy(update={"spec": wanted.spec}) if live else wanted


async def _preview(world: World, registration: FhirAppRegistration) -> Preview:
    work = Pass(registration=registration, identity=world.identity(registration))
    try:
        actions = await _actions(world, work)
    except OperatorError as error:
        return Preview(name=work.name, error=error)
    if work.desired is None or work.connection is None:
        return Preview(name=work.name, actions=actions)
    try:
        granted, report = await consent.foreseen(work, work.connection)
    except OperatorError as error:
        return Preview(name=work.name, actions=actions, consent=error.message)
    return Preview(
        name=work.name, actions=(*actions, *granted), consent=report.message if report else None
    )


async def _actions(world: World, work: Pass) -> tuple[Action, ...]:
    registration = work.registration
    if registration.metadata.deletion_timestamp is not None:
        if registration.spec.deletion_policy is DeletionPolicy.ORPHAN:
            return ()
        await finalize.refuse_in_use(world, work)
        tenant = await references.tenant_of(world, registration)
        connection = await world.connections.get(tenant)
        await observe.observe_entra(world, work, connection)
        purge = registration.spec.deletion_policy is DeletionPolicy.PURGE
        return deletion_plan(work.identity, work.observed, purge=purge)
    tenant = await references.preconditions(world, work)
    connection = work.connection = await world.connections.get(tenant)
    wanted = work.desired = await references.desired_state(world, work, connection)
    if wanted.own_application:
        await observe.observe_entra(world, work, connection)
    observe.compare_clocks(world, work, connection)
    actions = forecast(wanted, work.observed, world.clock(), world.policy)
    policy.refuse(wanted, work.observed.application, actions)
    return actions


_NOTHING: Final[tuple[object, ...]] = ((), frozenset(), None)
_INNER: Final = ("reason", "nonce", "ids")
"""Shown elsewhere, or not for people."""


def details(action: Action | GrantAction) -> str:
    """Return what `action` is about, for a table: properties, ids, lifetimes."""
    shown = []
    for field in fields(action):
        value = getattr(action, field.name)
        if isinstance(value, ApplicationChanges):
            shown.append(", ".join(changed_properties(value)))
        elif isinstance(value, AppRoleAssignment):
            shown.append(f"app_role_id {value.app_role_id}; resource_id {value.resource_id}")
        elif field.name not in _INNER and value not in _NOTHING:
            shown.append(f"{field.name} {_words(value)}")
    return "; ".join(shown)


def _words(value: object) -> str:
    match value:
        case tuple() | frozenset():
            return ", ".join(sorted(map(str, value)))
        case IssuePolicy():
            return f"{value.type}, {format_duration(value.duration)}"
        case Following():
            return f"{value.thumbprint} of Secret {value.secret_name}, until {value.end:%Y-%m-%d}"
        case FederatedIdentityCredential():
            return f"{value.name} for {value.subject} of {value.issuer}"
        case _:
            return str(value)


def is_registration(manifest: Any) -> bool:
    """Whether a YAML document is a FhirAppRegistration of this version."""
    return (
        isinstance(manifest, dict)
        and manifest.get("apiVersion") == names.API_VERSION
        and manifest.get("kind") == names.REGISTRATION_KIND
    )
