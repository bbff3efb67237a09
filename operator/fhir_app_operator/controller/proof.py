"""Asking sign-in whether a credential works: before it is published, before it counts as lost.

When a credential is made or given up is decided in planning.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.auth import ClientCredential, Probe
from fhir_app_operator.kube.secrets import LiveSecret
from fhir_app_operator.planning.credentials import published
from fhir_app_operator.planning.model import (
    Application,
    DatedCredential,
    KeyCredential,
    PasswordCredential,
    SecretState,
)
from fhir_app_operator.planning.model.secret import (
    CERTIFICATE_KEY,
    CLIENT_SECRET_KEY,
    PRIVATE_KEY_KEY,
)

_PAUSES: Final = (0.5, 1.0, 2.0, 3.0)


async def until_accepted(
    world: World, connection: Connection, app_id: str, proof: ClientCredential
) -> None:
    """Ask the token endpoint until it accepts a fresh credential; only then may anybody get it.

    An endpoint that gives no answer is asked again, too: the value cannot be had a second time.

    Raises:
        Waiting: it did not accept it in time; what was made is found by its nonce.
    """
    deadline = world.clock() + world.probe_timeout
    pauses = _pauses(_PAUSES)
    while (refusal := await _refusal(world, connection, app_id, proof)) is not None:
        pause = pauses()
        if world.clock() + timedelta(seconds=pause) > deadline:
            raise refusal
        await world.sleep(pause)


async def _refusal(
    world: World, connection: Connection, app_id: str, proof: ClientCredential
) -> Waiting | None:
    """None if the credential works; else what to say if it stays like that."""
    try:
        answer = await connection.sign_in.probe(app_id, proof)
    except Waiting as error:
        return error
    if answer is Probe.ACCEPTED:
        return None
    seconds = world.probe_timeout.total_seconds()
    return Waiting(
        "NotYetReplicated",
        f"the sign-in service did not accept a fresh credential within {seconds:.0f} seconds; a "
        "new one will be issued",
    )


def _pauses(first: tuple[float, ...]) -> Callable[[], float]:
    """Return a function that yields `first` one by one, then its last value for ever."""
    remaining = list(first)

    def pause() -> float:
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    return pause


async def with_proven(
    world: World, work: Pass, connection: Connection, application: Application
) -> Application:
    """Return `application` with the Secret's credential, if that is not shown but works.

    A read that does not show it proves nothing, sign-in does: only a credential that is refused
    there is lost. A young one is not asked for, since planning waits for it anyway.

    Raises:
        Waiting: the sign-in service is out of reach.
    """
    state, secret = work.observed.secret, work.secret
    if state is None or secret is None or not _is_doubtful(world, state, application):
        return application
    held, proof = _held(work, state), proof_in(secret)
    if held is None or proof is None:
        return application
    if await connection.sign_in.probe(application.app_id, proof) is Probe.NOT_YET:
        return application
    work.doubted = True
    return application.with_credential(held)


def _is_doubtful(world: World, state: SecretState, application: Application) -> bool:
    """Whether the Secret's credential should be shown by now, and is not."""
    return (
        state.ours
        and state.credential_intact
        and state.written_at is not None
        and world.clock() >= state.written_at + world.policy.replication_window
        and published(state, application.credentials) is None
    )


def proof_in(secret: LiveSecret) -> ClientCredential | None:
    """Return what a workload would sign in with; None if the Secret does not hold it."""
    parts = secret.credential
    if secret.state.type is CredentialType.CLIENT_SECRET:
        return ClientCredential(client_secret=parts[CLIENT_SECRET_KEY])
    if secret.state.type is CredentialType.CERTIFICATE and PRIVATE_KEY_KEY in parts:
        return ClientCredential(
            private_key=parts[PRIVATE_KEY_KEY],
            certificate=parts[CERTIFICATE_KEY].get_secret_value(),
        )
    return None


def _held(work: Pass, state: SecretState) -> DatedCredential | None:
    """The Secret's credential with the times that status reports, else its own annotations."""
    if state.key_id is None or state.written_at is None or state.expires_at is None:
        return None
    kind = PasswordCredential if state.type is CredentialType.CLIENT_SECRET else KeyCredential
    reported = work.registration.status.credentials
    known = next((each for each in reported if each.key_id == state.key_id), None)
    return kind(
        key_id=state.key_id,
        display_name=work.identity.credential_name(state.nonce or state.key_id),
        start=(known.start_time if known else None) or state.written_at,
        end=(known.end_time if known else None) or state.expires_at,
    )
