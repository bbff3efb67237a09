"""Credentials: intent, issue, probe, publish, revoke; and the Secret, which is written here only.

The value of a client secret exists only inside `issue`: asked for, probed, published, forgotten.
When and why is decided in `planning.credentials`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from fhir_app_operator.api.v1alpha1 import PendingCredential
from fhir_app_operator.controller import observe
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.status import recorded, write_status
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, Waiting
from fhir_app_operator.graph.applications import IssuedPassword
from fhir_app_operator.graph.auth import Probe
from fhir_app_operator.kube.secrets import Content, LiveSecret, NewCredential
from fhir_app_operator.planning.desired import resolved
from fhir_app_operator.planning.model import (
    Intent,
    IssueCredential,
    PasswordCredential,
    RevokeCredential,
)

_PROBE_PAUSES: Final = (0.5, 1.0, 2.0, 3.0)
_PUBLISH_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)


async def record_intent(world: World, work: Pass) -> None:
    """Make the intent durable before anybody asks the directory: design rule of the protocol.

    The Secret is rehearsed first: a credential that cannot be published must not be made.

    Raises:
        Conflict: the registration or the Secret changed since it was read.
        Stalled: `SecretConflict`.
    """
    now = world.clock()
    nonce = world.nonce()
    nobody = PasswordCredential(key_id=nonce, display_name=None, start=now, end=now)
    stand_in = NewCredential(value=SecretStr(nonce), credential=nobody, nonce=nonce, written_at=now)
    await world.secrets.rehearse(work.secret, _content(work, stand_in))
    pending = PendingCredential(nonce=nonce, requested_at=now)
    status = work.registration.status.model_copy(
        update={**recorded(work), "pending_credential": pending}
    )
    await write_status(world, work, status)
    work.observed = replace(work.observed, intent=Intent(nonce=nonce, requested_at=now, fresh=True))


async def issue(world: World, work: Pass, connection: Connection, action: IssueCredential) -> None:
    """Ask for a credential, try it at the token endpoint, and publish it in the Secret.

    Raises:
        Waiting, Stalled, Conflict: it was not published; what was made is found by its nonce.
    """
    application = work.known_application()
    now = world.clock()
    # Whatever happens from here on, this intent is used up.
    work.observed = replace(
        work.observed, intent=Intent(nonce=action.nonce, requested_at=now, fresh=False)
    )
    issued = await connection.applications.add_password(
        application,
        work.identity.credential_name(action.nonce),
        now + action.duration,
        young=observe.is_young(application, now, world.policy),
    )
    passwords = (*application.passwords, issued.credential)
    work.observed = replace(work.observed, application=replace(application, passwords=passwords))
    await _probe(world, connection, application.app_id, issued)
    await _publish(world, work, issued, action.nonce)


async def _probe(world: World, connection: Connection, app_id: str, issued: IssuedPassword) -> None:
    """Ask the token endpoint until it accepts the secret; only then may anybody get it."""
    deadline = world.clock() + world.probe_timeout
    pauses = _pauses(_PROBE_PAUSES)
    while await connection.sign_in.probe(app_id, issued.value) is Probe.NOT_YET:
        pause = pauses()
        if world.clock() + timedelta(seconds=pause) > deadline:
            raise Waiting(
                "NotYetReplicated",
                "the sign-in service did not accept a fresh client secret within "
                f"{world.probe_timeout.total_seconds():.0f} seconds; a new one will be issued",
            )
        await world.sleep(pause)


def _pauses(first: tuple[float, ...]) -> Callable[[], float]:
    """Return a function that yields `first` one by one, then its last value for ever."""
    remaining = list(first)

    def pause() -> float:
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    return pause


async def _publish(world: World, work: Pass, issued: IssuedPassword, nonce: str) -> None:
    """Write the Secret, asking an API server that does not answer again.

    The value cannot be had a second time.
    """
    content = _content(
        work,
        NewCredential(
            value=issued.value, credential=issued.credential, nonce=nonce,
            written_at=world.clock(),
        ),
    )  # fmt: skip
    for pause in (*_PUBLISH_PAUSES, None):
        try:
            written = await world.secrets.write(work.secret, content)
        except Conflict:
            written = await _written_earlier(world, work, nonce)
        except Waiting:
            if pause is None:
                raise
            await world.sleep(pause)
            continue
        _fold_secret(work, written)
        return


async def _written_earlier(world: World, work: Pass, nonce: str) -> LiveSecret:
    """Return the Secret if a lost answer of ours is what made it change, else raise Conflict."""
    found = await world.secrets.read(work.identity, work.registration.secret_name)
    if found is None or not found.state.credential_intact or found.state.nonce != nonce:
        raise Conflict("the Secret changed while its credential was renewed")
    return found


async def write_secret(world: World, work: Pass) -> None:
    """Bring the Secret's other data and metadata in order; the credential in it stays.

    Raises:
        Conflict: it changed since it was read.
        Stalled: `SecretConflict`.
    """
    _fold_secret(work, await world.secrets.write(work.secret, _content(work, None)))


def _content(work: Pass, credential: NewCredential | None) -> Content:
    desired = work.wanted()
    return Content(
        registration=work.identity,
        name=desired.secret_name,
        data=resolved(desired.connection, work.known_application().app_id),
        owned=desired.secret_owned,
        keep_credential=desired.credential is not None,
        credential=credential,
    )


def _fold_secret(work: Pass, secret: LiveSecret) -> None:
    work.secret = secret
    work.observed = replace(work.observed, secret=secret.state)


async def revoke(
    world: World, work: Pass, connection: Connection, action: RevokeCredential
) -> None:
    """Remove a client secret, unless the Secret turns out to hold it by now.

    Raises:
        Conflict: it does.
    """
    application = work.known_application()
    if work.secret is not None:
        live = await world.secrets.read(work.identity, work.registration.secret_name)
        if live is not None and live.state.key_id == action.key_id and work.desired is not None:
            raise Conflict("the Secret holds the credential that was to be revoked")
    await connection.applications.remove_password(application.object_id, action.key_id)
    passwords = tuple(p for p in application.passwords if p.key_id != action.key_id)
    work.observed = replace(work.observed, application=replace(application, passwords=passwords))
