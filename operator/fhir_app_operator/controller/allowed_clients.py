"""Who may name a FHIR server of this cluster: by reference, or by the client id of its API.

Reads only. Client ids are no secrets: they must not do instead of `resource.allowedClients`.
"""

from __future__ import annotations

from fhir_app_operator.api.v1alpha1 import FhirAppRegistration
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.planning.model import OWNER_TAG_PREFIX, REGISTRATION_TAG_PREFIX


def is_allowed(server: FhirAppRegistration, namespace: str, labels: dict[str, str]) -> bool:
    """Whether registrations in `namespace`, which has these `labels`, may refer to `server`."""
    if namespace == server.metadata.namespace:
        return True
    allowed = server.spec.resource.allowed_clients if server.spec.resource else None
    return allowed is not None and allowed.allows(namespace, labels)


async def is_registered(world: World, connection: Connection, app_id: str) -> bool:
    """Whether a registration of this cluster made the application of the API `app_id`.

    Raises:
        Stalled, Waiting: by consequence.
    """
    return _is_ours(world, await connection.apis.tags(app_id))


async def may_ask(world: World, work: Pass, connection: Connection, app_id: str) -> bool:
    """Whether the registration may ask for permissions of the API `app_id`.

    It may, unless the API is that of another namespace's registration that does not allow it.

    Raises:
        Stalled, Waiting: by consequence.
    """
    tags = await connection.apis.tags(app_id)
    if not _is_ours(world, tags):
        return True
    for tag in tags:
        if not tag.startswith(REGISTRATION_TAG_PREFIX):
            continue
        namespace, _, name = tag.removeprefix(REGISTRATION_TAG_PREFIX).partition("/")
        if namespace == work.identity.namespace:
            return True
        server = await world.registrations.readable(namespace, name)
        if server is None or world.identity(server).owner_tag not in tags:
            continue
        if is_allowed(server, work.identity.namespace, work.namespace_labels):
            return True
    return False


def _is_ours(world: World, tags: frozenset[str]) -> bool:
    ours = f"{OWNER_TAG_PREFIX}{world.cluster_id}/"
    return any(tag.startswith(ours) for tag in tags)
