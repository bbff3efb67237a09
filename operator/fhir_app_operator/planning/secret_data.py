"""Which keys the Secret has: the facts of a registration under the names of its consumers.

Facts come in under the names that the preset `AzureSdk` gives them. Where the credential stands is
told apart from the other data: its values are never here, only the names of its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlsplit

from fhir_app_operator.api.v1alpha1 import (
    AppType,
    CredentialType,
    FhirAppRegistration,
    SecretKey,
    SecretPreset,
)
from fhir_app_operator.api.v1alpha1.secret import SecretReference
from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning.model import (
    NEEDED_OF,
    PARTS_OF,
    CredentialKeys,
    Desired,
    Observed,
    SecretShape,
    SecretState,
)
from fhir_app_operator.planning.model.secret import (
    CERTIFICATE_KEY,
    CLIENT_SECRET_KEY,
    PRIVATE_KEY_KEY,
    THUMBPRINT_KEY,
)

APP_ID_TEMPLATE: Final = "{appId}"
AUTHORITY_HOST_KEY: Final = "AZURE_AUTHORITY_HOST"
CLIENT_ID_KEY: Final = "AZURE_CLIENT_ID"
TENANT_ID_KEY: Final = "AZURE_TENANT_ID"
PRINCIPAL_ID_KEY: Final = "AZURE_PRINCIPAL_ID"
"""Object id of the client's service principal, which Azure RBAC goes by; azd's name for it."""
PRINCIPAL_ID_TEMPLATE: Final = "{servicePrincipalId}"
_OWN: Final = {
    CLIENT_ID_KEY: APP_ID_TEMPLATE, "FHIR_AUDIENCE": APP_ID_TEMPLATE,
    PRINCIPAL_ID_KEY: PRINCIPAL_ID_TEMPLATE,
}  # fmt: skip
"""The facts that hold an id of the registration's own, and the word that stands for it."""
_LISTED: Final = 40
"""How many names a message lists."""
_CLIENTS: Final = (AppType.CONFIDENTIAL, AppType.SERVICE)
"""The types that have a credential; a Resource has one beside `resource.frontDoor`."""
PROVIDER: Final = "entra"
"""What the presets `Spring` and `ServiceBinding` call the sign-in service."""
_FHIR_SERVER: Final = "FhirServer__Security__"
_SPRING: Final = "SPRING_SECURITY_OAUTH2_"
_SPRING_CLIENT: Final = f"{_SPRING}CLIENT_REGISTRATION_{PROVIDER.upper()}_"
_SPRING_PROVIDER: Final = f"{_SPRING}CLIENT_PROVIDER_{PROVIDER.upper()}_"

Facts = Mapping[str, str]
T = TypeVar("T")


def resolved(connection: Facts, observed: Observed) -> dict[str, str]:
    """Return the facts, with the ids that the directory gave."""
    ids = {
        APP_ID_TEMPLATE: observed.application.app_id if observed.application else "",
        PRINCIPAL_ID_TEMPLATE: observed.service_principal_id or "",
    }
    return {
        key: value.replace(_OWN[key], ids[_OWN[key]]) if key in _OWN else value
        for key, value in connection.items()
    }


def data(desired: Desired, observed: Observed) -> dict[str, str]:
    """Return the Secret's data without the credential, with the ids that the directory gave."""
    return render(desired.secret_shape, resolved(desired.connection, observed))


def shape(registration: FhirAppRegistration, credential: CredentialType | None) -> SecretShape:
    """Return what the manifest says about keys; `credential`: what the client proves itself by."""
    secret = registration.spec.secret or SecretReference()
    given = registration.spec.credential
    certificate = given.certificate if given else None
    return SecretShape(
        type=registration.spec.type, credential=credential, presets=secret.presets,
        keys=secret.keys, followed=bool(certificate and certificate.secret_ref),
    )  # fmt: skip


def render(wanted: SecretShape, facts: Facts) -> dict[str, str]:
    """Return the data that `wanted` asks for.

    Raises:
        Invalid: two presets, or a preset and `secret.keys`, give one key to different values.
    """
    written = merged(_FACTS_FOR[preset](wanted, facts) for preset in wanted.presets)
    return _renamed(written, facts, wanted.keys)


