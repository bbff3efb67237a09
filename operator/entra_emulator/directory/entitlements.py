"""App roles and OAuth scopes: what an application may declare, and what it may change.

Source: the pages of `appRole` and `permissionScope`; the rule that an entry must be disabled
before it is changed or removed is Graph's error CannotDeleteOrUpdateEnabledEntitlement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from entra_emulator.directory.errors import GraphError, enabled_entitlement, invalid_value

ROLES: Final = "appRoles"
SCOPES: Final = "api.oauth2PermissionScopes"
MAX_VALUE: Final = 120
_VALUE = re.compile(r"[0-9A-Za-z!#$%&'()*+,\-./:;=?@\[\]^_{}~`<>|]+")
_ROLE_FACTS = ("allowedMemberTypes", "description", "displayName", "value")
_SCOPE_FACTS = (
    "adminConsentDescription",
    "adminConsentDisplayName",
    "type",
    "userConsentDescription",
    "userConsentDisplayName",
    "value",
)

Entry = Mapping[str, Any]


def roles_of(application: Mapping[str, Any]) -> Sequence[Entry]:
    """The app roles of an application document."""
    roles: Sequence[Entry] = application["appRoles"]
    return roles


def scopes_of(application: Mapping[str, Any]) -> Sequence[Entry]:
    """The OAuth scopes of an application document."""
    scopes: Sequence[Entry] = application["api"]["oauth2PermissionScopes"]
    return scopes


def check(application: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    """Raise GraphError unless the roles and scopes are allowed, given those there were `before`."""
    if before is not None:
        check_visible_change(application, before)
    _check_entries(roles_of(application), ROLES)
    _check_entries(scopes_of(application), SCOPES)
    for role in roles_of(application):
        if not role["allowedMemberTypes"]:
            raise invalid_value(ROLES, "Application", "allowedMemberTypes must not be empty.")
    _check_sharing(application)
    _check_pre_authorized(application)


def check_visible_change(application: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
    """Raise GraphError if an entry changes or goes that `shown` has enabled.

    The replica that answers judges by what it has: one that is behind does not know yet that an
    entry was disabled.
    """
    _check_change(roles_of(shown), roles_of(application), _ROLE_FACTS)
    _check_change(scopes_of(shown), scopes_of(application), _SCOPE_FACTS)


def _check_change(before: Sequence[Entry], after: Sequence[Entry], facts: Sequence[str]) -> None:
    entries = {entry["id"]: entry for entry in after}
    for old in before:
        new = entries.get(old["id"])
        changed = new is None or any(_fact(new, name) != _fact(old, name) for name in facts)
        if old["isEnabled"] and changed:
            raise enabled_entitlement()


def _fact(entry: Entry, name: str) -> Any:
    value = entry[name]
    return sorted(value) if isinstance(value, list) else value


def _check_entries(entries: Sequence[Entry], prop: str) -> None:
    if len({entry["id"] for entry in entries}) != len(entries):
        raise invalid_value(prop, "Application", "Two entries have the same id.")
    values = [entry["value"] for entry in entries if entry["value"]]
    if len(set(values)) != len(values):
        raise invalid_value(prop, "Application", "Two entries have the same value.")
    for value in values:
        _check_value(value, prop)


def _check_value(value: str, prop: str) -> None:
    def refuse(why: str) -> GraphError:
        return invalid_value(f"{prop}.value", "Application", why)

    if len(value) > MAX_VALUE:
        raise refuse(f"The value must not be longer than {MAX_VALUE} characters.")
    if value.startswith("."):
        raise refuse("The value must not begin with a dot.")
    if not _VALUE.fullmatch(value):
        raise refuse("The value holds a character that is not allowed.")


def _check_sharing(application: Mapping[str, Any]) -> None:
    """A role and a scope that share an id or a value must be one permission under two names."""
    for role in roles_of(application):
        for scope in scopes_of(application):
            same_value = role["value"] is not None and role["value"] == scope["value"]
            if role["id"] != scope["id"] and not same_value:
                continue
            twins = (
                role["id"] == scope["id"]
                and role["value"] == scope["value"]
                and role["displayName"] == scope["adminConsentDisplayName"]
                and role["description"] == scope["adminConsentDescription"]
                and role["isEnabled"] == scope["isEnabled"]
            )
            if not twins:
                why = (
                    f"The app role and the scope '{scope['value']}' must have the same id, value, "
                    "display name, description and isEnabled."
                )
                raise invalid_value(ROLES, "Application", why)


def _check_pre_authorized(application: Mapping[str, Any]) -> None:
    known = {scope["id"] for scope in scopes_of(application)}
    for client in application["api"]["preAuthorizedApplications"]:
        for permission in client["delegatedPermissionIds"]:
            if permission.lower() not in known:
                why = (
                    f"Property PermissionIds has a Permission Id {permission} that cannot be "
                    "found in the AppPermissions sets."
                )
                target = "api.preAuthorizedApplications.delegatedPermissionIds"
                raise invalid_value(target, "Application", why)
