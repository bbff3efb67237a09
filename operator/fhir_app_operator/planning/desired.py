"""From a manifest to what should be: defaults that depend on type or tenant are computed here.

Reads nothing: the tenant, the issuer's facts and the referenced server come in as arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from fhir_app_operator.api.v1alpha1 import (
    AppType,
    ClientSecret,
    CredentialType,
    FhirAppRegistration,
    Grants,
    Resource,
    TenantPolicy,
    UnmanagedPolicy,
)
from fhir_app_operator.planning import (
    asked,
    assignments,
    config_map,
    data_plane,
    permissions,
    policy,
    requests,
    secret_data,
)
from fhir_app_operator.planning.clouds import Directory
from fhir_app_operator.planning.exposure import exposure
from fhir_app_operator.planning.model import (
    Asked,
    CredentialPolicy,
    Desired,
    DesiredApplication,
    Exposure,
    IssuePolicy,
    PermissionIds,
    RedirectUris,
    Registration,
    SecretTemplate,
)
from fhir_app_operator.planning.secret_data import (
    APP_ID_TEMPLATE,
    AUTHORITY_HOST_KEY,
    CLIENT_ID_KEY,
    PRINCIPAL_ID_KEY,
    PRINCIPAL_ID_TEMPLATE,
    TENANT_ID_KEY,
)
from fhir_app_operator.planning.server import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """What the openid-configuration of a token version says."""

    issuer: str
    jwks_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a tenant says about all of its applications."""

    service_management_reference: str | None = None
    owners: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    grants: Grants | None = None
    """What may be granted without an administrator."""
    policy: TenantPolicy | None = None
    """What may be asked for at all."""


def declared_values(registration: FhirAppRegistration, tenant_id: str) -> frozenset[str]:
    """Return the values of all roles and scopes that a Resource registration declares.

    Raises:
        Invalid: as `exposure`.
    """
    resource = registration.spec.resource
    where = (tenant_id, registration.metadata.namespace, registration.metadata.name)
    return frozenset(entry.value for entry in _exposure(resource, *where).entries)


def _exposure(resource: Resource | None, tenant_id: str, namespace: str, name: str) -> Exposure:
    if resource is None:
        return Exposure()
    return exposure(resource, partial(permissions.permission_id, tenant_id, namespace, name))


def desired(
    registration: FhirAppRegistration,
    identity: Registration,
    tenant: Directory,
    server: Server,
    issuer: Issuer,
    apis: Mapping[str, PermissionIds],
    defaults: Defaults | None = None,
    credential: CredentialPolicy | None = None,
) -> Desired:
    """Return what `registration` should come to.

    Args:
        registration: the manifest.
        identity: its names and marks.
        tenant: the directory it lives in.
        server: for a Resource its own facts, else those of the referenced server.
        issuer: issuer and keys of the server's token version.
        apis: what the other APIs expose, by client id; `asked.apis` says which.
        defaults: what the tenant says about all of its applications.
        credential: what `credential` comes to, if that is not in the manifest alone: federated
            or followed.

    Raises:
        Invalid: a role or scope that is declared or asked for can never be; `secret.presets` and
            `secret.keys` do not go together, or not with the type.
        Stalled: `ScopeNotFound`, the server does not declare a permission that is asked for.
        Waiting: `NotYetReplicated`, it declares it but the directory does not show it yet.
    """
    spec, defaults = registration.spec, defaults or Defaults()
    found = asked.asked(registration, server.api, apis)
    redirects = _redirects(registration)
    broken = policy.violations(defaults.policy, found, redirects)
    withdraws = defaults.policy is not None and defaults.policy.withdraws
    if withdraws:
        found = policy.allowed_only(found, broken)
        redirects = policy.allowed_redirects(redirects, broken)
    application = _application(registration, identity, tenant, server, found, redirects)
    wanted = credential or issue_policy(registration)
    connection = _connection(registration, tenant, server, issuer)
    shape = secret_data.shape(registration, wanted.type if wanted else None)
    secret_data.check(shape, connection)
    return Desired(
        registration=identity,
        application=_with_defaults(application, defaults),
        credential=wanted,
        connection=connection,
        own_application=spec.type is not AppType.RESOURCE or server.registered,
        data_plane=data_plane.wanted(registration, server),
        secret_name=registration.secret_name,
        secret_shape=shape,
        credential_keys=secret_data.credential_keys(shape),
        secret_owned=spec.deletion_policy != "Orphan",
        secret_template=secret_template(registration),
        config_map=config_map.wanted_name(registration),
        requests=requests.read(registration),
        remove_unmanaged=removes_unmanaged(registration),
        assignment_required=spec.resource.assignment_required if spec.resource else None,
        asked=found,
        grants=replace(
            asked.desired_grants(
                registration, found, defaults.grants, policy.barred_access(broken)
            ),
            assignments=assignments.wanted(
                registration, application.exposure, defaults.grants, defaults.policy
            ),
        ),
        violations=broken,
        withdraws=withdraws,
    )


