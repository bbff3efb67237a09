"""`FhirAppRegistration`: the kind that users write, one Entra application each.

Defaults that depend on nothing else are in the schema; those that depend on the type or on
another field are computed in `planning.desired` and told in the field's description.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.conditions import Conditions
from fhir_app_operator.api.v1alpha1.schema import (
    ApiModel,
    DnsName,
    Duration,
    Metadata,
    NameReference,
    Time,
    rule,
    rules,
)
from fhir_app_operator.api.v1alpha1.uris import (
    BrowserRedirectUri,
    NativeRedirectUri,
    identifier_rules,
)


class AppType(StrEnum):
    """What the application stands for; decides which fields it may have."""

    RESOURCE = "Resource"
    CONFIDENTIAL = "Confidential"
    PUBLIC = "Public"
    SERVICE = "Service"


class DeletionPolicy(StrEnum):
    """What happens to the Entra application when the registration is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


FHIR_SERVER_ROLES: Final = (
    "globalAdmin", "globalConverter", "globalExporter", "globalImporter",
    "globalReader", "globalWriter", "smartUser",
)  # fmt: skip
"""The role names of the open-source FHIR server's `roles.json`."""
USER_IMPERSONATION: Final = "user_impersonation"

_SET: Final = {"x-kubernetes-list-type": "set"}
_ATOMIC: Final = {"x-kubernetes-list-type": "atomic"}

PermissionValue = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", min_length=1, max_length=120)
]
"""The name of an app role or scope, as it appears in tokens."""
_Title = Annotated[str, Field(min_length=1, max_length=100)]
_Text = Annotated[str, Field(min_length=1, max_length=1024)]


class CustomAppRole(ApiModel):
    """An app role beside the preset ones."""

    value: PermissionValue = Field(description="Name in the token's `roles` claim.")
    display_name: _Title = Field(description="Name that administrators see.")
    description: _Text = Field(description="What a holder of the role may do.")
    allowed_member_types: Annotated[
        tuple[Literal["Application", "User"], ...],
        Field(min_length=1, max_length=2, json_schema_extra=_SET),
    ] = Field(default=("Application", "User"), description="Who may be given the role.")


class CustomScope(ApiModel):
    """A delegated permission beside the preset ones."""

    value: PermissionValue = Field(description="Name in the token's `scp` claim.")
    type: Literal["User", "Admin"] = Field(
        default="User", description="Who may consent: any `User`, or an `Admin` only."
    )
    admin_consent_display_name: _Title = Field(description="Title that administrators see.")
    admin_consent_description: _Text = Field(description="Text that administrators see.")
    user_consent_display_name: _Title | None = Field(
        default=None, description="Title that users see. Default: the administrators' one."
    )
    user_consent_description: _Text | None = Field(
        default=None, description="Text that users see. Default: the administrators' one."
    )


_UNIQUE_VALUES: Final = (
    "!has(self.custom) || self.custom.all(x, self.custom.exists_one(y, y.value == x.value))"
)


class AppRoles(ApiModel):
    """The app roles that the FHIR server's application exposes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_UNIQUE_VALUES, "each app role must have a value of its own",
                 field=".custom"),
            rule("self.preset != 'FhirServer' || !has(self.custom) || "
                 f"!self.custom.exists(x, x.value in {list(FHIR_SERVER_ROLES)})",
                 "a custom app role must not repeat a value of preset 'FhirServer'; "
                 "rename it, or set `preset: None`",
                 field=".custom"),
        )
    )  # fmt: skip
    preset: Literal["None", "FhirServer"] = Field(
        default="FhirServer",
        description="`FhirServer`: the roles of the open-source FHIR server's roles.json.",
    )
    custom: Annotated[
        tuple[CustomAppRole, ...], Field(max_length=100, json_schema_extra=_ATOMIC)
    ] = Field(default=(), description="Roles beside the preset; values must be unique.")


class Scopes(ApiModel):
    """The delegated permissions that the FHIR server's application exposes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_UNIQUE_VALUES, "each scope must have a value of its own",
                 field=".custom"),
            rule("self.preset != 'UserImpersonation' || !has(self.custom) || "
                 f"!self.custom.exists(x, x.value == '{USER_IMPERSONATION}')",
                 f"a custom scope must not repeat '{USER_IMPERSONATION}' of preset "
                 "'UserImpersonation'; rename it, or set `preset: None`",
                 field=".custom"),
        )
    )  # fmt: skip
    preset: Literal["None", "UserImpersonation"] = Field(
        default="UserImpersonation",
        description=f"`UserImpersonation`: the one scope `{USER_IMPERSONATION}`.",
    )
    custom: Annotated[tuple[CustomScope, ...], Field(max_length=100, json_schema_extra=_ATOMIC)] = (
        Field(default=(), description="Scopes beside the preset; values must be unique.")
    )


