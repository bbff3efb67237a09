"""What a FHIR server expects of a client's token, and what it answers to a given one.

Pure. The order is the server's: a token that is not for it is refused with 401 before anybody looks
at what it allows (403), and SMART scopes that do not go together are a bad request (400). Sources:
"Access token claims reference" of the Microsoft identity platform; the open-source FHIR server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from fhir_app_operator.api.v1alpha1 import ScopeEncoding
from fhir_app_operator.planning import smart

OK: Final = 200
BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
_ORDER: Final = (UNAUTHORIZED, BAD_REQUEST, FORBIDDEN)
_ROLES: Final = "roles"
_SERVER_ROLE: Final = "a role of the server, too"
_LISTED: Final = 20
"""How many values of a claim are shown."""
_LONGEST: Final = 200
"""How many characters of a value are shown: claims come from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the token of one client must say."""

    audience: str
    issuer: str
    token_version: int
    tenant_id: str
    client_id: str | None = None
    """None: of any client, for a server itself."""
    claim: str | None = None
    """`roles` or `scp`: where permissions are; None: they are not looked at."""
    permissions: Mapping[str, str] = field(default_factory=dict)
    """What the manifest asks for: as manifests spell it, by its spelling in a token."""
    encoding: ScopeEncoding = ScopeEncoding.DOT
    needs_role: bool = True
    """The server reads SMART scopes only beside a role of its own, as the open-source one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """One claim: what is expected, what is there, and what is wrong with that."""

    claim: str
    expected: str
    found: str = ""
    answer: int = OK
    """The server's, if it looked at this claim alone."""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the server answers to the token: a status, and one sentence why."""

    status: int
    why: str
    rows: tuple[ClaimRow, ...]


def rows(expected: Expectation) -> tuple[ClaimRow, ...]:
    """Return the claims that are looked at and what they must be."""
    identity = [
        ClaimRow(claim=name, expected=value) for name, (value, _) in _identity(expected).items()
    ]
    if expected.claim is None:
        return tuple(identity)
    wanted = _listed(expected.permissions)
    return (*identity, ClaimRow(claim=expected.claim, expected=wanted))


def judge(expected: Expectation, claims: Mapping[str, Any], now: datetime) -> Verdict:
    """Return what a server that expects `expected` answers to a token with `claims` at `now`."""
    found = [
        _compared(claims, name, value, remedy)
        for name, (value, remedy) in _identity(expected).items()
    ]
    found.append(_not_ended(claims, now))
    if expected.claim is not None:
        found += _permissions(expected, expected.claim, claims)
    wrong = {row.answer: row for row in reversed(found) if row.answer != OK}
    status = next((answer for answer in _ORDER if answer in wrong), OK)
    return Verdict(status=status, why=_why(expected, claims, wrong.get(status)), rows=tuple(found))


def _identity(expected: Expectation) -> dict[str, tuple[str, str]]:
    """What the token must be and for whom, with the place to look at if it is not."""
    party = "appid" if expected.token_version == 1 else "azp"
    client = {party: (expected.client_id, "whose Secret this is")} if expected.client_id else {}
    return {
        "aud": (expected.audience, "FHIR_AUDIENCE of the server, FHIR_SCOPE of the client"),
        "iss": (expected.issuer, "`resource.tokenVersion` and FHIR_AUTHORITY of the server"),
        "ver": (f"{expected.token_version}.0", "`resource.tokenVersion` of the server"),
        "tid": (expected.tenant_id, "`tenantRef` of client and server"),
        **client,
    }


def _compared(claims: Mapping[str, Any], name: str, wanted: str, remedy: str) -> ClaimRow:
    found = claims.get(name)
    good = found == wanted
    return ClaimRow(
        claim=name, expected=wanted, found="none" if found is None else str(found)[:_LONGEST],
        answer=OK if good else UNAUTHORIZED, remedy="" if good else remedy,
    )  # fmt: skip


def _not_ended(claims: Mapping[str, Any], now: datetime) -> ClaimRow:
    seconds = claims.get("exp")
    good = isinstance(seconds, int) and seconds > now.timestamp()
    return ClaimRow(
        claim="exp", expected=f"after {now:%Y-%m-%dT%H:%M:%SZ}", found=_moment(seconds),
        answer=OK if good else UNAUTHORIZED, remedy="" if good else "the clocks of both sides",
    )  # fmt: skip


def _moment(seconds: Any) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (TypeError, ValueError, OverflowError, OSError):
        return "none"


def _permissions(
    expected: Expectation, claim: str, claims: Mapping[str, Any]
) -> Iterable[ClaimRow]:
    held = _values(claims.get(claim))
    good = not _missing(expected, claims)
    yield ClaimRow(
        claim=claim, expected=_listed(expected.permissions), found=_listed(held),
        answer=OK if good else FORBIDDEN,
        remedy="" if good else "what is granted to the client: the condition ConsentGranted",
    )  # fmt: skip
    decoded = [smart.decode(value, expected.encoding) for value in held]
    if claim == _ROLES and good and expected.needs_role and all(map(_is_scope, decoded)):
        yield ClaimRow(
            claim=claim, expected=_SERVER_ROLE, found=_listed(held), answer=FORBIDDEN,
            remedy="add `smartUser` to `appRoles`: only with it the open-source server reads SMART "
            "scopes",
        )  # fmt: skip
    mixed = smart.mixture(filter(_is_scope, decoded))
    if mixed is not None:
        yield ClaimRow(
            claim=claim, expected="one SMART context and version", found=_listed(held),
            answer=BAD_REQUEST, remedy=f"{mixed}; take back what the manifest does not ask for",
        )  # fmt: skip


def _missing(expected: Expectation, claims: Mapping[str, Any]) -> list[str]:
    """What the manifest asks for and the token does not hold, as manifests spell it."""
    held = _values(claims.get(expected.claim or ""))
    return [shown for value, shown in expected.permissions.items() if value not in held]


def _is_scope(value: str) -> bool:
    try:
        return smart.parse(value) is not None
    except smart.InvalidScopeError:
        return False


def _why(expected: Expectation, claims: Mapping[str, Any], wrong: ClaimRow | None) -> str:
    if wrong is None:
        asked = ", and it holds all that the manifest asks for" if expected.claim else ""
        return f"the server takes the token{asked}"
    if wrong.answer != FORBIDDEN or wrong.expected == _SERVER_ROLE:
        return f"`{wrong.claim}` is {wrong.found}, the server expects {wrong.expected}"
    missing = _missing(expected, claims)
    all_missing = len(missing) == len(expected.permissions)
    what = "every request" if all_missing else "a request that needs it"
    return f"`{wrong.claim}` lacks {_listed(missing)}: {what} is refused"


def _values(claim: Any) -> list[str]:
    """The values of a claim that holds several, as a list (`roles`) or separated by blanks."""
    if isinstance(claim, list):
        return [str(each) for each in claim]
    return claim.split() if isinstance(claim, str) else []


def _listed(values: Iterable[str]) -> str:
    found = sorted(values)
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return (", ".join(each[:_LONGEST] for each in found[:_LISTED]) or "none") + more
