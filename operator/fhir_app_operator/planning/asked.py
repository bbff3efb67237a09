"""What a client asks for: the permissions on its FHIR server, on Microsoft Graph and on other APIs.

Their spelling in Entra, what must not mix, and their ids. Asking is not getting: what is granted is
`planning.grants`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from fhir_app_operator.api.v1alpha1 import (
    AppType,
    Consent,
    FhirAppRegistration,
    Grants,
    ScopeEncoding,
)
from fhir_app_operator.api.v1alpha1.exposure import USER_IMPERSONATION
from fhir_app_operator.api.v1alpha1.well_known import GRAPH_APP_ID
from fhir_app_operator.errors import Invalid, Stalled, Waiting
from fhir_app_operator.planning import grants, smart
from fhir_app_operator.planning.model import (
    Api,
    Asked,
    DesiredGrants,
    PermissionIds,
    ResourceAccess,
)

_GRAPH_NAME: Final = "Microsoft Graph"
_LISTED: Final = 20
"""How many values a message lists."""
_USER_FLOWS: Final = (AppType.CONFIDENTIAL, AppType.PUBLIC)


def values(registration: FhirAppRegistration) -> tuple[str, ...]:
    """Return the app roles of a Service or the scopes of a user's client, as its manifest has them.

    A user's client that names none asks for `user_impersonation`; a server asks for nothing.
    """
    match registration.spec.type:
        case AppType.RESOURCE:
            return ()
        case AppType.SERVICE:
            return registration.spec.app_roles or ()
        case AppType.CONFIDENTIAL | AppType.PUBLIC:
            return registration.spec.scopes or (USER_IMPERSONATION,)


def field(registration: FhirAppRegistration) -> str:
    """Return the field of the manifest that holds them."""
    return "appRoles" if registration.spec.type is AppType.SERVICE else "scopes"


def encoded(registration: FhirAppRegistration, encoding: ScopeEncoding) -> tuple[str, ...]:
    """Return the values as the server's application exposes them.

    Raises:
        Invalid: one breaks SMART's rules, is too long for Entra, or they do not go together.
    """
    name, found = field(registration), []
    for index, value in enumerate(values(registration)):
        try:
            found.append(smart.encode(value, encoding))
        except smart.InvalidScopeError as error:
            raise Invalid(f"`{name}[{index}]`: '{value}': {error}") from None
    _refuse_mixture(name, values(registration))
    return tuple(found)


def smart_scope(registration: FhirAppRegistration) -> str:
    """Return the SMART scopes among the values, in SMART's form and separated by blanks."""
    return " ".join(value for value in values(registration) if smart.is_smart(value))


def apis(registration: FhirAppRegistration) -> dict[str, frozenset[str]]:
    """Return what `registration` asks for beside its server: values by the API's client id."""
    found: dict[str, frozenset[str]] = {}
    if registration.spec.type in _USER_FLOWS or registration.front_door:
        found[GRAPH_APP_ID] = frozenset(grants.OPENID_SCOPES)
    for entry in registration.spec.additional_permissions:
        values = {*(entry.scopes or ()), *(entry.app_roles or ())}
        found[entry.api] = found.get(entry.api, frozenset()) | values
    return found


def asked(
    registration: FhirAppRegistration, server: Api, others: Mapping[str, PermissionIds]
) -> tuple[Asked, ...]:
    """Return what `registration` asks for, by API.

    Args:
        registration: the manifest.
        server: its FHIR server.
        others: what the other APIs expose, by client id: `apis` says which. One that the tenant
            does not have is not there.

    Raises:
        Invalid: as `encoded`; or `additionalPermissions` name the FHIR server.
        Stalled: `ScopeNotFound`, the API does not have a permission that is asked for.
        Waiting: `NotYetReplicated`, the server declares it, but the directory does not show it.
    """
    if registration.spec.type is AppType.RESOURCE:
        return (_openid(others),) if registration.front_door else ()
    wanted, name = encoded(registration, server.scope_encoding), field(registration)
    on_server = Asked(app_id=server.app_id, name=server.name, server=server.registered)
    if registration.spec.type is AppType.SERVICE:
        roles = _ids(server, server.permissions.app_roles, wanted, name, "an app role")
        found: tuple[Asked, ...] = (replace(on_server, app_roles=roles),)
    else:
        scopes = _ids(server, server.permissions.scopes, wanted, name, "a scope")
        free = server.pre_authorized.intersection(scopes)
        found = (replace(on_server, scopes=scopes, pre_authorized=free), _openid(others))
    return _merged((*found, *_additional(registration, server, others)))


