"""Credentials: intent, register, probe, publish, revoke. When and why is decided in planning.

A client secret or private key exists only inside `issue`: made, probed, published, forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import SecretStr

from fhir_app_operator.api.v1alpha1 import CredentialType, PendingCredential
from fhir_app_operator.controller import observe, proof, publication
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.fence import finishing
from fhir_app_operator.controller.status import recorded, write_status
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, OperatorError
from fhir_app_operator.graph.auth import ClientCredential
from fhir_app_operator.kube.secrets import NewCredential
from fhir_app_operator.planning.model import (
    PARTS_OF,
    DatedCredential,
    Intent,
    IssueCredential,
    KeyCredential,
    RecordIntent,
    RevokeCredential,
    SetFederatedIdentityCredential,
)
from fhir_app_operator.planning.model.secret import (
    CERTIFICATE_KEY,
    CLIENT_SECRET_KEY,
    COMBINED_KEY,
    PRIVATE_KEY_KEY,
    THUMBPRINT_KEY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A credential that the directory has, with what a workload proves itself by."""

    credential: DatedCredential
    proof: ClientCredential
    values: Mapping[str, SecretStr]


async def record_intent(world: World, work: Pass, action: RecordIntent) -> None:
    """Make the intent durable before anybody asks the directory: design rule of the protocol.

    The Secret is rehearsed first: a credential that cannot be published must not be made.

    Raises:
        Conflict: the registration or the Secret changed since it was read.
        Stalled: `SecretConflict`.
    """
    now = world.clock()
    nonce = world.nonce()
    stand_in = NewCredential(
        type=action.type, values=dict.fromkeys(PARTS_OF[action.type], SecretStr(nonce)),
        key_id=nonce, nonce=nonce, expires_at=now, written_at=now,
    )  # fmt: skip
    await publication.rehearse(world, work, stand_in)
    pending = PendingCredential(type=action.type, nonce=nonce, requested_at=now)
    status = work.registration.status.model_copy(
        update={**recorded(work), "pending_credential": pending}
    )
    await write_status(world, work, status)
    work.observed = replace(
        work.observed,
        intent=Intent(nonce=nonce, requested_at=now, fresh=True, type=action.type),
    )


async def issue(world: World, work: Pass, connection: Connection, action: IssueCredential) -> None:
    """Register a credential, try it at the token endpoint, and publish it in the Secret.

    Raises:
        Waiting, Stalled, Conflict: it was not published. What certainly nobody can have is removed
            again; the rest is found by its nonce, and swept.
    """
    application = work.known_application()
    now = world.clock()
    # Whatever happens from here on, this intent is used up.
    used = Intent(nonce=action.nonce, requested_at=now, type=action.policy.type)
    work.observed = replace(work.observed, intent=used)
    if action.policy.type is CredentialType.CERTIFICATE:
        made = await _register_certificate(world, work, connection, action)
    else:
        made = await _ask_for_secret(world, work, connection, action)
    work.observed = replace(work.observed, application=application.with_credential(made.credential))
    with finishing():
        await _deliver(world, work, connection, made, action.nonce)


async def _deliver(
    world: World, work: Pass, connection: Connection, made: _Made, nonce: str
) -> None:
    """Try a credential and publish it; nobody can ask for its value again."""
    app_id = work.known_application().app_id
    delivery = publication.Delivery()
    try:
        await proof.until_accepted(world, connection, app_id, made.proof)
        credential = NewCredential(
            type=made.credential.type, values=made.values, key_id=made.credential.key_id,
            nonce=nonce, expires_at=made.credential.end, written_at=world.clock(),
        )  # fmt: skip
        await publication.publish(world, work, credential, delivery)
    except OperatorError:
        if not delivery.unsure:
            await _withdraw(world, work, connection, made.credential)
        raise


async def _withdraw(
    world: World, work: Pass, connection: Connection, credential: DatedCredential
) -> None:
    """Remove a credential that no Secret can hold; if that fails, the sweep takes it later."""
    action = RevokeCredential(
        type=credential.type, key_id=credential.key_id, reason="CredentialNotPublished"
    )
    try:
        await _take_off(world, work, connection, action)
    except OperatorError:
        return
    work.applied.append(action)