def _application(
    registration: FhirAppRegistration,
    identity: Registration,
    tenant: Directory,
    server: Server,
    found: Iterable[Asked],
    redirects: RedirectUris,
) -> DesiredApplication:
    spec = registration.spec
    resource = spec.resource if spec.type is AppType.RESOURCE else None
    where = (tenant.tenant_id, identity.namespace, identity.name)
    return DesiredApplication(
        display_name=spec.display_name or f"{identity.namespace}/{identity.name}"[:120],
        notes=f"Managed by fhir-app-operator from FhirAppRegistration "
        f"{identity.namespace}/{identity.name}. Changes made here are reverted.",
        tags=frozenset({identity.owner_tag, identity.registration_tag}),
        identifier_uri=server.identifier_uri if resource else None,
        redirect_uris=redirects,
        is_fallback_public_client=bool(redirects.public_client),
        id_token_issuance=resource.front_door is not None if resource else None,
        token_version=server.token_version if resource else None,
        exposure=_exposure(resource, *where),
        remove_unmanaged_app_roles=_removes(resource.app_roles.unmanaged if resource else None),
        remove_unmanaged_scopes=_removes(resource.scopes.unmanaged if resource else None),
        resource_access=asked.resource_access(found),
    )


def _with_defaults(application: DesiredApplication, defaults: Defaults) -> DesiredApplication:
    return replace(
        application,
        tags=application.tags | defaults.tags,
        owners=defaults.owners,
        service_management_reference=defaults.service_management_reference,
    )


def _redirects(registration: FhirAppRegistration) -> RedirectUris:
    declared = registration.spec.redirect_uris
    if declared is None:
        return RedirectUris(web=frozenset(registration.front_door))
    return RedirectUris(
        web=frozenset(declared.web),
        spa=frozenset(declared.spa),
        public_client=frozenset(declared.public_client),
    )


def issue_policy(registration: FhirAppRegistration) -> IssuePolicy | None:
    """Return what `registration` wants to be issued; None if that is nothing."""
    spec = registration.spec
    has_one = spec.type in (AppType.CONFIDENTIAL, AppType.SERVICE)
    if not has_one and not registration.front_door:
        return None
    certificate = spec.credential.certificate if spec.credential else None
    if spec.credential is not None and (
        spec.credential.federated or (certificate and certificate.secret_ref)
    ):
        return None
    if certificate is not None and certificate.issue is not None:
        issue = certificate.issue
        return IssuePolicy(
            type=CredentialType.CERTIFICATE, duration=issue.duration,
            renew_before=issue.renew_before, overlap=issue.overlap, key_size=issue.key_size,
        )  # fmt: skip
    secret = (spec.credential.client_secret if spec.credential else None) or ClientSecret()
    return IssuePolicy(
        duration=secret.duration, renew_before=secret.renew_before, overlap=secret.overlap
    )


def secret_template(registration: FhirAppRegistration) -> SecretTemplate:
    """Return the labels and annotations that `registration` wants on its Secret."""
    secret = registration.spec.secret
    if secret is None or secret.template is None:
        return SecretTemplate()
    return SecretTemplate(labels=secret.template.labels, annotations=secret.template.annotations)


def removes_unmanaged(registration: FhirAppRegistration) -> bool:
    """Return whether credentials that others made on the application are to go."""
    credential = registration.spec.credential
    return _removes(credential.unmanaged if credential else None)


def _removes(policy: UnmanagedPolicy | None) -> bool:
    return policy is UnmanagedPolicy.REMOVE


def _connection(
    registration: FhirAppRegistration, tenant: Directory, server: Server, issuer: Issuer
) -> dict[str, str]:
    facts = {
        TENANT_ID_KEY: tenant.tenant_id,
        CLIENT_ID_KEY: APP_ID_TEMPLATE,
        AUTHORITY_HOST_KEY: tenant.authority_host,
        "FHIR_AUDIENCE": server.audience,
        "FHIR_AUTHORITY": tenant.authority(server.token_version),
        "FHIR_ISSUER": issuer.issuer,
        "FHIR_JWKS_URL": issuer.jwks_url,
        "FHIR_SERVER_URL": server.url,
    }
    if smart_scope := asked.smart_scope(registration):
        facts["FHIR_SMART_SCOPE"] = smart_scope
    if server.managed and registration.spec.type is not AppType.RESOURCE:
        facts[PRINCIPAL_ID_KEY] = PRINCIPAL_ID_TEMPLATE
    match registration.spec.type:
        case AppType.RESOURCE if registration.front_door:
            return facts | {
                "FHIR_AUTHORIZATION_URL": tenant.authorization_url,
                "FHIR_TOKEN_URL": tenant.token_url,
                "FHIR_REDIRECT_URIS": ",".join(registration.front_door),
            }
        case AppType.RESOURCE if not server.registered:
            return {key: value for key, value in facts.items() if key != CLIENT_ID_KEY}
        case AppType.RESOURCE:
            return facts
        case AppType.SERVICE:
            return facts | {
                "FHIR_TOKEN_URL": tenant.token_url,
                "FHIR_SCOPE": f"{server.identifier_uri}/.default",
            }
        case AppType.CONFIDENTIAL | AppType.PUBLIC:
            return facts | {
                "FHIR_AUTHORIZATION_URL": tenant.authorization_url,
                "FHIR_TOKEN_URL": tenant.token_url,
                "FHIR_SCOPE": " ".join(
                    f"{server.identifier_uri}/{value}"
                    for value in asked.encoded(registration, server.scope_encoding)
                ),
                "FHIR_REDIRECT_URIS": ",".join(_redirect_list(registration)),
            }


def _redirect_list(registration: FhirAppRegistration) -> tuple[str, ...]:
    """All redirect URIs as the manifest orders them: web, spa, publicClient."""
    declared = registration.spec.redirect_uris
    if declared is None:
        return ()
    return (*declared.web, *declared.spa, *declared.public_client)