def _openid(others: Mapping[str, PermissionIds]) -> Asked:
    ids = others.get(GRAPH_APP_ID, PermissionIds()).scopes
    if not ids.keys() >= set(grants.OPENID_SCOPES):
        raise Waiting(
            "GraphUnavailable",
            "the tenant does not show Microsoft Graph's permissions "
            f"{' and '.join(grants.OPENID_SCOPES)}",
        )
    scopes = {value: ids[value] for value in grants.OPENID_SCOPES}
    required = frozenset(grants.OPENID_SCOPES)
    return Asked(app_id=GRAPH_APP_ID, name=_GRAPH_NAME, scopes=scopes, required=required)


def _additional(
    registration: FhirAppRegistration, server: Api, others: Mapping[str, PermissionIds]
) -> Iterable[Asked]:
    for index, entry in enumerate(registration.spec.additional_permissions):
        where = f"additionalPermissions[{index}]"
        if entry.api == server.app_id:
            raise Invalid(
                f"`{where}`: this is {server.name}, the client's FHIR server: ask for its "
                f"permissions in `{field(registration)}`"
            )
        ids = others.get(entry.api)
        if ids is None:
            raise Stalled(
                "ScopeNotFound",
                f"`{where}`: {entry.name} is not in this tenant; an administrator adds it: az ad "
                f"sp create --id {entry.api}",
            )
        _refuse_mixture(where, (*(entry.scopes or ()), *(entry.app_roles or ())))
        api = Api(app_id=entry.api, name=entry.name, permissions=ids)
        yield Asked(
            app_id=entry.api,
            name=_GRAPH_NAME if entry.api == GRAPH_APP_ID else entry.name,
            scopes=_ids(api, ids.scopes, entry.scopes or (), f"{where}.scopes", "a scope"),
            app_roles=_ids(
                api, ids.app_roles, entry.app_roles or (), f"{where}.appRoles", "an app role"
            ),
        )


def _refuse_mixture(where: str, names: Iterable[str]) -> None:
    """Refuse SMART scopes that must not be in one token; what is no SMART scope is the API's."""
    try:
        mixed = smart.mixture(smart.decode(value, ScopeEncoding.DOT) for value in names)
    except smart.InvalidScopeError:
        return
    if mixed is not None:
        raise Invalid(f"`{where}`: {mixed}")


def _merged(found: Iterable[Asked]) -> tuple[Asked, ...]:
    """Return one entry for each API."""
    merged: dict[str, Asked] = {}
    for each in found:
        before = merged.get(each.app_id, each)
        merged[each.app_id] = replace(
            before,
            scopes={**before.scopes, **each.scopes},
            app_roles={**before.app_roles, **each.app_roles},
            required=before.required | each.required,
        )
    return tuple(merged.values())


def _ids(
    api: Api, ids: Mapping[str, str], wanted: Iterable[str], name: str, what: str
) -> dict[str, str]:
    for index, value in enumerate(wanted):
        if value not in ids:
            raise _absent(api, ids, value, f"{name}[{index}]", what)
    return {value: ids[value] for value in wanted}


def _absent(
    api: Api, ids: Mapping[str, str], value: str, name: str, what: str
) -> Stalled | Waiting:
    shown = smart.decode(value, api.scope_encoding)
    if value in api.declared:
        return Waiting(
            "NotYetReplicated", f"'{shown}' of {api.name} is not visible in Entra as {what} yet"
        )
    found = sorted(smart.decode(each, api.scope_encoding) for each in ids)
    known = ", ".join(found[:_LISTED]) or "none"
    known += f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    remedy = ", or add it to the server's `resource`" if api.declared else ""
    return Stalled(
        "ScopeNotFound",
        f"`{name}`: '{shown}' is not {what} of {api.name} "
        f"(it has: {known}); correct the value{remedy}",
    )


def resource_access(found: Iterable[Asked]) -> frozenset[ResourceAccess]:
    """Return `found` as `application.requiredResourceAccess` has it."""
    return frozenset(
        access
        for api in found
        for each in (api.role_access, api.scope_access)
        for access in each.values()
    )


def desired_grants(
    registration: FhirAppRegistration, found: Sequence[Asked], tenant: Grants | None,
    barred: frozenset[ResourceAccess],
) -> DesiredGrants:  # fmt: skip
    """Return what of `found` should be granted: app roles always, scopes if the manifest says so.

    Args:
        registration: the manifest.
        found: what it asks for.
        tenant: what the operator may grant by itself.
        barred: permissions that must not be granted, nor taken back.
    """
    admin = registration.spec.consent is Consent.ADMIN
    wanted = tuple(grants.wanted(tenant, api, for_all=admin, barred=barred) for api in found)
    users = registration.spec.type in _USER_FLOWS and not admin
    free = any(api.server and api.scopes.keys() == api.pre_authorized for api in found)
    return DesiredGrants(
        apis=tuple(api for api in wanted if api.app_roles or api.scopes),
        assigns=tenant is not None and tenant.assigns,
        consents=tenant is not None and tenant.consents,
        asks_users=users and not free,
        pre_authorized=users and free,
    )
