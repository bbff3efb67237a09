"""FHIR servers that have no registration here: their APIs, as the directory shows them.

Reads only.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_app_operator.api.v1alpha1 import ServerAddress
from fhir_app_operator.controller.allowed_clients import is_registered
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning import asked
from fhir_app_operator.planning.model import PermissionIds
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
    api = await connection.apis.exposing(address.app_id, wanted)
    registered = await is_registered(world, connection, address.app_id)
    if api is None or registered:
        connection.apis.forget(address.app_id)
        raise Waiting(
            "FhirServerNotFound",
            f"`fhirServer.appId`: the directory shows no API {address.app_id} without a "
            "registration; a server that has one is named by `fhirServerRef`, and an application "
            "without a service principal gets one by `az ad sp create --id`",
        )
    return replace(server, permissions=api.permissions)
