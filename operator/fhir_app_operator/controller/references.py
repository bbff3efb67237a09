"""What a manifest refers to: its tenant, and the state that follows from all its references.

Reads only. Entra objects of the registration itself are read in `observe`, the FHIR server in
`fhir_servers`.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir_app_operator.api.v1alpha1 import (
    CredentialType,
    EntraTenant,
    Federated,
    FhirAppRegistration,
)
from fhir_app_operator.controller import (
    allowed_clients,
    fhir_servers,
    following,
    observe,
    pre_authorized,
    tenant_rules,
)
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Invalid, Stalled, Waiting
from fhir_app_operator.planning import (
    asked,
    config_map,
    desired,
    federation,
    requests,
    secret_data,
)
from fhir_app_operator.planning.model import (
    OWN_NAMES,
    CredentialKeys,
    CredentialPolicy,
    Desired,
    DesiredApplication,
    PermissionIds,
    SecretState,
)
from fhir_app_operator.planning.plan import refuse_foreign_secret


async def preconditions(world: World, work: Pass) -> EntraTenant:
    """Return the tenant, if everything holds that must hold before the first Graph call.

    Raises:
        Stalled: `NamespaceNotAllowed`, `SecretConflict`, `TenantChanged`.
        Waiting: `TenantNotFound`, `TenantNotReady`, `NamespaceTerminating`.
    """
    registration = work.registration
    tenant = work.tenant = await tenant_of(world, registration)
    work.namespace_labels = await refuse_namespace(world, tenant, registration.metadata.namespace)
    if tenant.metadata.deletion_timestamp and registration.status.app_id is None:
        raise Waiting("TenantNotReady", f"EntraTenant '{tenant.metadata.name}' is being deleted")
    await observe.read_secret(world, work)
    refuse_foreign_secret(registration.secret_name, work.observed)
    return tenant


async def desired_state(world: World, work: Pass, connection: Connection) -> Desired:
    """Return what the registration should come to, its references resolved.

    Raises:
        Stalled, Waiting: `ConfigMapConflict`.
        Invalid, Stalled, Waiting: a reference cannot be resolved.
    """
    registration = work.registration
    await observe.read_config_map(world, work)
    config_map.refuse_foreign(config_map.wanted_name(registration), work.observed)
    server = await fhir_servers.server_of(world, work, connection)
    issuer = await connection.openid.issuer(server.token_version)
    apis = await _exposed(world, work, connection, asked.apis(registration))
    wanted = desired.desired(
        registration, work.identity, connection.directory, server, issuer, apis,
        await _defaults(work, connection), await _outside_credential(world, work, connection),
    )  # fmt: skip
    return await pre_authorized.with_clients(world, work, connection, wanted)


async def _exposed(
    world: World, work: Pass, connection: Connection, wanted: Mapping[str, frozenset[str]]
) -> dict[str, PermissionIds]:
    """What those of the APIs expose that the tenant has.

    A server of this cluster that does not allow the namespace reads as one that it does not have.
    """
    found: dict[str, PermissionIds] = {}
    for app_id, values in wanted.items():
        # Both are asked for in any case: the time that it takes must not tell them apart.
        api = await connection.apis.exposing(app_id, values)
        open_to_it = await allowed_clients.may_ask(world, work, connection, app_id)
        if api is None or not open_to_it:
            connection.apis.forget(app_id)
            continue
        found[app_id] = api.permissions
    return found


async def _outside_credential(
    world: World, work: Pass, connection: Connection
) -> CredentialPolicy | None:
    """What `credential` comes to where that depends on the cluster; None where it does not."""
    credential = work.registration.spec.credential
    if credential is None:
        return None
    if credential.federated is not None:
        issuer = await _token_issuer(world, credential.federated)
        audience = connection.directory.exchange_audience
        return federation.wanted(work.identity, credential.federated, issuer, audience)
    return await following.followed(world, work.registration)


async def _token_issuer(world: World, federated: Federated) -> federation.TokenIssuer:
    """The cluster's, which must be known only if the manifest names no other one."""
    try:
        return await world.token_issuers.cluster()
    except Stalled:
        if federated.issuer is None:
            raise
        return federation.TokenIssuer(issuer="", algorithms=frozenset())


