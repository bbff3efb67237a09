"""Federated identity credentials: which ServiceAccounts a client's application trusts.

They hold no secret and do not end, so there is nothing to renew: the set of ours is kept exactly as
the manifest has it. What others made is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fhir_app_operator.api.v1alpha1 import CredentialType, Federated
from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning import credentials
from fhir_app_operator.planning.model import (
    Desired,
    FederatedIdentityCredential,
    Federation,
    Following,
    IssuePolicy,
    Observed,
    Registration,
    Requests,
    RevokeCredential,
    SetFederatedIdentityCredential,
)

MOST: Final = 20
"""Federated credentials that an application can have (Microsoft Graph)."""
_ALGORITHM: Final = "RS256"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """Who signs the cluster's ServiceAccount tokens, and with which algorithms (RFC 7518)."""

    issuer: str
    algorithms: frozenset[str]


def wanted(
    identity: Registration, federated: Federated, cluster: TokenIssuer, audience: str
) -> Federation:
    """Return the credentials that `federated` asks for.

    Args:
        identity: whose they are; ServiceAccounts are in its namespace.
        federated: the manifest's part.
        cluster: used unless the manifest names another issuer, whose algorithms nobody tells.
        audience: the cloud's, used unless the manifest names another one.

    Raises:
        Stalled: `IssuerNotSupported`, Entra takes RS256 only (Microsoft Entra, "Workload identity
            federation").
    """
    issuer = federated.issuer or cluster.issuer
    if issuer == cluster.issuer and cluster.algorithms != {_ALGORITHM}:
        found = ", ".join(sorted(cluster.algorithms)) or "no keys"
        raise Stalled(
            "IssuerNotSupported",
            f"`credential.federated`: this cluster signs ServiceAccount tokens with {found}, Entra "
            f"takes {_ALGORITHM} only; give the API server an RSA key, name another `issuer`, or "
            "use another type of credential",
        )
    audience = federated.audience or audience
    subjects = [
        f"system:serviceaccount:{identity.namespace}:{account.name}"
        for account in federated.service_accounts
    ]
    return Federation(
        credentials=tuple(
            FederatedIdentityCredential(
                name=identity.federated_name(issuer, subject, audience),
                issuer=issuer, subject=subject, audience=audience,
            )
            for subject in sorted(subjects)
        )
    )  # fmt: skip


def ours(
    identity: Registration, found: Iterable[FederatedIdentityCredential]
) -> list[FederatedIdentityCredential]:
    """Return the credentials that this registration made, by their names."""
    return [each for each in found if identity.is_federated_name(each.name)]


def missing(desired: Desired, observed: Observed) -> tuple[SetFederatedIdentityCredential, ...]:
    """Return what makes the application trust each ServiceAccount; empty if it does.

    Raises:
        Stalled: `CredentialConflict`, those of others leave no room.
    """
    if not isinstance(desired.credential, Federation) or observed.application is None:
        return ()
    live = observed.application.federated
    lacking = [each for each in desired.credential.credentials if each not in live]
    if lacking:
        _refuse_conflicts(desired, desired.credential, live)
    present = {each.name for each in live}
    return tuple(
        SetFederatedIdentityCredential(
            credential=each,
            reason="FederatedCredentialDiffers" if each.name in present
            else "FederatedCredentialMissing",
        )
        for each in lacking
    )  # fmt: skip


def _refuse_conflicts(
    desired: Desired, wanted: Federation, live: tuple[FederatedIdentityCredential, ...]
) -> None:
    own = {each.name for each in ours(desired.registration, live)}
    others = [each for each in live if each.name not in own]
    places = {(each.issuer, each.subject) for each in wanted.credentials}
    for other in others:
        if (other.issuer, other.subject) in places:
            raise Stalled(
                "CredentialConflict",
                f"`credential.federated`: federated credential '{other.name}', which others made "
                f"on the application, has the issuer and subject '{other.subject}' already; "
                "remove it there",
            )
    if len(others) + len(wanted.credentials) > MOST:
        raise Stalled(
            "CredentialConflict",
            f"`credential.federated`: {len(wanted.credentials)} ServiceAccounts and {len(others)} "
            f"federated credentials of others are more than the {MOST} that an application can "
            "have; name fewer, or remove some there",
        )


def revocations(desired: Desired, observed: Observed, now: datetime) -> list[
    tuple[datetime, RevokeCredential]
]:  # fmt: skip
    """Return which federated credentials of ours go, and when.

    One that the manifest does not name any more goes at once: it is an access that was taken back.
    After a switch to another type they stay for the overlap.
    """
    if observed.application is None:
        return []
    own = ours(desired.registration, observed.application.federated)
    match desired.credential:
        case Federation(credentials=kept):
            names = {each.name for each in kept}
            return [(now, revoke(each)) for each in own if each.name not in names]
        case IssuePolicy() | Following():
            secret = observed.secret
            current = credentials.published(secret, observed.application.credentials)
            if secret is None or secret.written_at is None or current is None:
                return []
            if current.type is not desired.credential.type:
                return []
            return [_ending(desired.credential, desired.requests, observed, each, secret.written_at)
                    for each in own]  # fmt: skip
        case None:
            return [(now, revoke(each)) for each in own]


def _ending(
    wanted: IssuePolicy | Following, requests: Requests, observed: Observed,
    credential: FederatedIdentityCredential, written_at: datetime,
) -> tuple[datetime, RevokeCredential]:  # fmt: skip
    since = credentials.replaced_at(wanted, observed, credential.name, written_at)
    at, reason = credentials.switch_ends(wanted, requests, since)
    return at, revoke(credential, reason)


def revoke(
    credential: FederatedIdentityCredential, reason: str = "CredentialNotWanted"
) -> RevokeCredential:
    """Return the order to remove `credential`."""
    return RevokeCredential(
        type=CredentialType.FEDERATED_IDENTITY, key_id=credential.name, reason=reason
    )
