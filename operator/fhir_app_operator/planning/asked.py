"""What a client asks for on its FHIR server: values, their spelling in Entra, what must not mix."""

from __future__ import annotations

from fhir_app_operator.api.v1alpha1 import AppType, FhirAppRegistration, ScopeEncoding
from fhir_app_operator.api.v1alpha1.exposure import USER_IMPERSONATION
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning import smart


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
