"""The FHIR server that tokens are for: its facts, from wherever they come.

From its own registration, from the one that a client refers to, or from the client's manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from fhir_app_operator.api.v1alpha1 import (
    FhirAppRegistration,
    Resource,
    ScopeEncoding,
    ServerAddress,
)
from fhir_app_operator.api.v1alpha1.well_known import WELL_KNOWN_APP_IDS, WellKnownApi
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning.model import Api, PermissionIds
from fhir_app_operator.planning.secret_data import APP_ID_TEMPLATE

FIRST_PARTY_APP_ID: Final = WELL_KNOWN_APP_IDS[WellKnownApi.AZURE_HEALTHCARE_APIS]
"""The application of all managed FHIR services, the same in every tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The FHIR server that tokens are for; what each Secret says about it."""

    name: str
    url: str
    identifier_uri: str
    """May hold `{appId}` for the server's own Secret, never for a client's."""
    token_version: int
    audience: str
    app_id: str = ""
    permissions: PermissionIds = field(default_factory=PermissionIds)
    scope_encoding: ScopeEncoding = ScopeEncoding.DOT
    declared: frozenset[str] = frozenset()
    """Values that the server's manifest declares, whether the directory shows them yet or not."""
    pre_authorized: frozenset[str] = frozenset()
    """Scopes that it lets the client have without anybody's consent."""
    registered: bool = True
    """Whether its application is that of a registration."""
    managed: bool = False
    """Whether it is a managed service of Azure's, whose data only Azure RBAC opens."""
    azure_resource_id: str | None = None

    @property
    def api(self) -> Api:
        """What its clients can ask it for."""
        return Api(
            app_id=self.app_id,
            name=self._api_name,
            permissions=self.permissions,
            declared=self.declared,
            scope_encoding=self.scope_encoding,
            pre_authorized=self.pre_authorized,
            registered=self.registered,
        )

    @property
    def _api_name(self) -> str:
        if self.app_id == FIRST_PARTY_APP_ID:
            return "Azure Healthcare APIs"
        return f"FhirAppRegistration '{self.name}'" if self.registered else f"API {self.app_id}"


def identifier_uri(resource: Resource) -> str:
    """Return the identifier URI that `resource` asks for, `{appId}` unresolved."""
    return resource.identifier_uri or resource.url


def own_server(registration: FhirAppRegistration) -> Server:
    """Return the facts of a Resource registration about itself, `{appId}` unresolved.

    Raises:
        Invalid: it has no `resource`, which the CRD refuses.
    """
    resource = registration.spec.resource
    if resource is None:
        raise Invalid("`resource` must be set for type Resource: it describes the FHIR server")
    uri = identifier_uri(resource)
    version_1 = resource.token_version == 1
    return Server(
        name=registration.metadata.name,
        url=resource.url,
        identifier_uri=uri,
        token_version=resource.token_version,
        audience=uri if version_1 else APP_ID_TEMPLATE,
        scope_encoding=resource.smart.scope_encoding,
        registered=resource.has_own_application,
        app_id="" if resource.has_own_application else FIRST_PARTY_APP_ID,
        managed=resource.is_managed,
        azure_resource_id=resource.azure_resource_id,
    )


def referenced_server(
    registration: FhirAppRegistration, app_id: str, ids: PermissionIds, declared: frozenset[str]
) -> Server:
    """Return the facts that clients of `registration`, which has client id `app_id`, need."""
    own = own_server(registration)
    return replace(
        own,
        identifier_uri=own.identifier_uri.replace(APP_ID_TEMPLATE, app_id),
        audience=own.audience.replace(APP_ID_TEMPLATE, app_id),
        app_id=app_id,
        permissions=ids,
        declared=declared,
    )


def unregistered_server(address: ServerAddress, ids: PermissionIds) -> Server:
    """Return the facts of a server that only the client's manifest tells of.

    What its manifest would make it is not known: the audience is as the client says, or the client
    id where the tokens' version says so (Microsoft identity platform, "Access token claims").
    """
    uri = address.audience or address.url
    return Server(
        name=address.url,
        url=address.url,
        identifier_uri=uri,
        token_version=address.token_version,
        audience=uri if address.token_version == 1 else address.app_id,
        app_id=address.app_id,
        permissions=ids,
        registered=False,
        managed=address.app_id == FIRST_PARTY_APP_ID,
    )