def merged(written: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """Return the keys of several presets together.

    Raises:
        Invalid: two of them give one key to different values.
    """
    together: dict[str, T] = {}
    for each in written:
        for key, value in each.items():
            _put(together, key, value)
    return together


def credential_keys(wanted: SecretShape) -> CredentialKeys:
    """Return where each type of credential stands in the Secret; empty if the type has none.

    What no preset has a name for keeps its own: the Secret is the only place that holds it.

    Raises:
        Invalid: a part that cannot be had again is left out, or shares a key with another.
    """
    if wanted.type not in _CLIENTS and wanted.credential is None:
        return {}
    return {kind: _places(wanted, kind) for kind in CredentialType}


def check(wanted: SecretShape, facts: Facts) -> None:
    """Refuse what could not be written.

    Raises:
        Invalid: as `render` and `credential_keys`; a key of `secret.keys` that nothing writes; a
            credential that shares a key with other data.
    """
    plain, places = render(wanted, facts), credential_keys(wanted)
    written = {key for preset in wanted.presets for key in _FACTS_FOR[preset](wanted, facts)}
    parts = {part for kind in places for part in PARTS_OF[kind]}
    named = {key for each in _named_parts(wanted) for key in each} if parts else set()
    known = written | facts.keys() | parts | named
    for index, entry in enumerate(wanted.keys):
        if entry.source not in known:
            raise Invalid(
                f"`secret.keys[{index}].from`: this registration has no '{entry.source}'; the "
                f"field may name: {', '.join(sorted(known)[:_LISTED])}"
            )
    own = {part for parts in PARTS_OF.values() for part in parts}
    taken = own.union(*(keys for keys in places.values()))
    for key in sorted(taken & plain.keys()):
        raise _two_values(key, "that key is for a credential, whether there is one now or not")


def is_placed(desired: Desired, secret: SecretState) -> bool:
    """Whether the Secret holds its credential under the keys that are asked for."""
    if secret.type is None or not secret.credential_intact or desired.credential is None:
        return True
    return desired.credential_keys[secret.type] == secret.places


def _places(wanted: SecretShape, kind: CredentialType) -> dict[str, str]:
    parts = {part: part for part in PARTS_OF[kind]}
    written = {key: part for key, part in merged(_named_parts(wanted)).items() if part in parts}
    found = _renamed(written, parts, wanted.keys)
    followed = wanted.followed and kind is CredentialType.CERTIFICATE
    for part in (*NEEDED_OF[kind], *((THUMBPRINT_KEY,) if followed else ())):
        if part in found.values():
            continue
        if part in written.values():
            raise Invalid(
                f"`secret.keys` must not leave out the last key with '{part}': no other place has "
                "it; give it another name by `to`"
            )
        _put(found, part, part)
    return found


def _named_parts(wanted: SecretShape) -> Iterable[Mapping[str, str]]:
    """By preset, the names that it has for parts of the credential.

    `Spring` has none for a Resource: what is behind a front door is no client, and Spring Boot does
    not start with half of one.
    """
    server = wanted.type is AppType.RESOURCE
    for preset in wanted.presets:
        yield {} if server and preset is SecretPreset.SPRING else _PARTS_FOR[preset]


def _renamed(
    written: Mapping[str, T], more: Mapping[str, T], keys: tuple[SecretKey, ...]
) -> dict[str, T]:
    """Apply `secret.keys`: what an entry names stands under the entries' names only."""
    sources = {**more, **written}
    named = {entry.source for entry in keys}
    result = {key: value for key, value in written.items() if key not in named}
    for entry in keys:
        if entry.to is not None and entry.source in sources:
            _put(result, entry.to, sources[entry.source])
    return result


def _put(written: dict[str, T], key: str, value: T) -> None:
    if written.setdefault(key, value) != value:
        raise _two_values(key, "rename one of them by `secret.keys`, or leave it out")


def _two_values(key: str, what: str) -> Invalid:
    return Invalid(f"`secret`: two different values would be written to the key '{key}'; {what}")


def _fhir_server(facts: Facts) -> Facts:
    """The environment of the open-source FHIR server (its SecurityConfiguration class)."""
    return {
        f"{_FHIR_SERVER}Enabled": "true",
        f"{_FHIR_SERVER}Authentication__Audience": facts["FHIR_AUDIENCE"],
        f"{_FHIR_SERVER}Authentication__Authority": facts["FHIR_AUTHORITY"],
        f"{_FHIR_SERVER}Authorization__Enabled": "true",
        f"{_FHIR_SERVER}Authorization__RolesClaim": "roles",
        f"{_FHIR_SERVER}Authorization__ScopesClaim__0": "scp",
        # A service's token has no `scp`: its SMART scopes are app roles.
        f"{_FHIR_SERVER}Authorization__ScopesClaim__1": "roles",
    }


def _spring(wanted: SecretShape, facts: Facts) -> Facts:
    """Spring Boot's OAuth2 properties as environment names: no dashes, dots as underscores."""
    if wanted.type is AppType.RESOURCE:
        return {
            f"{_SPRING}RESOURCESERVER_JWT_AUDIENCES": facts["FHIR_AUDIENCE"],
            f"{_SPRING}RESOURCESERVER_JWT_ISSUERURI": facts["FHIR_ISSUER"],
            f"{_SPRING}RESOURCESERVER_JWT_JWKSETURI": facts["FHIR_JWKS_URL"],
        }
    client = {
        f"{_SPRING_CLIENT}{_env(name)}": value for name, value in _client(wanted, facts).items()
    }
    provider = {
        f"{_SPRING_PROVIDER}{_env(name)}": value for name, value in _provider(wanted, facts).items()
    }
    return client | provider


def _service_binding(wanted: SecretShape, facts: Facts) -> Facts:
    """Entries of the Service Binding specification; those of `oauth2` as Spring's bindings do."""
    url = facts["FHIR_SERVER_URL"]
    common = {"provider": PROVIDER, "uri": url, "host": urlsplit(url).hostname or ""}
    if wanted.type is AppType.RESOURCE:
        return common | {
            "type": "oauth2-resource-server",
            "audience": facts["FHIR_AUDIENCE"],
            "issuer-uri": facts["FHIR_ISSUER"],
            "jwk-set-uri": facts["FHIR_JWKS_URL"],
        }
    return common | {"type": "oauth2"} | _client(wanted, facts) | _provider(wanted, facts)


def _client(wanted: SecretShape, facts: Facts) -> dict[str, str]:
    """The properties of a client, in Spring's words."""
    scopes = facts["FHIR_SCOPE"].split()
    common = {
        "client-id": facts[CLIENT_ID_KEY],
        "client-authentication-method": _AUTHENTICATION[wanted.credential],
    }
    if wanted.type is AppType.SERVICE:
        return common | {
            "authorization-grant-type": "client_credentials",
            "scope": ",".join(scopes),
        }
    return common | {
        "authorization-grant-type": "authorization_code",
        "redirect-uri": facts["FHIR_REDIRECT_URIS"].partition(",")[0],
        "scope": ",".join(["openid", "offline_access", *scopes]),
    }


def _provider(wanted: SecretShape, facts: Facts) -> dict[str, str]:
    """The endpoints of a client's provider; the issuer is that of ID tokens, always version 2.0."""
    service = {"jwk-set-uri": facts["FHIR_JWKS_URL"], "token-uri": facts["FHIR_TOKEN_URL"]}
    if wanted.type is AppType.SERVICE:
        return service
    issuer = f"{facts[AUTHORITY_HOST_KEY].rstrip('/')}/{facts[TENANT_ID_KEY]}/v2.0"
    return service | {
        "authorization-uri": facts["FHIR_AUTHORIZATION_URL"],
        "issuer-uri": issuer,
    }


def _env(name: str) -> str:
    return name.replace("-", "").upper()


_AUTHENTICATION: Final[Mapping[CredentialType | None, str]] = {
    None: "none",
    CredentialType.CLIENT_SECRET: "client_secret_post",
    CredentialType.CERTIFICATE: "private_key_jwt",
    CredentialType.FEDERATED_IDENTITY: "private_key_jwt",
}
_FACTS_FOR: Final[Mapping[SecretPreset, Callable[[SecretShape, Facts], Facts]]] = {
    SecretPreset.AZURE_SDK: lambda _, facts: facts,
    SecretPreset.FHIR_SERVER: lambda _, facts: _fhir_server(facts),
    SecretPreset.SPRING: _spring,
    SecretPreset.SERVICE_BINDING: _service_binding,
}
_PARTS_FOR: Final[Mapping[SecretPreset, Mapping[str, str]]] = {
    SecretPreset.AZURE_SDK: {part: part for parts in PARTS_OF.values() for part in parts},
    SecretPreset.FHIR_SERVER: {},
    SecretPreset.SPRING: {f"{_SPRING_CLIENT}CLIENTSECRET": CLIENT_SECRET_KEY},
    SecretPreset.SERVICE_BINDING: {
        "client-secret": CLIENT_SECRET_KEY,
        "certificates": CERTIFICATE_KEY,
        "private-key": PRIVATE_KEY_KEY,
    },
}
