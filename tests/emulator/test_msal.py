"""Microsoft's own client library over TLS, as workloads use it."""

import contextlib
import re
import ssl
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import msal
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID, FederatedTrust, Seeds
from entra_emulator.server import Running, serve
from tests.emulator.certified import Certified, certified
from tests.emulator.cloud import ALICE, OPERATOR_SECRET, App, role, scope

FHIR = "https://fhir.clinic.example"
WEB, NATIVE = "https://portal.example/cb", "http://localhost:8400"
TRUST = (
    "https://cluster.example",
    "system:serviceaccount:ns:operator",
    "api://AzureADTokenExchange",
)
READ = role("read")


@pytest.fixture(scope="module")
def issuer_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def own() -> Certified:
    now = datetime.now(UTC)
    return certified(now - timedelta(days=1), now + timedelta(days=1))


@pytest.fixture(scope="module")
def running(issuer_key: RSAPrivateKey, own: Certified) -> Iterator[Running]:
    pem = issuer_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    seeds = Seeds(
        operator_secret=OPERATOR_SECRET,
        operator_certificate_pem=own.pem,
        federated=FederatedTrust(*TRUST, pem.decode()),
    )
    with serve({"admin": True, "seeds": seeds}) as made:
        yield made


@pytest.fixture(scope="module")
def http(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[requests.Session]:
    authority: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.write_bytes(running.ca_pem)
    with requests.Session() as session:
        session.verify = str(authority)
        session.trust_env = False  # REQUESTS_CA_BUNDLE would override `verify`
        yield session


def confidential(running: Running, http: requests.Session, client_id: str, proof: Any) -> Any:
    return msal.ConfidentialClientApplication(
        client_id,
        client_credential=proof,
        authority=f"{running.origin}/{TENANT_ID}",
        instance_discovery=False,
        http_client=http,
    )


class Graph:
    """Graph over TLS, under the token that MSAL got."""

    def __init__(self, running: Running, token: str) -> None:
        context = ssl.create_default_context(cadata=running.ca_pem.decode())
        self.client = httpx.Client(
            base_url=f"{running.origin}/v1.0",
            verify=context,
            trust_env=False,
            headers={"Authorization": f"Bearer {token}"},
        )

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.client.post(path, json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def register(self, **members: Any) -> App:
        app = self.post("/applications", **members)
        principal = self.post("/servicePrincipals", appId=app["appId"])
        return App(app["id"], app["appId"], principal["id"])


def graph(running: Running, http: requests.Session, client_id: str, secret: str | None) -> Graph:
    app = confidential(running, http, client_id, secret)
    result = app.acquire_token_for_client(["https://graph.microsoft.com/.default"])
    return Graph(running, result["access_token"])


@pytest.fixture(scope="module")
def operator(running: Running, http: requests.Session) -> Iterator[Graph]:
    made = graph(running, http, OPERATOR_CLIENT_ID, OPERATOR_SECRET)
    with made.client:
        yield made


@pytest.fixture(scope="module")
def admin(running: Running, http: requests.Session) -> Iterator[Graph]:
    secret = running.emulator.seeds.admin_secret
    made = graph(running, http, "33333333-3333-3333-3333-333333333333", secret)
    with made.client:
        yield made


@pytest.fixture(scope="module")
def server(operator: Graph) -> App:
    return operator.register(
        displayName="server",
        identifierUris=[FHIR],
        appRoles=[READ],
        api={"oauth2PermissionScopes": [scope("user_impersonation")]},
    )


@pytest.fixture(scope="module")
def portal(operator: Graph, admin: Graph, server: App) -> App:
    made = operator.register(
        displayName="portal",
        web={"redirectUris": [WEB]},
        publicClient={"redirectUris": [NATIVE]},
    )
    admin.post(
        "/oauth2PermissionGrants",
        clientId=made.principal_id,
        resourceId=server.principal_id,
        consentType="AllPrincipals",
        scope="user_impersonation",
    )
    return made


def verified(running: Running, http: requests.Session, token: str) -> dict[str, Any]:
    """The claims, checked the way a server does that knows no more than the authority."""
    where = f"{running.origin}/{TENANT_ID}/.well-known/openid-configuration"
    metadata = http.get(where).json()
    keys = jwt.PyJWKSet.from_dict(http.get(metadata["jwks_uri"]).json())
    return jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]].key,
        algorithms=["RS256"],
        audience=FHIR,
        issuer=metadata["issuer"],
    )


def test_client_secret(
    running: Running, http: requests.Session, operator: Graph, admin: Graph, server: App
) -> None:
    client = operator.register(displayName="service")
    secret = operator.post(f"/applications/{client.id}/addPassword")["secretText"]
    admin.post(
        f"/servicePrincipals/{server.principal_id}/appRoleAssignedTo",
        principalId=client.principal_id,
        resourceId=server.principal_id,
        appRoleId=READ["id"],
    )

    app = confidential(running, http, client.app_id, secret)
    first = app.acquire_token_for_client([f"{FHIR}/.default"])
    second = app.acquire_token_for_client([f"{FHIR}/.default"])

    claims = verified(running, http, first["access_token"])
    assert claims["roles"] == ["read"]
    assert claims["appid"] == client.app_id
    assert second["token_source"] == "cache"


def test_a_wrong_secret_is_an_answer_not_an_exception(
    running: Running, http: requests.Session
) -> None:
    app = confidential(running, http, OPERATOR_CLIENT_ID, "wrong")

    result = app.acquire_token_for_client([f"{FHIR}/.default"])

    assert (result["error"], result["error_codes"]) == ("invalid_client", [7000215])