async def federate(
    world: World, work: Pass, connection: Connection, action: SetFederatedIdentityCredential
) -> None:
    """Make the application trust a ServiceAccount. Nobody but its Pods could try whether it does.

    Raises:
        Stalled, Waiting: by consequence.
    """
    application = work.known_application()
    young = observe.is_young(application, world.clock(), world.policy)
    await connection.federated_identity_credentials.upsert(
        application, action.credential, young=young
    )
    connection.own_writes.added(work.identity.uid, action.credential.name)
    work.observed = replace(
        work.observed, application=application.with_federated(action.credential)
    )


async def _ask_for_secret(
    world: World, work: Pass, connection: Connection, action: IssueCredential
) -> _Made:
    application = work.known_application()
    now = world.clock()
    issued = await connection.applications.add_password(
        application,
        work.identity.credential_name(action.nonce),
        now + action.policy.duration,
        young=observe.is_young(application, now, world.policy),
    )
    return _Made(
        credential=issued.credential,
        proof=ClientCredential(client_secret=issued.value),
        values={CLIENT_SECRET_KEY: issued.value},
    )


async def _register_certificate(
    world: World, work: Pass, connection: Connection, action: IssueCredential
) -> _Made:
    application = work.known_application()
    now, start = world.clock(), observe.directory_time(world, work)
    end = start + action.policy.duration
    pair = await asyncio.to_thread(
        world.make_key_pair, work.name, action.policy.key_size, start, end
    )
    key = KeyCredential(
        key_id=work.identity.key_id(action.nonce),
        display_name=work.identity.credential_name(action.nonce),
        start=start, end=end,
    )  # fmt: skip
    await connection.key_credentials.add(
        application, key, pair.der, now=now, expected=known_keys(world, work),
        young=observe.is_young(application, now, world.policy),
    )  # fmt: skip
    private = pair.private_key
    return _Made(
        credential=key,
        proof=ClientCredential(private_key=private, certificate=pair.certificate),
        values={
            CERTIFICATE_KEY: SecretStr(pair.certificate),
            PRIVATE_KEY_KEY: private,
            COMBINED_KEY: SecretStr(private.get_secret_value() + pair.certificate),
            THUMBPRINT_KEY: SecretStr(pair.thumbprint),
        },
    )


def known_keys(world: World, work: Pass) -> frozenset[str]:
    """Key ids that the directory must show before its list of certificates may be written.

    What this pass saw, and what the Secret holds if that is so young that it may not show yet.
    """
    secret = work.observed.secret
    now = world.clock()
    known = {key.key_id for key in work.known_application().keys if key.end > now}
    if (
        secret is not None
        and secret.type is CredentialType.CERTIFICATE
        and secret.written_at is not None
        and now < secret.written_at + world.policy.replication_window
    ):
        known.add(secret.key_id or "")
    return frozenset(known)


async def revoke(
    world: World, work: Pass, connection: Connection, action: RevokeCredential
) -> None:
    """Take a credential off the application, unless the Secret turns out to hold it by now.

    Raises:
        Conflict: it does.
    """
    if work.secret is not None:
        live = await world.secrets.read(work.identity, work.registration.secret_name)
        held = live.state if live is not None and live.state.credential_intact else None
        if held is not None and held.key_id == action.key_id and work.desired is not None:
            raise Conflict("the Secret holds the credential that was to be revoked")
    await _take_off(world, work, connection, action)


async def _take_off(
    world: World, work: Pass, connection: Connection, action: RevokeCredential
) -> None:
    application = work.known_application()
    match action.type:
        case CredentialType.CERTIFICATE:
            await connection.key_credentials.remove(
                application, action.key_id, now=world.clock(), expected=known_keys(world, work)
            )
        case CredentialType.FEDERATED_IDENTITY:
            await connection.federated_identity_credentials.delete(
                application.object_id, action.key_id
            )
        case CredentialType.CLIENT_SECRET:
            await connection.applications.remove_password(application.object_id, action.key_id)
    if action.type is not CredentialType.FEDERATED_IDENTITY:  # those may come again, same id
        connection.own_writes.removed(work.identity.uid, action.key_id)
    work.observed = replace(
        work.observed, application=application.without_credential(action.key_id)
    )