class Resource(ApiModel):
    """The FHIR server that tokens are for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *identifier_rules("self.url", "!has(self.identifierUri)", ".url"),
            *identifier_rules("self.identifierUri", "has(self.identifierUri)", ".identifierUri"),
            rule("!has(self.identifierUri) || !self.identifierUri.contains('{appId}') || "
                 "self.identifierUri.startsWith('api://')",
                 "the template {appId} may only be used in an api:// identifier URI",
                 field=".identifierUri"),
            rule("self.appRoles.preset != 'None' || self.scopes.preset != 'None' || "
                 "(has(self.appRoles.custom) && size(self.appRoles.custom) > 0) || "
                 "(has(self.scopes.custom) && size(self.scopes.custom) > 0)",
                 "a FHIR server must expose at least one app role or scope, "
                 "else no client can ask for anything", field=".scopes"),
            rule("!has(self.appRoles.custom) || !has(self.scopes.custom) || "
                 "!self.appRoles.custom.exists(r, "
                 "self.scopes.custom.exists(s, s.value == r.value))",
                 "an app role and a scope must not have the same value",
                 field=".scopes"),
            rule("self.appRoles.preset != 'FhirServer' || !has(self.scopes.custom) || "
                 f"!self.scopes.custom.exists(s, s.value in {list(FHIR_SERVER_ROLES)})",
                 "a custom scope must not have the value of a role of preset 'FhirServer'",
                 field=".scopes"),
            rule("self.scopes.preset != 'UserImpersonation' || !has(self.appRoles.custom) || "
                 f"!self.appRoles.custom.exists(r, r.value == '{USER_IMPERSONATION}')",
                 f"a custom app role must not have the value '{USER_IMPERSONATION}' of a scope",
                 field=".appRoles"),
        )
    )  # fmt: skip
    url: Annotated[
        str, Field(pattern=r"^https?://[^\s/?#@\"'<>\\]+(/[^\s?#\"'<>\\]*)?$", max_length=255)
    ] = Field(description="Base URL of the FHIR server.")
    product: Literal["OpenSource"] = Field(
        default="OpenSource", description="Which FHIR server this is."
    )
    identifier_uri: Annotated[str, Field(min_length=7, max_length=255)] | None = Field(
        default=None,
        description="Application ID URI, the audience of version 1 tokens. The literal `{appId}` "
        "stands for the client id, as in `api://{appId}`. Default: `url`.",
    )
    token_version: Literal[1, 2] = Field(
        default=1,
        description="Version of the access tokens: decides audience, issuer and authority "
        "together. 1: the audience is the identifier URI. 2: it is the client id.",
    )
    app_roles: AppRoles = Field(
        default_factory=AppRoles, description="App roles, for services and assigned users.",
        json_schema_extra={"default": {"preset": "FhirServer"}},
    )  # fmt: skip
    scopes: Scopes = Field(
        default_factory=Scopes, description="Delegated permissions, for users' clients.",
        json_schema_extra={"default": {"preset": "UserImpersonation"}},
    )  # fmt: skip


_BrowserUris = Annotated[
    tuple[BrowserRedirectUri, ...], Field(min_length=1, max_length=256, json_schema_extra=_SET)
]
_NativeUris = Annotated[
    tuple[NativeRedirectUri, ...], Field(min_length=1, max_length=256, json_schema_extra=_SET)
]


def _not_on_both(one: str, other: str) -> dict[str, str]:
    return rule(
        f"!has(self.{one}) || !has(self.{other}) || !self.{one}.exists(u, u in self.{other})",
        f"a redirect URI must not be on the platforms '{one}' and '{other}' at once",
        field=f".{other}",
    )


class RedirectUris(ApiModel):
    """Where Entra may send a signed-in user, by platform."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _not_on_both("web", "spa"),
            _not_on_both("web", "publicClient"),
            _not_on_both("spa", "publicClient"),
        )
    )
    web: _BrowserUris = Field(default=(), description="Web applications with a server side.")
    spa: _BrowserUris = Field(default=(), description="Single-page applications.")
    public_client: _NativeUris = Field(
        default=(), description="Mobile and desktop applications, Postman."
    )


