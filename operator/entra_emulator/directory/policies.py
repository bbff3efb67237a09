"""App management policy: what the tenant lets applications have as credentials, and for how long.

Source: the resource pages appManagementPolicy, appManagementConfiguration,
passwordCredentialConfiguration and keyCredentialConfiguration. Only the tenant's default policy is
kept, off at first; policies of single applications and exempted actors are not. Restrictions on
identifier URIs are in `identifier_uris`. Texts of refusals are recorded answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from entra_emulator.directory.errors import GraphError, bad_request
from entra_emulator.directory.schema import read_moment

POLICY_ID: Final = "00000000-0000-0000-0000-00000000d0a1"
PASSWORDS: Final = "passwordCredentials"
KEYS: Final = "keyCredentials"
TYPES: Final[Mapping[str, Mapping[str, bool]]] = {
    PASSWORDS: {
        "passwordAddition": False,
        "passwordLifetime": True,
        "customPasswordAddition": False,
        "symmetricKeyAddition": False,
        "symmetricKeyLifetime": True,
    },
    KEYS: {"asymmetricKeyLifetime": True},
}
"""Restriction types by the collection they belong to, and whether they need a `maxLifetime`.

Symmetric keys and passwords of the caller's choice cannot be added here at all, so restricting
them changes nothing.
"""
_MEMBERS: Final = frozenset(
    {"restrictionType", "state", "maxLifetime", "restrictForAppsCreatedAfterDateTime"}
)
_DURATION: Final = re.compile(
    r"P(?=.)(?:(?P<days>\d{1,6})D)?(?:T(?=.)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?"
    r"(?:(?P<seconds>\d{1,6})S)?)?"
)


class BadPolicy(ValueError):
    """The configuration is not one; the text names the member."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """One restriction that is enabled."""

    kind: str
    max_lifetime: timedelta | None
    created_after: datetime | None

    def concerns(self, created: datetime | None) -> bool:
        """Whether an application made at `created` falls under it; None is long ago."""
        if self.created_after is None:
            return True
        return created is not None and created > self.created_after


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for the credentials of one application."""

    restrictions: tuple[Restriction, ...] = ()
    granted_lifetime: timedelta | None = None

    def password_end(self, start: datetime, end: datetime) -> datetime:
        """When a password asked for that long ends; GraphError if it may not be made."""
        for restriction in self.restrictions:
            if restriction.kind == "passwordAddition":
                raise type_not_allowed()
            if restriction.kind == "passwordLifetime":
                _check(restriction, start, end)
        if self.granted_lifetime is not None and end - start > self.granted_lifetime:
            return start + self.granted_lifetime
        return end

    def check_key(self, start: datetime, end: datetime) -> None:
        """GraphError if a certificate may not be good for that long."""
        for restriction in self.restrictions:
            if restriction.kind == "asymmetricKeyLifetime":
                _check(restriction, start, end)


NO_LIMITS: Final = Limits()


class Policies:
    """The tenant's default policy, and a lifetime that the directory silently cuts wishes to."""

    def __init__(self) -> None:
        self.configuration: Mapping[str, Any] = {PASSWORDS: [], KEYS: []}
        self._restrictions: tuple[Restriction, ...] = ()
        self.granted_lifetime: timedelta | None = None
        """Passwords get no more than this, without a refusal; None: what they ask for."""

    def set(self, configuration: Mapping[str, Any]) -> None:
        """Take over an `appManagementConfiguration`; BadPolicy if it is none."""
        found = []
        for name, value in configuration.items():
            if name not in TYPES:
                raise BadPolicy(f"{name} is not known; known are {', '.join(TYPES)}")
            if not isinstance(value, list):
                raise BadPolicy(f"{name} must be a list of restrictions")
            found += [_restriction(name, entry) for entry in value]
        self.configuration = {PASSWORDS: [], KEYS: [], **configuration}
        self._restrictions = tuple(each for each in found if each is not None)

    def limits(self, created: str | None) -> Limits:
        """What holds for an application whose `createdDateTime` is `created`."""
        moment = None if created is None else read_moment(created)
        concerned = tuple(each for each in self._restrictions if each.concerns(moment))
        return Limits(concerned, self.granted_lifetime)

    def check_keys(
        self,
        created: str | None,
        before: Sequence[Mapping[str, Any]],
        after: Sequence[Mapping[str, Any]],
    ) -> None:
        """GraphError if a key credential that is new in `after` is not allowed."""
        limits, known = self.limits(created), {item["keyId"] for item in before}
        for item in after:
            if item["keyId"] not in known:
                limits.check_key(
                    read_moment(item["startDateTime"]), read_moment(item["endDateTime"])
                )


def type_not_allowed() -> GraphError:
    """400: credentials of that kind are blocked."""
    return bad_request(
        f"Credential type not allowed as per assigned policy '{POLICY_ID}'.",
        code="CredentialTypeNotAllowedAsPerAppPolicy",
    )


def _check(restriction: Restriction, start: datetime, end: datetime) -> None:
    if restriction.max_lifetime is not None and end - start > restriction.max_lifetime:
        raise bad_request(
            f"Credential lifetime exceeds the max value allowed as per assigned policy "
            f"'{POLICY_ID}'.",
            code="CredentialInvalidLifetimeAsPerAppPolicy",
        )


def _restriction(collection: str, entry: object) -> Restriction | None:
    """The restriction, None if it is disabled."""
    if not isinstance(entry, dict):
        raise BadPolicy(f"{collection} must be a list of restrictions")
    for name in entry:
        if name not in _MEMBERS:
            raise BadPolicy(f"{name} is not known; known are {', '.join(sorted(_MEMBERS))}")
    kind, state = entry.get("restrictionType"), entry.get("state")
    if not isinstance(kind, str) or kind not in TYPES[collection]:
        raise BadPolicy(f"restrictionType must be one of {', '.join(TYPES[collection])}")
    if state not in {"enabled", "disabled"}:
        raise BadPolicy("state must be enabled or disabled")
    lifetime = _lifetime(entry.get("maxLifetime"))
    if TYPES[collection][kind] != (lifetime is not None):
        word = "needs a" if TYPES[collection][kind] else "has no"
        raise BadPolicy(f"{kind} {word} maxLifetime")
    after = _moment(entry.get("restrictForAppsCreatedAfterDateTime"))
    return Restriction(kind, lifetime, after) if state == "enabled" else None


def _lifetime(value: object) -> timedelta | None:
    if value is None:
        return None
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise BadPolicy("maxLifetime must be an ISO 8601 duration in days, such as P180D")
    return timedelta(**{name: int(number) for name, number in found.groupdict("0").items()})


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        return read_moment(value)
    except GraphError as error:
        raise BadPolicy("restrictForAppsCreatedAfterDateTime must be a time") from error