def held_state(work: Pass) -> Desired | None:
    """Return what keeps the credential alive while the references cannot be resolved.

    The Secret's data stays as it is. None if there is no credential to keep: no such type, or no
    Secret of ours yet.
    """
    policy, secret = desired.issue_policy(work.registration), work.observed.secret
    if policy is None or secret is None or not secret.ours or not secret.holds_credential:
        return None
    return Desired(
        registration=work.identity,
        application=DesiredApplication(display_name="", notes="", tags=frozenset()),
        credential=policy,
        connection=secret.data,
        secret_name=work.registration.secret_name,
        credential_keys=_held_keys(work.registration, policy.type, secret),
        secret_owned=secret.owner_reference,
        secret_template=desired.secret_template(work.registration),
        requests=requests.read(work.registration),
        remove_unmanaged=desired.removes_unmanaged(work.registration),
    )


def _held_keys(
    registration: FhirAppRegistration, wanted: CredentialType, secret: SecretState
) -> CredentialKeys:
    """Where a credential stands meanwhile: where it was; one of a new type beside the other data.

    The manifest's names wait, since the other data does.
    """
    try:
        places = secret_data.credential_keys(secret_data.shape(registration, wanted))[wanted]
    except Invalid:
        places = OWN_NAMES[wanted]
    free = places.keys().isdisjoint(secret.data)
    held = {**OWN_NAMES, **({wanted: places} if free else {})}
    if secret.type is not None:
        held[secret.type] = secret.places
    return held


async def _defaults(work: Pass, connection: Connection) -> desired.Defaults:
    """The tenant's defaults; further owners must not push the operator itself out."""
    found = connection.application_defaults
    grants, policy = tenant_rules.rules(work)
    if found is None:
        return desired.Defaults(grants=grants, policy=policy)
    owners = frozenset(found.owners)
    return desired.Defaults(
        service_management_reference=found.service_management_reference,
        owners=owners | {await connection.inventory.own_id()} if owners else owners,
        tags=frozenset(found.tags),
        grants=grants,
        policy=policy,
    )


async def tenant_of(world: World, registration: FhirAppRegistration) -> EntraTenant:
    """Return the tenant that `registration` refers to.

    Raises:
        Waiting: `TenantNotFound`.
        Stalled: `TenantChanged`, the name now means another directory.
    """
    name = registration.spec.tenant_ref.name
    tenant = await world.registrations.tenant(name)
    if tenant is None:
        raise Waiting("TenantNotFound", f"`tenantRef`: EntraTenant '{name}' does not exist")
    before = registration.status.tenant_id
    if before is not None and before != tenant.spec.tenant_id:
        raise Stalled(
            "TenantChanged",
            f"EntraTenant '{name}' now means directory {tenant.spec.tenant_id}, the application "
            f"is in {before}; restore the tenant, or delete this registration with "
            "`deletionPolicy: Orphan` and create it again",
        )
    return tenant


async def refuse_namespace(world: World, tenant: EntraTenant, namespace: str) -> dict[str, str]:
    """Raise unless `namespace` may have registrations in `tenant` and is not going away.

    Returns its labels.

    Raises:
        Stalled: `NamespaceNotAllowed`.
        Waiting: `NamespaceTerminating`, `TenantNotReady` (it is being deleted).
    """
    found = await world.namespaces.get(namespace)
    if not tenant.spec.allows(dict(found.labels)):
        raise Stalled(
            "NamespaceNotAllowed",
            f"EntraTenant '{tenant.metadata.name}' does not allow namespace '{namespace}'; an "
            "administrator must extend its `allowedNamespaces` or label the namespace",
        )
    if found.terminating:
        raise Waiting("NamespaceTerminating", f"namespace '{namespace}' is being deleted")
    return dict(found.labels)
