"""What a refused sign-in means for the manifests: AADSTS codes and the line to look at.

Pure. Source: "Microsoft Entra authentication and authorization error codes"; docs/access.md has the
same table for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why there is no token, and what to do."""

    what: str
    remedy: str


REMEDIES: Final[Mapping[int, str]] = {
    700016: "the application is not in this tenant: `tenantRef`; a new one needs a minute",
    7000215: "the client secret is not one of the application's: the workload has an older Secret, "
    "or a new secret needs a minute",
    7000222: "the client secret has ended: the condition Synced says why it was not renewed",
    7000218: "a credential is asked for: the redirect URI is on the platform `web`, which is for "
    "type Confidential; a page's belongs under `spa`, an installed program's under `publicClient`",
    700027: "the certificate is not one of the application's, or needs a minute",
    500011: "the server's application or service principal is not in the tenant: `fhirServerRef`, "
    "and its registration must be Ready",
    501051: "the server gives tokens to assigned clients only: grant one of its app roles to this "
    "client",
    50105: "the server gives tokens to assigned users only: the user needs one of its app roles",
    65001: "nobody consented: the condition ConsentGranted says what is missing, and where",
    650053: "the server does not expose such a scope: `scopes`, and the server's `resource.scopes`",
    650057: "the application does not ask for a permission of this server: `fhirServerRef`, "
    "`scopes`, `appRoles`",
    50011: "the redirect URI is not registered: `redirectUris`, to the letter",
    9002325: "a page must use PKCE",
    9002326: "the code was redeemed by a page, but the redirect URI is not under `spa`",
    9002327: "the redirect URI is under `spa`, but the code was not redeemed by a page: "
    "a server-side application's belongs under `web`",
    50146: "mapped claims need `acceptMappedClaims`, which this operator does not set",
    53003: "a Conditional Access policy refuses this sign-in: the tenant's administrators",
}
"""By AADSTS code: what to do, with the fields of the manifests."""


def refusal(codes: Iterable[int], text: str) -> Refusal:
    """Return what the sign-in that was refused with `codes` needs; `text` cites it."""
    known = [REMEDIES[code] for code in sorted(codes) if code in REMEDIES]
    return Refusal(what=text, remedy="; ".join(known) or "the code's own page says more")