class ClientSecret(ApiModel):
    """Lifetime of a client secret, in cert-manager's words."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("duration(self.duration) >= duration('1h') && "
                 "duration(self.duration) <= duration('17520h')",
                 "`duration` must be between 1h and 17520h (two years)", field=".duration"),
            rule("!has(self.renewBefore) || duration(self.renewBefore) < duration(self.duration)",
                 "`renewBefore` must be shorter than `duration`", field=".renewBefore"),
            rule("!has(self.overlap) || (has(self.renewBefore) ? "
                 "duration(self.overlap) <= duration(self.renewBefore) : "
                 "duration(self.overlap) + duration(self.overlap) + duration(self.overlap) "
                 "<= duration(self.duration))",
                 "`overlap` must not exceed `renewBefore` (a third of `duration` if that is "
                 "not set)", field=".overlap"),
        )
    )  # fmt: skip
    duration: Duration = Field(default="4320h", description="Lifetime of a secret.",
                               validate_default=True)  # fmt: skip
    renew_before: Duration | None = Field(
        default=None,
        description="How long before its end a secret is renewed. Default: a third of the "
        "lifetime that the directory granted.",
    )
    overlap: Duration | None = Field(
        default=None,
        description="How long the old secret stays valid after a new one was published. "
        "Default: 24h, or `renewBefore` if that is shorter.",
    )


class Credential(ApiModel):
    """How a client proves who it is."""

    client_secret: ClientSecret = Field(
        default_factory=ClientSecret, description="A client secret.",
        json_schema_extra={"default": {"duration": "4320h"}},
    )  # fmt: skip


class SecretReference(ApiModel):
    """The Secret that the operator writes."""

    name: DnsName = Field(description="Name of the Secret, in the registration's namespace.")


def _only(field: str, *types: AppType, why: str) -> dict[str, str]:
    """Return the rule that refuses `field` for every type that is not among `types`."""
    names = [str(kind) for kind in types]
    parent, _, child = field.rpartition(".")
    present = (
        f"has(self.{parent}) && has(self.{parent}.{child})" if parent else f"has(self.{child})"
    )
    return rule(
        f"self.type in {names} || !({present})",
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
_FIELDS_BY_TYPE: Final = (
    _needs("resource", "has(self.resource)", _RES,
                       why="it describes the FHIR server"),
    _only("resource", _RES, why="a client names its server by `fhirServerRef`"),
    _needs("fhirServerRef", "has(self.fhirServerRef)", _CONF, _PUB, _SVC,
                       why="it names the registration of the FHIR server to sign in to"),
    _only("fhirServerRef", _CONF, _PUB, _SVC, why="a FHIR server is not its own client"),
    _only("scopes", _CONF, _PUB, why="delegated permissions need a signed-in user; "
                   "a Service asks for `appRoles`, a Resource exposes `resource.scopes`"),
    _needs("appRoles", "has(self.appRoles)", _SVC,
                       why="a service gets in with app roles only"),
    _only("appRoles", _SVC, why="a user's client asks for `scopes`, "
                   "a Resource exposes `resource.appRoles`"),
    _only("redirectUris", _CONF, _PUB, why="nobody signs in interactively to the others"),
    _needs("redirectUris.web", _has_redirects + "has(self.redirectUris.web)", _CONF,
                       why="the server side of the application receives the code there"),
    _needs("redirectUris", _has_redirects +
                       "(has(self.redirectUris.spa) || has(self.redirectUris.publicClient))", _PUB,
                       why="at least one URI under `spa` or `publicClient`"),
    _only("redirectUris.web", _CONF, _RES, _SVC,
          why="Entra demands a secret on that platform; use `spa` or `publicClient`"),
    _only("redirectUris.spa", _PUB, _RES, _SVC,
                   why="that platform takes no secret; use `web`"),
    _only("redirectUris.publicClient", _PUB, _RES, _SVC,
                   why="that platform takes no secret; use `web`"),
    _only("credential", _CONF, _SVC, why="the others must never have a secret"),
)  # fmt: skip


class RegistrationSpec(ApiModel):
    """The declared state of one Entra application."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *_FIELDS_BY_TYPE,
            rule("self.tenantRef.name == oldSelf.tenantRef.name",
                 "`tenantRef` must not change: delete the registration and create a new one",
                 field=".tenantRef"),
        )
    )  # fmt: skip
    type: AppType = Field(
        description="What the application stands for.",
        json_schema_extra=rules(
            rule(
                "self == oldSelf",
                "`type` must not change: delete the registration and create a new one",
            )
        ),
    )
    tenant_ref: NameReference = Field(
        default_factory=lambda: NameReference(name="default"),
        description="The EntraTenant that the application lives in.",
        json_schema_extra={"default": {"name": "default"}},
    )
    display_name: Annotated[str, Field(min_length=1, max_length=120)] | None = Field(
        default=None,
        description="Name in the Entra portal. Default: `<namespace>/<name>`, cut to 120.",
    )
    resource: Resource | None = Field(
        default=None, description="The FHIR server; type Resource only."
    )
    fhir_server_ref: NameReference | None = Field(
        default=None,
        description="The Resource registration in this namespace whose audience, authority and "
        "permissions the client uses.",
    )
    scopes: (
        Annotated[
            tuple[PermissionValue, ...], Field(min_length=1, max_length=50, json_schema_extra=_SET)
        ]
        | None
    ) = Field(
        default=None,
        description=f"Delegated permissions on the server. Default: `{USER_IMPERSONATION}`.",
    )
    app_roles: (
        Annotated[
            tuple[PermissionValue, ...], Field(min_length=1, max_length=50, json_schema_extra=_SET)
        ]
        | None
    ) = Field(default=None, description="App roles on the server; type Service only.")
    redirect_uris: RedirectUris | None = Field(
        default=None, description="Where users return to after the sign-in."
    )
    credential: Credential | None = Field(
        default=None,
        description="How the client proves who it is. Default: a client secret of 4320h, renewed "
        "a third before its end, with an overlap of 24h.",
    )
    secret: SecretReference | None = Field(
        default=None,
        description="The Secret that receives the connection facts. Default: `metadata.name`. "
        "Must not change.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="`Delete`: the application goes to Entra's bin for 30 days. `Orphan`: it and "
        "the Secret stay as they are.",
    )
    suspend: bool = Field(
        default=False, description="True: nothing is written to Entra or the Secret meanwhile."
    )


