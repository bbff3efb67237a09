"""What a fresh directory holds: users, Microsoft's own, the operator, an administrator's tool."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from entra_emulator.constants import (
    ADMIN_CLIENT_ID,
    ADMIN_PERMISSIONS,
    GRAPH_APP_ID,
    GRAPH_APP_ROLES,
    GRAPH_SCOPES,
    GRAPH_URL,
    HEALTHCARE_APP_ID,
    HEALTHCARE_APP_ROLES,
    HEALTHCARE_SCOPES,
    HEALTHCARE_URLS,
    MANAGEMENT_APP_ID,
    MANAGEMENT_URLS,
    OPERATOR_CLIENT_ID,
    OPERATOR_PERMISSIONS,
)
from entra_emulator.directory import certificates, credentials, schema
from entra_emulator.directory.directory import Directory
from entra_emulator.directory.entities import APPLICATION, SERVICE_PRINCIPAL
from entra_emulator.directory.federated_credentials import FEDERATED
from entra_emulator.directory.store import LONG_AGO, Entity, Kind

_CREATED: Final = "2024-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class FederatedTrust:
    """Whose tokens an application accepts instead of a secret.

    `public_key_pem` is the issuer's key: Entra would fetch it from `issuer`, but a cluster's keys
    are not readable for everybody. ValueError if it is no public key in PEM.
    """

    issuer: str
    subject: str
    audience: str
    public_key_pem: str

    def __post_init__(self) -> None:
        load_pem_public_key(self.public_key_pem.encode())


@dataclass(frozen=True, slots=True)
class SeededUser:
    """A person who can sign in without a password."""

    user_principal_name: str
    given_name: str
    surname: str

    @property
    def id(self) -> str:
        """The object id, the same in every emulator."""
        return _stable_id(self.user_principal_name)

    @property
    def display_name(self) -> str:
        """The full name."""
        return f"{self.given_name} {self.surname}"


ALICE: Final = SeededUser("alice@clinic.example", "Alice", "Archer")
BOB: Final = SeededUser("bob@clinic.example", "Bob", "Baker")


@dataclass(frozen=True, slots=True)
class SeededGroup:
    """A security group and its direct members."""

    display_name: str
    members: tuple[SeededUser, ...]

    @property
    def id(self) -> str:
        """The object id, the same in every emulator."""
        return _stable_id(f"group/{self.display_name}")


CLINICIANS: Final = SeededGroup("Clinicians", (ALICE,))


@dataclass(frozen=True, slots=True)
class Seeds:
    """What differs from emulator to emulator.

    The operator's application has a secret, a certificate (PEM, with an RSA key), a federated
    trust, several of them or none. The administrator's tool always has a secret: the given one, or
    a generated one, which `admin_secret` then holds. ValueError if the certificate cannot be read.
    """

    operator_secret: str | None = field(default=None, repr=False)
    operator_certificate_pem: str | None = field(default=None, repr=False)
    federated: FederatedTrust | None = field(default=None, repr=False)
    admin_secret: str | None = field(default=None, repr=False)
    users: tuple[SeededUser, ...] = (ALICE, BOB)
    groups: tuple[SeededGroup, ...] = (CLINICIANS,)

    def __post_init__(self) -> None:
        if self.operator_certificate_pem is not None:
            certificates.from_pem(self.operator_certificate_pem)
        if self.admin_secret is None:
            object.__setattr__(self, "admin_secret", secrets.token_urlsafe(30))


def plant(directory: Directory, seeds: Seeds) -> None:
    """Fill an empty directory. Nothing of it is young: no lag hides it."""
    for user in seeds.users:
        directory.store.insert(Kind.USER, _user(user), since=LONG_AGO)
    for group in seeds.groups:
        directory.store.insert(Kind.GROUP, _group(group), since=LONG_AGO)
    graph = _plant_microsofts(directory, GRAPH_APP_ID, _graph())
    _plant_microsofts(directory, MANAGEMENT_APP_ID, _management())
    _plant_microsofts(directory, HEALTHCARE_APP_ID, _healthcare())
    operator = _plant_application(
        directory,
        OPERATOR_CLIENT_ID,
        "FHIR App Operator",
        secret=seeds.operator_secret,
        certificate=seeds.operator_certificate_pem,
        federated=seeds.federated,
    )
    admin = _plant_application(
        directory, ADMIN_CLIENT_ID, "Administrator's tool", secret=seeds.admin_secret
    )
    _grant(directory, operator, graph, OPERATOR_PERMISSIONS)
    _grant(directory, admin, graph, ADMIN_PERMISSIONS)


def _plant_microsofts(directory: Directory, app_id: str, body: Mapping[str, Any]) -> Entity:
    """The service principal of an application of Microsoft's own tenant."""
    directory.catalogue[app_id] = schema.create(APPLICATION, body) | {"appId": app_id}
    return _plant_principal(directory, app_id)


