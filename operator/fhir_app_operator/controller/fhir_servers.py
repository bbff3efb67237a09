"""The FHIR server that a registration means: its own, or the one it refers to.

Reads only. What is remembered of servers' applications is in `servers`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from fhir_app_operator.api.v1alpha1 import AppType, FhirAppRegistration
from fhir_app_operator.controller.allowed_clients import is_allowed, may_ask
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.servers import KnownServer, known_server
from fhir_app_operator.controller.unregistered_servers import unregistered
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Invalid, Stalled, Waiting
from fhir_app_operator.graph.service_principals import ExposedApi
from fhir_app_operator.planning import asked, conditions, desired
from fhir_app_operator.planning.model import Application
from fhir_app_operator.planning.server import (
    FIRST_PARTY_APP_ID,
    Server,
    own_server,
    referenced_server,
)


async def server_of(world: World, work: Pass, connection: Connection) -> Server:
    """Return the FHIR server whose facts `registration` needs: its own, or the referenced one.

    Raises:
        Waiting: `FhirServerNotFound`, `FhirServerNotReady`.
        Stalled: `FhirApiNotFound`.
        Invalid: the reference names something else than a server of the same tenant, or what is
            asked for can never be.
    """
    registration = work.registration
    if registration.spec.type is AppType.RESOURCE:
        own = own_server(registration)
        if not own.registered:
            await _first_party(connection, frozenset())
        return own
    if registration.spec.fhir_server is not None:
        return await unregistered(world, work, connection, registration.spec.fhir_server)
    server = await _referenced(world, work)
    _refuse_unready(server, registration)
    facts = own_server(server)
    wanted = set(asked.encoded(registration, facts.scope_encoding))
    if not facts.registered:
        api = await _first_party(connection, frozenset(wanted))
        return referenced_server(server, FIRST_PARTY_APP_ID, api.permissions, frozenset())
    declared = desired.declared_values(server, connection.directory.tenant_id)
    listed = await _listed_server(world, connection, server) if work.settled else None
    if listed is not None and listed.exposes(wanted):
        known = listed
    else:
        known = await _known_server(world, connection, server, wanted)
    found = referenced_server(server, known.app_id, known.permissions, declared)
    # Its id in status is a hint: a wrong one makes its own condition wrong, and nothing else.
    allowed = known.pre_authorized.get(registration.status.app_id or "", frozenset())
    return replace(found, pre_authorized=allowed)


async def _first_party(connection: Connection, values: frozenset[str]) -> ExposedApi:
    """Return Microsoft's API of all managed FHIR services, as the tenant has it.

    Raises:
        Stalled: `FhirApiNotFound`.
    """
    api = await connection.apis.exposing(FIRST_PARTY_APP_ID, values)
    if api is None:
        raise Stalled(
            "FhirApiNotFound",
            "the tenant has no service principal of Azure Healthcare APIs, for which the tokens of "
            f"managed FHIR services are; an administrator makes it: az ad sp create --id "
            f"{FIRST_PARTY_APP_ID}",
        )
    return api


async def _referenced(world: World, work: Pass) -> FhirAppRegistration:
    """Return the registration in `fhirServerRef`.

    One in another namespace that does not allow this one reads exactly as one that does not exist:
    same words, and the same calls on the way there.

    Raises:
        Waiting: `FhirServerNotFound`.
    """
    own, reference = work.identity.namespace, work.registration.spec.fhir_server_ref
    if reference is None:
        raise Invalid("`fhirServerRef` must be set: it names the server to sign in to")
    namespace, name = reference.namespace or own, reference.name
    if namespace == own:
        server = await world.registrations.registration(own, name)
        if server is None:
            what = f"FhirAppRegistration '{name}' does not exist in this namespace"
            raise Waiting("FhirServerNotFound", f"`fhirServerRef`: {what}")
    else:
        server = await _of_others(world, work, namespace, name)
    if server.metadata.deletion_timestamp is not None:
        what = f"FhirAppRegistration '{name}' is being deleted"
        raise Waiting("FhirServerNotFound", f"`fhirServerRef`: {what}")
    return server


async def refuse_withdrawn(
    world: World, work: Pass, connection: Connection, app_id: str
) -> None:  # fmt: skip
    """Check that a registration of another namespace still lets this one have something of the API.

    Raises:
        Waiting: `FhirServerNotFound`, it does not, or not any more.
        Stalled, Waiting: by consequence.
    """
    reference = work.registration.spec.fhir_server_ref
    if app_id in asked.apis(work.registration):
        if not await may_ask(world, work, connection, app_id):
            raise Waiting("FhirServerNotFound", f"no API {app_id} is open to this namespace")
    elif reference is not None and reference.namespace not in (None, work.identity.namespace):
        await _of_others(world, work, reference.namespace, reference.name)


async def _of_others(world: World, work: Pass, namespace: str, name: str) -> FhirAppRegistration:
    found = await world.registrations.readable(namespace, name)
    if found is None or not is_allowed(found, work.identity.namespace, work.namespace_labels):
        raise Waiting(
            "FhirServerNotFound",
            f"`fhirServerRef`: FhirAppRegistration '{namespace}/{name}' does not exist, or is no "
            f"server whose `resource.allowedClients` allow namespace '{work.identity.namespace}'",
        )
    return found


def _refuse_unready(server: FhirAppRegistration, client: FhirAppRegistration) -> None:
    name = server.metadata.name
    if server.spec.type is not AppType.RESOURCE:
        raise Invalid(
            f"`fhirServerRef`: FhirAppRegistration '{name}' is of type {server.spec.type}, "
            "it must be of type Resource"
        )
    if server.spec.tenant_ref != client.spec.tenant_ref:
        raise Invalid(
            f"`fhirServerRef`: FhirAppRegistration '{name}' is in EntraTenant "
            f"'{server.spec.tenant_ref.name}', it must be in the same one as its client"
        )
    ready = conditions.find(server.status.conditions, "Ready")
    current = ready is not None and ready.observed_generation == server.metadata.generation
    if ready is None or ready.status != "True" or not current:
        why = f" ({ready.reason}: {ready.message})" if ready and ready.status == "False" else ""
        raise Waiting("FhirServerNotReady", f"FhirAppRegistration '{name}' is not ready{why}")


async def _listed_server(
    world: World, connection: Connection, server: FhirAppRegistration
) -> KnownServer | None:
    """Return what the list of our objects says of the server: enough to confirm a settled client.

    Its id in status is a hint.
    """
    application = await connection.listed_application(
        world.identity(server), server.status.object_id, world.snapshot_age
    )
    return known_server(application) if application else None


async def _known_server(
    world: World, connection: Connection, server: FhirAppRegistration, wanted: set[str]
) -> KnownServer:
    """Return the server's application, found by its key and tag; looked up once for all clients.

    Never by what its status says: whoever may write that could name anybody's application.

    Raises:
        Waiting: `FhirServerNotReady`, the directory does not show an application that is its own.
    """
    known = connection.servers.get(server.metadata.uid)
    if known is not None and known.exposes(wanted):
        return known
    return await connection.servers.look_up(
        server.metadata.uid, partial(_application_of, world, connection, server)
    )


async def _application_of(
    world: World, connection: Connection, server: FhirAppRegistration
) -> Application:
    application = await connection.application_of(world.identity(server))
    if application is None:
        raise Waiting(
            "FhirServerNotReady",
            f"the application of FhirAppRegistration '{server.metadata.name}' is not visible "
            "in Entra",
        )
    return application
