"""Graph's JSON of applications and service principals, read into the words of planning.

Strict where a gap would look like a fact: every property that a read selects must be there, and a
collection must be a list, since "no tags" and "no credentials" lead to writes. Lenient where
Microsoft may add something: unknown members and unknown words of an enumeration are taken. Null
means that a property was never set. Which requests carry these documents is the business of the
noun modules; what a write sends is in `changes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from fhir_app_operator.api.v1alpha1.schema import FAR_AHEAD, LONG_AGO, reckonable
from fhir_app_operator.graph.answers import unreadable
from fhir_app_operator.planning.model import (
    Application,
    AppRole,
    FederatedIdentityCredential,
    KeyCredential,
    PasswordCredential,
    PermissionIds,
    PermissionScope,
    PreAuthorized,
    RedirectUris,
    ResourceAccess,
)

M = TypeVar("M", bound="Document")


def _text(value: Any) -> Any:
    return "" if value is None else value


class Document(BaseModel):
    """A JSON object of Graph; members that we do not use are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="ignore")


def parse(kind: type[M], body: dict[str, Any], operation: str) -> M:
    """Return `body`, the answer to `operation`, as a `kind`.

    Raises:
        Waiting: `GraphUnavailable`, the answer lacks what it must have or has wrong types.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, e["loc"])) for e in error.errors()[:3])
        raise unreadable(operation, where) from None


Text = Annotated[str, BeforeValidator(_text)]
Moment = Annotated[datetime, AfterValidator(reckonable)]
"""Graph lets others make credentials without dates, or with any; ours always have both."""


class _Redirects(Document):
    redirect_uris: list[str]


class _ImplicitGrant(Document):
    enable_id_token_issuance: StrictBool | None


class _Web(_Redirects):
    implicit_grant_settings: _ImplicitGrant | None


class _Scope(Document):
    id: str
    value: Text = ""
    type: str = "User"
    is_enabled: StrictBool
    admin_consent_display_name: Text = ""
    admin_consent_description: Text = ""
    user_consent_display_name: Text = ""
    user_consent_description: Text = ""


class _Role(Document):
    id: str
    value: Text = ""
    display_name: Text = ""
    description: Text = ""
    allowed_member_types: list[str]
    is_enabled: StrictBool


class _PreAuthorized(Document):
    app_id: str
    delegated_permission_ids: list[str]


class _Api(Document):
    requested_access_token_version: StrictInt | None
    pre_authorized_applications: list[_PreAuthorized]
    oauth2_permission_scopes: list[_Scope] = Field(alias="oauth2PermissionScopes")


class _Access(Document):
    id: str
    type: str


class _RequiredAccess(Document):
    resource_app_id: str
    resource_access: list[_Access]


class Password(Document):
    """A `passwordCredential`, as reads show it: without its value."""

    key_id: str
    display_name: str | None
    start_date_time: Moment | None
    end_date_time: Moment | None

    def to_model(self) -> PasswordCredential:
        """Return it without its value."""
        return PasswordCredential(
            key_id=self.key_id,
            display_name=self.display_name,
            start=self.start_date_time or LONG_AGO,
            end=self.end_date_time or FAR_AHEAD,
        )


class IssuedPasswordDocument(Password):
    """The answer of addPassword; the end is the directory's choice, so it must be there."""

    start_date_time: Moment
    end_date_time: Moment
    secret_text: Annotated[SecretStr, Field(min_length=1)]


class Key(Document):
    """A `keyCredential`, without the certificate itself."""

    key_id: str
    display_name: str | None
    start_date_time: Moment | None
    end_date_time: Moment | None

    def to_model(self) -> KeyCredential:
        """Return it in the words of planning."""
        return KeyCredential(
            key_id=self.key_id,
            display_name=self.display_name,
            start=self.start_date_time or LONG_AGO,
            end=self.end_date_time or FAR_AHEAD,
        )


class KeyList(Document):
    """An `application` with nothing but its certificates."""

    key_credentials: list[Key]


class Federated(Document):
    """A `federatedIdentityCredential`; Graph takes exactly one audience."""

    name: str
    issuer: str
    subject: str
    audiences: list[str]

    def to_model(self) -> FederatedIdentityCredential:
        """Return it in the words of planning."""
        return FederatedIdentityCredential(
            name=self.name, issuer=self.issuer, subject=self.subject,
            audience=" ".join(self.audiences),
        )  # fmt: skip