def _graph() -> Mapping[str, Any]:
    return {
        "displayName": "Microsoft Graph",
        "identifierUris": [GRAPH_URL],
        "signInAudience": "AzureADMultipleOrgs",
        "appRoles": [_role(*item) for item in GRAPH_APP_ROLES.items()],
        "api": {"oauth2PermissionScopes": [_scope(*item) for item in GRAPH_SCOPES.items()]},
    }


def _management() -> Mapping[str, Any]:
    return {
        "displayName": "Windows Azure Service Management API",
        "identifierUris": list(MANAGEMENT_URLS),
        "signInAudience": "AzureADMultipleOrgs",
        "api": {
            "oauth2PermissionScopes": [
                _scope("user_impersonation", "41094075-9dad-400e-a0bd-54e686782033")
            ]
        },
    }


def _healthcare() -> Mapping[str, Any]:
    return {
        "displayName": "Azure Healthcare APIs",
        "identifierUris": list(HEALTHCARE_URLS),
        "signInAudience": "AzureADMultipleOrgs",
        "appRoles": [_role(*item) for item in HEALTHCARE_APP_ROLES.items()],
        "api": {"oauth2PermissionScopes": [_scope(*item) for item in HEALTHCARE_SCOPES.items()]},
    }


def _role(value: str, role_id: str) -> Mapping[str, Any]:
    return {
        "id": role_id,
        "value": value,
        "displayName": value,
        "description": f"Allows the app {value} without a signed-in user.",
        "allowedMemberTypes": ["Application"],
    }


def _scope(value: str, scope_id: str) -> Mapping[str, Any]:
    return {
        "id": scope_id,
        "value": value,
        "type": "User",
        "adminConsentDisplayName": value,
        "adminConsentDescription": f"Allows the app {value} for a user.",
    }


def _plant_application(
    directory: Directory,
    app_id: str,
    name: str,
    *,
    secret: str | None = None,
    certificate: str | None = None,
    federated: FederatedTrust | None = None,
) -> Entity:
    document: dict[str, Any] = schema.create(APPLICATION, {"displayName": name}) | {
        "id": _stable_id(f"application/{app_id}"),
        "appId": app_id,
        "createdDateTime": _CREATED,
        "publisherDomain": directory.domains[0],
        FEDERATED: [],
    }
    if secret is not None:
        now = directory.clock.now()
        credential = directory.passwords.issue(
            {"displayName": "seed", "endDateTime": "2999-12-31T00:00:00Z"},
            now=now,
            title="Application",
            secret=secret,
        )
        document = credentials.add(document, credential)
    if certificate is not None:
        document[certificates.KEYS] = [certificates.entry(certificates.from_pem(certificate))]
    if federated is not None:
        document[FEDERATED] = [_federated_credential(federated)]
        directory.issuer_keys[federated.issuer] = federated.public_key_pem
    directory.store.insert(Kind.APPLICATION, document, since=LONG_AGO)
    return _plant_principal(directory, app_id)


def _plant_principal(directory: Directory, app_id: str) -> Entity:
    document = schema.create(SERVICE_PRINCIPAL, {}) | {
        "id": _stable_id(f"servicePrincipal/{app_id}"),
        "appId": app_id,
    }
    return directory.store.insert(Kind.SERVICE_PRINCIPAL, document, since=LONG_AGO)


def _grant(directory: Directory, client: Entity, graph: Entity, permissions: Iterable[str]) -> None:
    for permission in permissions:
        document = {
            "id": _stable_id(f"{client.id}/{permission}").replace("-", ""),
            "deletedDateTime": None,
            "appRoleId": GRAPH_APP_ROLES[permission],
            "createdDateTime": _CREATED,
            "principalDisplayName": directory.primary_view(client)["displayName"],
            "principalId": client.id,
            "principalType": "ServicePrincipal",
            "resourceDisplayName": directory.primary_view(graph)["displayName"],
            "resourceId": graph.id,
        }
        directory.store.insert(Kind.ASSIGNMENT, document, since=LONG_AGO)


def _federated_credential(trust: FederatedTrust) -> Mapping[str, Any]:
    return {
        "id": _stable_id(f"{trust.issuer}/{trust.subject}"),
        "name": "seed",
        "issuer": trust.issuer,
        "subject": trust.subject,
        "description": None,
        "audiences": [trust.audience],
    }


def _user(user: SeededUser) -> Mapping[str, Any]:
    return {
        "id": user.id,
        "displayName": user.display_name,
        "givenName": user.given_name,
        "surname": user.surname,
        "mail": user.user_principal_name,
        "userPrincipalName": user.user_principal_name,
    }


def _group(group: SeededGroup) -> Mapping[str, Any]:
    members = [member.id for member in group.members]
    return {"id": group.id, "displayName": group.display_name, "members": members}


def _stable_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://entra-emulator.invalid/{name}"))
