"""What a client asks for: the permissions on its FHIR server, on Microsoft Graph and on other APIs.

Their spelling in Entra, what must not mix, and their ids. Asking is not getting: what is granted is
`planning.grants`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from fhir_app_operator.api.v1alpha1 import (
    AppType,
    Consent,
    FhirAppRegistration,
    Grants,
    ScopeEncoding,
)
from fhir_app_operator.api.v1alpha1.exposure import USER_IMPERSONATION
from fhir_app_operator.api.v1alpha1.grants import GRAPH_APP_ID
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
    mixed = smart.mixture(values(registration))
    if mixed is not None:
        raise Invalid(f"`{name}`: {mixed}")
    return tuple(found)


def smart_scope(registration: FhirAppRegistration) -> str:
    """Return the SMART scopes among the values, in SMART's form and separated by blanks."""
    return " ".join(value for value in values(registration) if smart.is_smart(value))


def apis(registration: FhirAppRegistration) -> dict[str, frozenset[str]]:
    """Return what `registration` asks for beside its server: values by the API's client id."""
    if registration.spec.type not in _USER_FLOWS:
        return {}
    return {GRAPH_APP_ID: frozenset(grants.OPENID_SCOPES)}


def asked(
    registration: FhirAppRegistration, server: Api, others: Mapping[str, PermissionIds]
) -> tuple[Asked, ...]:
    """Return what `registration` asks for, by API.

    Args:
        registration: the manifest.
        server: its FHIR server.
        others: what the other APIs expose, by client id: `apis` says which.

    Raises:
        Invalid: as `encoded`.
        Stalled: `ScopeNotFound`, the API does not have a permission that is asked for.
        Waiting: `NotYetReplicated`, the server declares it, but the directory does not show it.
    """
    if registration.spec.type is AppType.RESOURCE:
        return ()
    wanted, name = encoded(registration, server.scope_encoding), field(registration)
    if registration.spec.type is AppType.SERVICE:
        roles = _ids(server, server.permissions.app_roles, wanted, name, "an app role")
        return (Asked(app_id=server.app_id, name=server.name, app_roles=roles, server=True),)
    scopes = _ids(server, server.permissions.scopes, wanted, name, "a scope")
    graph = {value: others[GRAPH_APP_ID].scopes[value] for value in grants.OPENID_SCOPES}
    return (
        Asked(app_id=server.app_id, name=server.name, scopes=scopes, server=True),
        Asked(app_id=GRAPH_APP_ID, name=_GRAPH_NAME, scopes=graph),
    )


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
    return Stalled(
        "ScopeNotFound",
        f"`{name}`: '{shown}' is not {what} of {api.name} "
        f"(it has: {known}); correct the value, or add it to the server's `resource`",
    )


def resource_access(found: Iterable[Asked]) -> frozenset[ResourceAccess]:
    """Return `found` as `application.requiredResourceAccess` has it."""
    return frozenset(
        ResourceAccess(resource_app_id=api.app_id, type=kind, id=permission_id)
        for api in found
        for kind, ids in (("Role", api.app_roles), ("Scope", api.scopes))
        for permission_id in ids.values()
    )


def desired_grants(
    registration: FhirAppRegistration, found: Iterable[Asked], tenant: Grants | None
) -> DesiredGrants:
    """Return what of `found` should be granted: app roles always, scopes if the manifest says so.

    `tenant` is what the operator may grant by itself.
    """
    admin = registration.spec.consent is Consent.ADMIN
    wanted = tuple(
        grants.wanted(
            tenant, api.app_id, api.name, app_roles=api.app_roles,
            scopes=tuple(api.scopes) if admin else (), server=api.server,
        )
        for api in found
    )  # fmt: skip
    return DesiredGrants(
        apis=tuple(api for api in wanted if api.app_roles or api.scopes),
        assigns=tenant is not None and tenant.assigns,
        consents=tenant is not None and tenant.consents,
        asks_users=registration.spec.type in _USER_FLOWS and not admin,
    )