class ApplicationDocument(Document):
    """An `application` with the properties that the operator manages."""

    id: str
    app_id: str
    display_name: Text
    notes: str | None
    tags: list[str]
    sign_in_audience: str | None
    identifier_uris: list[str]
    web: _Web | None
    spa: _Redirects | None
    public_client: _Redirects | None
    is_fallback_public_client: StrictBool | None
    api: _Api | None
    app_roles: list[_Role]
    required_resource_access: list[_RequiredAccess]
    service_management_reference: str | None
    password_credentials: list[Password]
    created_date_time: Moment | None

    def to_model(self) -> Application:
        """Return it in the words of planning."""
        api = self.api
        return Application(
            object_id=self.id,
            app_id=self.app_id,
            display_name=self.display_name,
            notes=self.notes,
            tags=frozenset(self.tags),
            sign_in_audience=self.sign_in_audience,
            identifier_uris=frozenset(self.identifier_uris),
            redirect_uris=RedirectUris(
                web=_uris(self.web), spa=_uris(self.spa), public_client=_uris(self.public_client)
            ),
            is_fallback_public_client=bool(self.is_fallback_public_client),
            id_token_issuance=_issues_id_tokens(self.web),
            token_version=api.requested_access_token_version if api else None,
            app_roles=tuple(_role(role) for role in self.app_roles),
            scopes=tuple(_scope(scope) for scope in api.oauth2_permission_scopes) if api else (),
            pre_authorized=_pre_authorized(api),
            resource_access=frozenset(_accesses(self.required_resource_access)),
            service_management_reference=self.service_management_reference,
            passwords=tuple(password.to_model() for password in self.password_credentials),
            created_at=self.created_date_time,
        )


class HolderDocument(Document):
    """An `application` of whomever: how to call it."""

    app_id: str
    display_name: Text
    tags: list[str]


class DeletedDocument(Document):
    """An application or service principal in the bin: what tells whose it is."""

    id: str
    app_id: str
    tags: list[str]

    def to_model(self) -> Application:
        """Return it in the words of planning, as far as it was read."""
        return Application(object_id=self.id, app_id=self.app_id, tags=frozenset(self.tags))


class ServicePrincipalDocument(Document):
    """A `servicePrincipal`: that it is there."""

    id: str


class OwnPrincipalDocument(ServicePrincipalDocument):
    """A `servicePrincipal` of ours, with what the operator manages of it."""

    app_role_assignment_required: StrictBool


class OwnedPrincipalDocument(OwnPrincipalDocument):
    """A `servicePrincipal` of a list, with its application's client id."""

    app_id: str


class PermissionsDocument(ServicePrincipalDocument):
    """A `servicePrincipal` of an API, with what it exposes."""

    app_id: str
    app_roles: list[_Role]
    oauth2_permission_scopes: list[_Scope] = Field(alias="oauth2PermissionScopes")

    def permission_ids(self) -> PermissionIds:
        """Return the ids of its enabled roles and scopes, by value."""
        return PermissionIds(
            scopes={s.value: s.id for s in self.oauth2_permission_scopes if s.is_enabled},
            app_roles={role.value: role.id for role in self.app_roles if role.is_enabled},
        )


def selection(kind: type[Document]) -> str:
    """Return the `$select` of a read that is parsed as a `kind`."""
    return ",".join(field.alias or to_camel(name) for name, field in kind.model_fields.items())


HOLDER = selection(HolderDocument)
SELECT = selection(ApplicationDocument)
"""The `$select` of every read of an application; it also halves the read's price in units."""


def _uris(platform: _Redirects | None) -> frozenset[str]:
    return frozenset(platform.redirect_uris) if platform else frozenset()


def _issues_id_tokens(web: _Web | None) -> bool:
    settings = web.implicit_grant_settings if web else None
    return bool(settings and settings.enable_id_token_issuance)


def _role(role: _Role) -> AppRole:
    return AppRole(
        id=role.id,
        value=role.value,
        display_name=role.display_name,
        description=role.description,
        allowed_member_types=frozenset(role.allowed_member_types),
        is_enabled=role.is_enabled,
    )


def _scope(scope: _Scope) -> PermissionScope:
    return PermissionScope(**scope.model_dump())


def _pre_authorized(api: _Api | None) -> frozenset[PreAuthorized]:
    """Ids in the spelling of the scopes: people may have written them in another one."""
    return frozenset(
        PreAuthorized(
            app_id=each.app_id.lower(),
            scope_ids=frozenset(map(str.lower, each.delegated_permission_ids)),
        )
        for each in (api.pre_authorized_applications if api else ())
    )


def _accesses(required: Iterable[_RequiredAccess]) -> Iterable[ResourceAccess]:
    for api in required:
        for access in api.resource_access:
            yield ResourceAccess(
                resource_app_id=api.resource_app_id, type=access.type, id=access.id
            )
