"""Literals that planning tests start from, and a directory that obeys plans in memory.

No test lives here.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fhir_app_operator.api.v1alpha1 import FhirAppRegistration
from fhir_app_operator.planning import desired as desired_module
from fhir_app_operator.planning.clouds import Directory
from fhir_app_operator.planning.desired import Issuer, PermissionIds, Server, resolved
from fhir_app_operator.planning.model import (
    Application,
    CreateApplication,
    CreateServicePrincipal,
    DeleteApplication,
    Intent,
    IssueCredential,
    Observed,
    PasswordCredential,
    Policy,
    RecordIntent,
    Registration,
    RestoreApplication,
    RestoreServicePrincipal,
    RevokeCredential,
    SecretState,
    UpdateApplication,
    WriteSecret,
)

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


def registration(kind, name="portal", uid="uid-1", **spec):
    return FhirAppRegistration.model_validate(
        {
            "metadata": {"name": name, "namespace": "clinic", "uid": uid, "generation": 1},
            "spec": SPECS[kind] | spec,
        }
    )


def identity(uid="uid-1", name="portal"):
    return Registration(namespace="clinic", name=name, uid=uid, cluster_id="cluster")


def desired(kind, server=None, **spec):
    manifest = registration(kind, **spec)
    facts = server or (desired_module.own_server(manifest) if kind == "Resource" else SERVER)
    return desired_module.desired(manifest, identity(), DIRECTORY, facts, ISSUER, GRAPH)


def password(key_id, nonce="n1", start=NOW, lifetime=timedelta(hours=4320), name=None):
    display_name = name if name is not None else f"fhirapps:uid-1:{nonce}"
    return PasswordCredential(
        key_id=key_id, display_name=display_name, start=start, end=start + lifetime
    )


class Directories:
    """Applies actions to an `Observed` as the directory and the API server would."""

    def __init__(self, wanted, observed=None, now=NOW):
        self.wanted = wanted
        self.observed = observed or Observed()
        self.now = now
        self.log = []

    def apply(self, action):
        self.log.append(action)
        seen = self.observed
        app = seen.application
        match action:
            case CreateApplication():
                blank = Application(object_id="object-1", app_id="app-1", created_at=self.now)
                seen = replace(seen, application=blank.with_changes(action.changes))
            case RestoreApplication():
                raise AssertionError("give the restored application to the test")
            case UpdateApplication():
                seen = replace(seen, application=app.with_changes(action.changes))
            case CreateServicePrincipal():
                seen = replace(seen, service_principal_id="sp-1")
            case RestoreServicePrincipal():
                seen = replace(seen, service_principal_id=action.object_id)
            case RecordIntent():
                nonce = f"n{len(self.log)}"
                seen = replace(seen, intent=Intent(nonce=nonce, requested_at=self.now, fresh=True))
            case IssueCredential():
                issued = password(f"key-{action.nonce}", action.nonce, self.now, action.duration)
                app = replace(app, passwords=(*app.passwords, issued))
                seen = replace(
                    seen,
                    application=app,
                    intent=replace(seen.intent, fresh=False),
                    secret=self.secret(app, issued, action.nonce),
                )
            case WriteSecret():
                seen = replace(seen, secret=self.rewritten(app))
            case RevokeCredential():
                left = tuple(p for p in app.passwords if p.key_id != action.key_id)
                seen = replace(seen, application=replace(app, passwords=left))
            case DeleteApplication():
                seen = replace(seen, application=None)
        self.observed = seen

    def secret(self, app, issued, nonce):
        return SecretState(
            ours=True,
            owner_reference=self.wanted.secret_owned,
            data=resolved(self.wanted.connection, app.app_id),
            holds_credential=True,
            credential_intact=True,
            key_id=issued.key_id,
            nonce=nonce,
            expires_at=issued.end,
            written_at=self.now,
        )

    def rewritten(self, app):
        before = self.observed.secret or SecretState(ours=True)
        keep = self.wanted.credential is not None
        return replace(
            before,
            current=True,
            owner_reference=self.wanted.secret_owned,
            data=resolved(self.wanted.connection, app.app_id),
            holds_credential=before.holds_credential and keep,
            credential_intact=before.credential_intact and keep,
        )
