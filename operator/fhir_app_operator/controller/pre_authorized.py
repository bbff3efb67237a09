"""The clients that a FHIR server pre-authorizes, found in cluster and directory. Reads only.

The server never waits for them: one that is not there yet is told of, and looked for again when
its registration changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fhir_app_operator.api.v1alpha1 import (
    FhirAppRegistration,
    PreAuthorizedClient,
    UnmanagedPolicy,
)
from fhir_app_operator.controller import tenant_rules
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.planning import pre_authorization
from fhir_app_operator.planning.model import Desired, PreAuthorization


async def with_clients(
    world: World, work: Pass, connection: Connection, wanted: Desired
) -> Desired:
    """Return `wanted` with the clients that the server's manifest pre-authorizes.

    Raises:
        Invalid: an entry names a scope that the server does not declare.
        Stalled, Waiting: the directory or the API server cannot be read.
    """
    resource = work.registration.spec.resource
    if resource is None:
        return wanted
    declared: list[pre_authorization.Declared] = []
    unsure, absent = set(), []
    for index, entry in enumerate(resource.pre_authorized_clients.clients):
        found = await _found(world, work, connection, entry)
        unsure |= {found.unsure} if found.unsure else set()
        if found.app_id is None:
            absent.append(pre_authorization.described(entry, found.why))
            continue
        exposure = wanted.application.exposure
        values = pre_authorization.values(resource, exposure, index, found.registration)
        declared.append(
            pre_authorization.Declared(
                app_id=found.app_id, values=values, named=entry.scopes is not None
            )
        )
    asked = PreAuthorization(
        unsure=frozenset(unsure),
        absent=tuple(absent),
        remove_unmanaged=resource.pre_authorized_clients.unmanaged is UnmanagedPolicy.REMOVE,
    )
    asked, broken = pre_authorization.under_policy(declared, asked, tenant_rules.rules(work)[1])
    return replace(
        wanted,
        application=replace(wanted.application, pre_authorization=asked),
        violations=(*wanted.violations, *broken),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The client of one entry, or why there is none."""

    app_id: str | None = None
    registration: FhirAppRegistration | None = None
    why: str = ""
    unsure: str | None = None
    """Its client id after its status, if the directory does not show it."""


async def _found(
    world: World, work: Pass, connection: Connection, entry: PreAuthorizedClient
) -> _Found:
    if entry.registration_ref is None:
        return _Found(app_id=entry.app_id)
    client = await world.registrations.readable(
        work.identity.namespace, entry.registration_ref.name
    )
    if client is None:
        return _Found(why="it does not exist in this namespace")
    if why := pre_authorization.refusal(client, work.registration):
        return _Found(why=why)
    app_id = await _app_id(world, work, connection, client)
    if app_id is None:
        return _Found(why="it is not visible in Entra yet", unsure=client.status.app_id)
    return _Found(app_id=app_id, registration=client)


async def _app_id(
    world: World, work: Pass, connection: Connection, client: FhirAppRegistration
) -> str | None:
    """Return the client id of the application of `client`; None if the directory shows none.

    By its key and tag, never by what its status says: whoever may write that could name anybody's
    application. Client ids never change, so that one look is enough.
    """
    uid, identity = client.metadata.uid, world.identity(client)
    known = connection.client_ids.get(uid)
    if known is not None or client.status.object_id is None:
        return known
    found = None
    if work.settled:
        object_id, age = client.status.object_id, world.snapshot_age
        found = await connection.listed_application(identity, object_id, age)
    found = found or await connection.application_of(identity)
    if found is None:
        return None
    connection.client_ids[uid] = found.app_id
    return found.app_id
