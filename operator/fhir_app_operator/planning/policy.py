"""What the tenant lets its registrations ask for: roles, scopes, redirect hosts.

Pure. The check is made on what is about to be written (`refuse`), not on the manifest: what the
directory has from before is reported or taken out, as the policy says. What is granted by itself is
`planning.grants`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from fhir_app_operator.api.v1alpha1 import TenantPolicy
from fhir_app_operator.api.v1alpha1.well_known import GRAPH_APP_ID
from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning.grants import matches
from fhir_app_operator.planning.model import (
    Action,
    Application,
    Asked,
    CreateApplication,
    Desired,
    RedirectUris,
    ResourceAccess,
    UpdateApplication,
    Violation,
)

_ADMINISTRATORS: Final = ("globaladmin", "administrator")
"""Of the open-source FHIR server and of fhir-proxy, which take roles in any case of letters."""
_SYSTEM: Final = re.compile(r"system[/.$]([a-z]+|\*)\.([a-z]+|\*)(?:\?.*)?")
"""A SMART scope without a user, in SMART's own form and in both of Entra's."""
_LISTED: Final = 20
"""How many violations a message lists."""


# ---- what may be asked for


def is_admin_grade(app_id: str, value: str) -> bool:
    """Whether the app role is one that a pattern with `*` never means.

    Those that may do everything: the FHIR servers' administrators, SMART's `system` scopes with all
    access to a type or with writing access to all types, and every role of Microsoft Graph.
    Letters of either case are the same: the open-source FHIR server compares roles so.
    """
    if app_id == GRAPH_APP_ID or value.lower() in _ADMINISTRATORS:
        return True
    found = _SYSTEM.fullmatch(value.lower())
    return found is not None and _writes_widely(*found.groups())


def _writes_widely(kind: str, access: str) -> bool:
    writes = access == "write" or (set(access) <= set("cruds") and bool(set(access) & set("cud")))
    return access in ("*", "all", "cruds") or (kind in ("*", "all") and writes)


def allows_role(policy: TenantPolicy, app_id: str, value: str) -> bool:
    """Whether a registration may ask for the app role `value` of the API `app_id`."""
    if value in policy.app_roles:
        return True
    return not is_admin_grade(app_id, value) and _is_meant(policy.app_roles, value)


def allows_scope(policy: TenantPolicy, value: str) -> bool:
    """Whether a registration may ask for the scope `value`."""
    return _is_meant(policy.scopes, value)


def allows_redirect(policy: TenantPolicy, uri: str) -> bool:
    """Whether a registration may have the redirect URI; one that has no host goes by its scheme."""
    parts = urlsplit(uri)
    by_host = parts.scheme in ("http", "https")
    subject = (parts.hostname or "") if by_host else f"{parts.scheme}:"
    return _is_meant(policy.redirect_hosts, subject)


def _is_meant(patterns: Iterable[str], value: str) -> bool:
    return any(matches(pattern, value) for pattern in patterns)


def violations(
    policy: TenantPolicy | None, found: Iterable[Asked], redirects: RedirectUris
) -> tuple[Violation, ...]:
    """Return what is asked for against the policy; without one, its defaults hold."""
    policy = policy or TenantPolicy()
    broken = [
        Violation(
            what=f"{what} '{value}' of {api.name}",
            access=access,
        )
        for api in found
        for what, value, access in _disallowed(policy, api)
    ]
    uris = redirects.web | redirects.spa | redirects.public_client
    broken += [
        Violation(what=f"redirect URI '{uri}'", redirect_uri=uri)
        for uri in sorted(uris)
        if not allows_redirect(policy, uri)
    ]
    return tuple(broken)


def _disallowed(policy: TenantPolicy, api: Asked) -> Iterable[tuple[str, str, ResourceAccess]]:
    for value, access in api.role_access.items():
        if not allows_role(policy, api.app_id, value):
            yield "app role", value, access
    for value, access in api.scope_access.items():
        if not allows_scope(policy, value) and value not in api.required:
            yield "scope", value, access


# ---- what becomes of the rest


def allowed_only(found: Iterable[Asked], broken: Iterable[Violation]) -> tuple[Asked, ...]:
    """Return `found` without what breaks the policy."""
    barred = barred_access(broken)
    return tuple(
        replace(
            api,
            app_roles=_without(api.role_access, barred),
            scopes=_without(api.scope_access, barred),
        )
        for api in found
    )


def _without(
    access: Mapping[str, ResourceAccess], barred: frozenset[ResourceAccess]
) -> dict[str, str]:
    return {value: each.id for value, each in access.items() if each not in barred}


def barred_access(broken: Iterable[Violation]) -> frozenset[ResourceAccess]:
    """Return the permissions that break the policy."""
    return frozenset(each.access for each in broken if each.access is not None)


def allowed_redirects(redirects: RedirectUris, broken: Iterable[Violation]) -> RedirectUris:
    """Return `redirects` without what breaks the policy."""
    barred = {each.redirect_uri for each in broken}
    return RedirectUris(
        web=redirects.web - barred,
        spa=redirects.spa - barred,
        public_client=redirects.public_client - barred,
    )


def refuse(desired: Desired, application: Application | None, actions: Iterable[Action]) -> None:
    """Refuse to write what the policy does not allow, unless the directory has it already.

    Args:
        desired: what was decided on.
        application: the application as the directory has it.
        actions: what is about to be done.

    Raises:
        Stalled: `PolicyViolation`. An application that would break the policy is not even created.
    """
    before = application or Application(object_id="", app_id="")
    for action in actions:
        match action:
            case CreateApplication():
                fresh = desired.violations
            case UpdateApplication():
                after = before.with_changes(action.changes)
                fresh = tuple(
                    each
                    for each in desired.violations
                    if each.is_in(after) and not each.is_in(before)
                )
                before = after
            case _:
                continue
        if fresh:
            raise Stalled(
                "PolicyViolation",
                f"the EntraTenant's `policy` does not allow {said(fresh)}; take it out of the "
                "manifest, or ask whoever is in charge of the tenant (a role that may do all "
                "must be listed by its name in `policy.appRoles`)",
            )


def complain(desired: Desired) -> None:
    """End a pass that took out what the manifest still asks for.

    Raises:
        Stalled: `PolicyViolation`.
    """
    if desired.withdraws and desired.violations:
        raise Stalled(
            "PolicyViolation",
            f"the EntraTenant's `policy` does not allow {said(desired.violations)}: withdrawn; "
            "take it out of the manifest, or ask whoever is in charge of the tenant",
        )


def said(broken: tuple[Violation, ...]) -> str:
    """Return `broken` in words, cut when it is long."""
    listed = ", ".join(each.what for each in broken[:_LISTED])
    return f"{listed} and {len(broken) - _LISTED} more" if len(broken) > _LISTED else listed