def test_instance_discovery_at_this_host(
    running: Running, http: requests.Session, server: App
) -> None:
    app = msal.ConfidentialClientApplication(
        OPERATOR_CLIENT_ID,
        client_credential=OPERATOR_SECRET,
        authority=f"{running.origin}/{TENANT_ID}",
        instance_discovery=f"{running.origin}/common/discovery/instance",
        http_client=http,
    )

    assert "access_token" in app.acquire_token_for_client([f"{FHIR}/.default"])


@pytest.mark.parametrize("path", [TENANT_ID, f"{TENANT_ID}/v2.0"])
def test_an_oidc_authority(
    running: Running, http: requests.Session, server: App, path: str
) -> None:
    app = msal.ConfidentialClientApplication(
        OPERATOR_CLIENT_ID,
        client_credential=OPERATOR_SECRET,
        oidc_authority=f"{running.origin}/{path}",
        http_client=http,
    )

    assert "access_token" in app.acquire_token_for_client([f"{FHIR}/.default"])


def test_federated_assertion(
    running: Running, http: requests.Session, issuer_key: RSAPrivateKey, server: App
) -> None:
    issuer, subject, audience = TRUST

    def assertion() -> str:
        now = int(datetime.now(UTC).timestamp())
        claims = {"iss": issuer, "sub": subject, "aud": [audience], "iat": now, "exp": now + 600}
        return jwt.encode(claims, issuer_key, algorithm="RS256")

    app = confidential(running, http, OPERATOR_CLIENT_ID, {"client_assertion": assertion})
    result = app.acquire_token_for_client([f"{FHIR}/.default"])

    assert verified(running, http, result["access_token"])["appidacr"] == "2"


@pytest.mark.parametrize("form", ["thumbprint", "issuer", "certificate", "pfx"])
def test_certificate(
    running: Running,
    http: requests.Session,
    own: Certified,
    server: App,
    form: str,
    tmp_path: Path,
) -> None:
    pfx = tmp_path / "own.pfx"
    pfx.write_bytes(own.pfx)
    key = {"private_key": own.key_pem}
    proofs: dict[str, dict[str, Any]] = {
        "thumbprint": {**key, "thumbprint": own.sha1.hex()},
        "issuer": {**key, "thumbprint": own.sha1.hex(), "public_certificate": own.pem},
        "certificate": {**key, "public_certificate": own.pem},
        "pfx": {"private_key_pfx_path": str(pfx), "public_certificate": True},
    }

    app = confidential(running, http, OPERATOR_CLIENT_ID, proofs[form])
    result = app.acquire_token_for_client([f"{FHIR}/.default"])

    assert verified(running, http, result["access_token"])["appidacr"] == "2"


def sign_in(http: requests.Session, url: str) -> dict[str, str]:
    """What the client is sent after the browser opened `url`."""
    answer = http.get(url, allow_redirects=False)
    if answer.status_code == 200:
        found = re.findall(r'name="(\w+)" value="([^"]*)"', answer.text)
        return {name: unescape(value) for name, value in found}
    location = urlsplit(answer.headers["location"])
    return {name: values[0] for name, values in parse_qs(location.query).items()}


def test_code_flow_of_a_confidential_client_and_refresh(
    running: Running, http: requests.Session, operator: Graph, portal: App
) -> None:
    secret = operator.post(f"/applications/{portal.id}/addPassword")["secretText"]
    app = confidential(running, http, portal.app_id, secret)
    flow = app.initiate_auth_code_flow(
        [f"{FHIR}/user_impersonation"],
        redirect_uri=WEB,
        login_hint=ALICE,
        response_mode="form_post",
    )

    result = app.acquire_token_by_auth_code_flow(flow, sign_in(http, flow["auth_uri"]))
    [account] = app.get_accounts()
    again = app.acquire_token_silent(
        [f"{FHIR}/user_impersonation"], account=account, force_refresh=True
    )

    for answer in (result, again):
        claims = verified(running, http, answer["access_token"])
        assert claims["scp"] == "user_impersonation"
        assert claims["upn"] == ALICE
    assert account["username"] == ALICE
    assert result["id_token_claims"]["preferred_username"] == ALICE


def test_code_flow_of_a_public_client(
    running: Running, http: requests.Session, portal: App
) -> None:
    app = msal.PublicClientApplication(
        portal.app_id,
        authority=f"{running.origin}/{TENANT_ID}",
        instance_discovery=False,
        http_client=http,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MSAL would rather have form_post
        flow = app.initiate_auth_code_flow(
            [f"{FHIR}/user_impersonation"], redirect_uri=NATIVE, login_hint=ALICE
        )

    result = app.acquire_token_by_auth_code_flow(flow, sign_in(http, flow["auth_uri"]))

    assert verified(running, http, result["access_token"])["appidacr"] == "0"


def test_a_user_who_may_not_is_told_so(
    running: Running, http: requests.Session, operator: Graph, server: App
) -> None:
    client = operator.register(displayName="new", web={"redirectUris": [WEB]})
    app = confidential(running, http, client.app_id, "unused")
    flow = app.initiate_auth_code_flow(
        [f"{FHIR}/user_impersonation"],
        redirect_uri=WEB,
        login_hint=ALICE,
        response_mode="form_post",
    )

    result = app.acquire_token_by_auth_code_flow(flow, sign_in(http, flow["auth_uri"]))

    assert result["error"] == "consent_required"
    assert "AADSTS65001" in result["error_description"]


def test_an_unavailable_token_endpoint(running: Running, http: requests.Session) -> None:
    app = confidential(running, http, OPERATOR_CLIENT_ID, OPERATOR_SECRET)
    url = f"{running.origin}/_emulator/faults"
    http.post(url, json={"path": "/token$", "drop": True}).raise_for_status()

    with contextlib.suppress(requests.ConnectionError):
        app.acquire_token_for_client([f"{FHIR}/.default"])

    assert http.get(url).json() == []
