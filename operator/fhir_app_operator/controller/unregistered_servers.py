"""FHIR servers that have no registration here: their APIs, as the directory shows them.

Reads only.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_app_operator.api.v1alpha1 import ServerAddress
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning import asked
from fhir_app_operator.planning.model import OWNER_TAG_PREFIX, PermissionIds
from fhir_app_operator.planning.server import Server, unregistered_server


async def unregistered(
    world: World, work: Pass, connection: Connection, address: ServerAddress
) -> Server:
    """Return the server at `address`.

    One whose application belongs to a registration of this cluster reads as one that is not there:
    else its client id, which is no secret, would do instead of `allowedClients`.

    Raises:
        Waiting: `FhirServerNotFound`.
        Invalid: what is asked for can never be.
    """
    server = unregistered_server(address, PermissionIds())
    wanted = frozenset(asked.encoded(work.registration, server.scope_encoding))
    # Both are asked for in any case: the time that it takes must not tell them apart.
    registered = not work.settled and await _is_registered(world, connection, address)
    api = await connection.apis.exposing(address.app_id, wanted)
    if api is None or registered:
        raise Waiting(
            "FhirServerNotFound",
            f"`fhirServer.appId`: the directory shows no API {address.app_id} without a "
            "registration; a server that has one is named by `fhirServerRef`, and an application "
            "without a service principal gets one by `az ad sp create --id`",
        )
    return replace(server, permissions=api.permissions)


async def _is_registered(world: World, connection: Connection, address: ServerAddress) -> bool:
    """Whether a registration of this cluster made the application."""
    application = await connection.applications.by_app_id(address.app_id)
    ours = f"{OWNER_TAG_PREFIX}{world.cluster_id}/"
    return application is not None and any(tag.startswith(ours) for tag in application.tags)
