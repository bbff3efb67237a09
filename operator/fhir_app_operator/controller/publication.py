"""The registration's Secret is written here only: a new credential, or its other data.

So is the ConfigMap that repeats the latter.

What should be in it is decided in planning; how it is guarded, in `kube.secrets`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, Waiting
from fhir_app_operator.kube.secrets import Content, LiveSecret, NewCredential
from fhir_app_operator.planning import secret_data
from fhir_app_operator.planning.model import DeleteConfigMap, WriteConfigMap, WriteSecret

_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)


@dataclass(slots=True)
class Delivery:
    """What is known of a publication that failed."""

    unsure: bool = False
    """A write was not answered: it may have taken place, or may yet."""


async def rehearse(world: World, work: Pass, credential: NewCredential) -> None:
    """Find out whether a credential like `credential` could be published, without writing.

    Raises:
        Conflict: the Secret changed since it was read.
        Stalled: `SecretConflict`.
    """
    await world.secrets.rehearse(work.secret, _content(work, credential))


async def publish(world: World, work: Pass, credential: NewCredential, delivery: Delivery) -> None:
    """Write the Secret, asking an API server that does not answer again.

    The value cannot be had a second time.

    Raises:
        Conflict: the Secret changed since it was read.
        Waiting, Stalled: by consequence.
    """
    content = _content(work, credential)
    for pause in (*_PAUSES, None):
        try:
            written = await world.secrets.write(work.secret, content)
        except Conflict:
            written = await _written_earlier(world, work, credential, delivery)
        except Waiting:
            delivery.unsure = True
            if pause is None:
                raise
            await world.sleep(pause)
            continue
        _fold_secret(work, written)
        return


async def _written_earlier(
    world: World, work: Pass, credential: NewCredential, delivery: Delivery
) -> LiveSecret:
    """Return the Secret if a lost answer of ours is what made it change, else raise Conflict."""
    before, delivery.unsure = delivery.unsure, True
    found = await world.secrets.read(work.identity, work.registration.secret_name)
    delivery.unsure = before
    ours = found is not None and found.state.credential_intact
    if found is None or not ours or found.state.nonce != credential.nonce:
        raise Conflict("the Secret changed while its credential was renewed")
    return found


async def write_secret(world: World, work: Pass, action: WriteSecret) -> None:
    """Bring the Secret's other data and metadata in order; the credential in it stays or goes.

    Raises:
        Conflict: it changed since it was read.
        Stalled: `SecretConflict`.
    """
    federated = (
        NewCredential(type=CredentialType.FEDERATED_IDENTITY, written_at=world.clock())
        if action.federated
        else None
    )
    _fold_secret(work, await world.secrets.write(work.secret, _content(work, federated)))


def _content(work: Pass, credential: NewCredential | None) -> Content:
    desired = work.wanted()
    return Content(
        registration=work.identity,
        name=desired.secret_name,
        data=secret_data.data(desired, work.observed),
        credential_keys=desired.credential_keys,
        owned=desired.secret_owned,
        template=desired.secret_template,
        keep_credential=desired.credential is not None,
        credential=credential,
    )


async def write_config_map(world: World, work: Pass, action: WriteConfigMap) -> None:
    """Make the ConfigMap, or bring it in order.

    Raises:
        Conflict: it changed since it was read.
        Stalled: `ConfigMapConflict`.
    """
    desired = work.wanted()
    data = secret_data.data(desired, work.observed)
    work.config_map = await world.config_maps.write(
        work.config_map, work.identity, action.name, data, owned=desired.secret_owned
    )
    work.observed = replace(work.observed, config_map=work.config_map.state)


async def delete_config_map(world: World, work: Pass, action: DeleteConfigMap) -> None:
    """Delete the ConfigMap that status names, if it is ours.

    Raises:
        Conflict: it changed since it was read.
    """
    live = await world.config_maps.read(work.identity, action.name)
    if live is not None and live.state.ours:
        await world.config_maps.delete(live, work.identity)
    work.observed = replace(work.observed, recorded_config_map=None)


def _fold_secret(work: Pass, secret: LiveSecret) -> None:
    work.secret = secret
    work.observed = replace(work.observed, secret=secret.state)