class CredentialState(StrEnum):
    """Where a credential is in its life."""

    ACTIVE = "Active"
    RETIRING = "Retiring"


class CredentialStatus(ApiModel):
    """One credential of the application that the operator made."""

    key_id: str = Field(description="Its key id in Entra.", max_length=64)
    state: CredentialState = Field(description="`Active`: in the Secret. `Retiring`: replaced.")
    start_time: Time = Field(description="Valid from.")
    end_time: Time = Field(description="Valid until.")


class PendingCredential(ApiModel):
    """The intent to issue a credential, written before the directory is asked for it."""

    nonce: str = Field(description="Marks the credential in the directory.", max_length=64)
    requested_at: Time = Field(description="When the intent was written.")


def _identifier(what: str) -> str | None:
    field: str | None = Field(default=None, max_length=512, description=what)
    return field


class RegistrationStatus(ApiModel):
    """What the operator observed; a report, and never an order, but for `pendingCredential`."""

    observed_generation: int = Field(
        default=-1, description="The generation that last ended Ready or Stalled."
    )
    conditions: Conditions = ()
    tenant_id: str | None = _identifier("Directory (tenant) id.")
    app_id: str | None = _identifier("Application (client) id.")
    object_id: str | None = _identifier("Object id of the application.")
    service_principal_id: str | None = _identifier("Object id of the service principal.")
    secret_name: str | None = _identifier("The Secret that was written.")
    audience: str | None = _identifier("The `aud` claim of the server's tokens.")
    authority: str | None = _identifier("The authority that signs the server's tokens.")
    credentials: Annotated[
        tuple[CredentialStatus, ...],
        Field(
            max_length=32,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["keyId"],
            },
        ),
    ] = Field(default=(), description="The credentials that the operator made.")
    pending_credential: PendingCredential | None = Field(
        default=None, description="A credential that was asked for and is not in the Secret yet."
    )


class FhirAppRegistration(ApiModel):
    """One Microsoft Entra application for FHIR, and the Secret its workload reads."""

    metadata: Metadata
    spec: RegistrationSpec
    status: RegistrationStatus = Field(default_factory=RegistrationStatus)

    @property
    def secret_name(self) -> str:
        """The name of the Secret: `spec.secret.name`, else the registration's own."""
        return self.spec.secret.name if self.spec.secret else self.metadata.name
