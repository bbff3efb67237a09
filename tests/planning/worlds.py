"""Literals that planning tests start from, and a directory that obeys plans in memory.

No test lives here.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fhir_app_operator.api.v1alpha1 import FhirAppRegistration
from fhir_app_operator.api.v1alpha1.well_known import GRAPH_APP_ID
from fhir_app_operator.planning import desired as desired_module
from fhir_app_operator.planning import federation
from fhir_app_operator.planning import following as following_module
from fhir_app_operator.planning.clouds import Directory
from fhir_app_operator.planning.desired import Defaults, Issuer
from fhir_app_operator.planning.federation import TokenIssuer
from fhir_app_operator.planning.forecast import fold
from fhir_app_operator.planning.model import (
    Application,
    CreateApplication,
    Following,
    KeyCredential,
    Observed,
    PasswordCredential,
    PermissionIds,
    Policy,
    RecordIntent,
    Registration,
    SecretState,
)
from fhir_app_operator.planning.server import Server, own_server

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = Policy()
DIRECTORY = Directory(
    tenant_id="11111111-1111-1111-1111-111111111111",
    authority_host="https://login.example",
    graph_url="https://graph.example",
)
ISSUER = Issuer(issuer="https://sts.example/t/", jwks_url="https://login.example/keys")
GRAPH = PermissionIds(scopes={"openid": "id-openid", "offline_access": "id-offline"})
SERVER = Server(
    name="fhir-server",
    url="https://fhir.clinic.example",
    identifier_uri="https://fhir.clinic.example",
    token_version=1,
    audience="https://fhir.clinic.example",
    app_id="app-server",
    permissions=PermissionIds(
        scopes={"user_impersonation": "id-scope"}, app_roles={"globalReader": "id-reader"}
    ),
    declared=frozenset({"user_impersonation", "globalReader", "globalWriter"}),
)
SPECS = {
    "Resource": {"type": "Resource", "resource": {"url": "https://fhir.clinic.example"}},
    "Confidential": {
        "type": "Confidential",
        "fhirServerRef": {"name": "fhir-server"},
        "redirectUris": {"web": ["https://portal.example/b", "https://portal.example/a"]},
    },
    "Public": {
        "type": "Public",
        "fhirServerRef": {"name": "fhir-server"},
        "redirectUris": {
            "publicClient": ["http://localhost/cb"],
            "spa": ["https://spa.example/"],
        },
    },
    "Service": {
        "type": "Service",
        "fhirServerRef": {"name": "fhir-server"},
        "appRoles": ["globalReader"],
    },
}
TYPES = tuple(SPECS)
CERTIFICATE = {"certificate": {"issue": {}}}
FEDERATED = {"federated": {"serviceAccounts": [{"name": "ingest"}, {"name": "backup"}]}}
FOLLOWED = {"certificate": {"secretRef": {"name": "tls"}}}
ISSUER_OF_TOKENS = TokenIssuer(
    issuer="https://oidc.example/cluster", algorithms=frozenset({"RS256"})
)


def registration(kind, name="portal", uid="uid-1", **spec):
    return FhirAppRegistration.model_validate(
        {
            "metadata": {"name": name, "namespace": "clinic", "uid": uid, "generation": 1},
            "spec": SPECS[kind] | spec,
        }
    )


def identity(uid="uid-1", name="portal"):
    return Registration(namespace="clinic", name=name, uid=uid, cluster_id="cluster")


def desired(
    kind, server=None, issuer=ISSUER_OF_TOKENS, follows=None, grants=None, policy=None, **spec
):
    manifest = registration(kind, **spec)
    facts = server or (own_server(manifest) if kind == "Resource" else SERVER)
    asked, outside = manifest.spec.credential, follows
    if asked is not None and asked.federated is not None:
        outside = federation.wanted(
            identity(), asked.federated, issuer, DIRECTORY.exchange_audience
        )
    return desired_module.desired(
        manifest,
        identity(),
        DIRECTORY,
        facts,
        ISSUER,
        {GRAPH_APP_ID: GRAPH},
        Defaults(grants=grants, policy=policy),
        outside,
    )


def made(app_id):
    """A world in which the application and its service principal are made."""
    return Observed(
        application=Application(object_id="o", app_id=app_id), service_principal_id="sp"
    )


def following(fingerprint="ab" * 32, end=NOW + timedelta(days=90)):
    """What a registration wants that follows the certificate of that fingerprint."""
    return Following(
        secret_name="tls", thumbprint="AB" * 20, nonce=following_module.nonce(fingerprint), end=end
    )  # fmt: skip


def password(key_id, nonce="n1", start=NOW, lifetime=timedelta(hours=4320), name=None):
    display_name = name if name is not None else f"fhirapps:uid-1:{nonce}"
    return PasswordCredential(
        key_id=key_id, display_name=display_name, start=start, end=start + lifetime
    )


def key(key_id, nonce="n1", start=NOW, lifetime=timedelta(hours=4320)):
    """A certificate of ours."""
    return KeyCredential(
        key_id=key_id, display_name=f"fhirapps:uid-1:{nonce}", start=start, end=start + lifetime
    )


def holding(*passwords, key_id="k1", written_at=NOW - timedelta(days=2), intent=None, **secret):
    """A world of ours whose Secret holds `key_id`, with these credentials in the directory."""
    state = {"credential_intact": True, "holds_credential": True} | secret
    return Observed(
        application=Application(
            object_id="o", app_id="a", passwords=tuple(passwords),
            tags=frozenset({identity().owner_tag}),
        ),
        service_principal_id="sp",
        secret=SecretState(ours=True, key_id=key_id, written_at=written_at, **state),
        intent=intent,
    )  # fmt: skip


class Directories:
    """Applies actions to an `Observed` as the directory and the API server would."""

    def __init__(self, wanted, observed=None, now=NOW):
        self.wanted = wanted
        self.observed = observed or Observed()
        self.now = now
        self.log = []

    def apply(self, action):
        self.log.append(action)
        self.observed = fold(self.wanted, self.observed, action, self.now)
        match action:
            case CreateApplication():
                app = replace(self.observed.application, object_id="object-1", app_id="app-1")
                self.observed = replace(self.observed, application=app)
            case RecordIntent():
                intent = replace(self.observed.intent, nonce=f"n{len(self.log)}")
                self.observed = replace(self.observed, intent=intent)
