"""Which field belongs to which type of registration, as CEL rules on `spec`."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fhir_app_operator.api.v1alpha1.schema import rule


class AppType(StrEnum):
    """What the application stands for; decides which fields it may have."""

    RESOURCE = "Resource"
    CONFIDENTIAL = "Confidential"
    PUBLIC = "Public"
    SERVICE = "Service"


def _only(field: str, *types: AppType, why: str, also: tuple[AppType, ...] = ()) -> dict[str, str]:
    """Return the rule that refuses `field` for every type that is not among `types`.

    Of those in `also` another rule speaks: the message does not name them.
    """
    names, spared = [str(kind) for kind in types], [str(kind) for kind in (*types, *also)]
    parent, _, child = field.rpartition(".")
    present = (
        f"has(self.{parent}) && has(self.{parent}.{child})" if parent else f"has(self.{child})"
    )
    return rule(
        f"self.type in {spared} || !({present})",
        f"`{field}` must only be set for type {' or '.join(names)}: {why}",
        field=f".{field}",
        reason="FieldValueForbidden",
    )


def _needs(field: str, present: str, *types: AppType, why: str) -> dict[str, str]:
    """Return the rule that asks for `field` (there if the CEL `present` holds) for `types`."""
    names = [str(kind) for kind in types]
    return rule(
        f"!(self.type in {names}) || ({present})",
        f"`{field}` must be set for type {' or '.join(names)}: {why}",
        field=f".{field.partition('.')[0]}",
        reason="FieldValueRequired",
    )


_RES, _CONF, _PUB, _SVC = AppType.RESOURCE, AppType.CONFIDENTIAL, AppType.PUBLIC, AppType.SERVICE
_has_redirects = "has(self.redirectUris) && "
FIELDS_BY_TYPE: Final = (
    _needs("resource", "has(self.resource)", _RES,
                       why="it describes the FHIR server"),
    _only("resource", _RES, why="a client names its server by `fhirServerRef` or `fhirServer`"),
    _needs("fhirServerRef", "has(self.fhirServerRef) || has(self.fhirServer)", _CONF, _PUB, _SVC,
                       why="it names the registration of the FHIR server to sign in to; "
                       "`fhirServer` describes one that has none"),
    rule("!has(self.fhirServerRef) || !has(self.fhirServer)",
         "`fhirServer` must not be set beside `fhirServerRef`: a client has one FHIR server",
         field=".fhirServer", reason="FieldValueForbidden"),
    _only("fhirServerRef", _CONF, _PUB, _SVC, why="a FHIR server is not its own client"),
    _only("fhirServer", _CONF, _PUB, _SVC, why="a FHIR server is not its own client"),
    _only("scopes", _CONF, _PUB, why="delegated permissions need a signed-in user; "
                   "a Service asks for `appRoles`, a Resource exposes `resource.scopes`"),
    _needs("appRoles", "has(self.appRoles) || has(self.azureRole)", _SVC,
                       why="a service gets in with app roles only; for a managed FHIR service, "
                       "`azureRole` does instead"),
    _only("azureRole", _CONF, _PUB, _SVC, why="it is the role of a client"),
    _only("appRoles", _SVC, why="a user's client asks for `scopes`, "
                   "a Resource exposes `resource.appRoles`"),
    _only("additionalPermissions", _CONF, _PUB, _SVC, why="a FHIR server signs in nowhere"),
    rule("self.type != 'Service' || !has(self.additionalPermissions) || "
         "!self.additionalPermissions.exists(p, has(p.scopes))",
         "`scopes` in `additionalPermissions` must not be set for type Service: delegated "
         "permissions need a signed-in user", field=".additionalPermissions",
         reason="FieldValueForbidden"),
    rule("self.type != 'Public' || !has(self.additionalPermissions) || "
         "!self.additionalPermissions.exists(p, has(p.appRoles))",
         "`appRoles` in `additionalPermissions` must not be set for type Public: it has no "
         "credential to sign in by itself", field=".additionalPermissions",
         reason="FieldValueForbidden"),
    _only("consent", _CONF, _PUB, why="no user signs in to the others; "
                   "a Service's app roles are always an administrator's"),
    _only("redirectUris", _CONF, _PUB, why="nobody signs in interactively to the others"),
    _needs("redirectUris.web", _has_redirects + "has(self.redirectUris.web)", _CONF,
                       why="the server side of the application receives the code there"),
    _needs("redirectUris", _has_redirects +
                       "(has(self.redirectUris.spa) || has(self.redirectUris.publicClient))", _PUB,
                       why="at least one URI under `spa` or `publicClient`"),
    _only("redirectUris.web", _CONF, also=(_RES, _SVC),
          why="Entra demands a secret on that platform; use `spa` or `publicClient`"),
    _only("redirectUris.spa", _PUB, also=(_RES, _SVC),
                   why="that platform takes no secret; use `web`"),
    _only("redirectUris.publicClient", _PUB, also=(_RES, _SVC),
                   why="that platform takes no secret; use `web`"),
    _only("credential", _CONF, _SVC, also=(_RES,), why="a Public client must never have a secret"),
    rule("self.type != 'Resource' || !has(self.credential) || "
         "(has(self.resource) && has(self.resource.frontDoor))",
         "`credential` must not be set without `resource.frontDoor`: a FHIR server signs nobody "
         "in, and must never have a secret", field=".credential", reason="FieldValueForbidden"),
    rule("self.type == 'Resource' || !has(self.secret) || !has(self.secret.presets) "
         "|| !('FhirServer' in self.secret.presets)",
         "`secret.presets` must only hold FhirServer for type Resource: it configures the server",
         field=".secret.presets", reason="FieldValueForbidden"),
)  # fmt: skip
