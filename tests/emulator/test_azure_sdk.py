"""Microsoft's SDK over TLS, unmodified: azure-identity signs in, msgraph-sdk works on objects."""

import contextlib
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    EnvironmentCredential,
    WorkloadIdentityCredential,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID, FederatedTrust, Seeds
from entra_emulator.server import Running, serve
from entra_emulator.tunnel import lead_to
from tests.emulator.certified import Certified, certified
from tests.emulator.cloud import GRAPH, OPERATOR_SECRET

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # their own use of their own old names
    from kiota_abstractions import default_query_parameters  # noqa: F401
    from kiota_authentication_azure.azure_identity_authentication_provider import (
        AzureIdentityAuthenticationProvider,
    )
    from msgraph import GraphRequestAdapter, GraphServiceClient
    from msgraph.generated.applications.applications_request_builder import (
        ApplicationsRequestBuilder,
    )
    from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
        AddPasswordPostRequestBody,
    )
    from msgraph.generated.models.application import Application
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError
    from msgraph.generated.models.password_credential import PasswordCredential
    from msgraph.generated.models.service_principal import ServicePrincipal
    from msgraph.generated.models.web_application import WebApplication
    from msgraph_core import GraphClientFactory

# As above.
pytestmark = pytest.mark.filterwarnings("ignore:This class is deprecated:DeprecationWarning")

TRUST = ("https://cluster.example", "system:serviceaccount:ns:app", "api://AzureADTokenExchange")
ENVIRONMENT = (
    *("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


@pytest.fixture(autouse=True)
def no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def own() -> Certified:
    now = datetime.now(UTC)
    return certified(now - timedelta(days=1), now + timedelta(days=1))


@pytest.fixture(scope="module")
def running(own: Certified) -> Iterator[Running]:
    form = PublicFormat.SubjectPublicKeyInfo
    issuer_key = own.key.public_key().public_bytes(Encoding.PEM, form).decode()
    seeds = Seeds(
        operator_secret=OPERATOR_SECRET,
        operator_certificate_pem=own.pem,
        federated=FederatedTrust(*TRUST, issuer_key),
    )
    with serve({"seeds": seeds}) as made:
        yield made


@pytest.fixture(scope="module")
def ca_file(running: Running, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    path.write_bytes(running.ca_pem)
    return str(path)


@pytest.fixture
def here(running: Running, ca_file: str) -> dict[str, Any]:
    """What a credential has to be told to sign in here."""
    return {
        "authority": running.origin,
        "disable_instance_discovery": True,
        "connection_verify": ca_file,
    }


def federated_token(own: Certified) -> str:
    issuer, subject, audience = TRUST
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": issuer, "sub": subject, "aud": [audience], "iat": now, "exp": now + 600}
    return jwt.encode(claims, own.key, algorithm="RS256")


def caller(credential: Any) -> str:
    """The application in the token that the credential gets for Graph."""
    with contextlib.closing(credential):
        token = credential.get_token(GRAPH).token
    claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return f"{claims['appid']} {claims['appidacr']}"


def test_client_secret_credential(here: dict[str, Any]) -> None:
    credential = ClientSecretCredential(TENANT_ID, OPERATOR_CLIENT_ID, OPERATOR_SECRET, **here)

    assert caller(credential) == f"{OPERATOR_CLIENT_ID} 1"


@pytest.mark.parametrize("chain", [{}, {"send_certificate_chain": True}])
def test_certificate_credential(
    here: dict[str, Any], own: Certified, chain: dict[str, bool]
) -> None:
    credential = CertificateCredential(
        TENANT_ID,
        OPERATOR_CLIENT_ID,
        certificate_data=(own.key_pem + own.pem).encode(),
        **chain,
        **here,
    )

    assert caller(credential) == f"{OPERATOR_CLIENT_ID} 2"


def test_client_assertion_credential(here: dict[str, Any], own: Certified) -> None:
    credential = ClientAssertionCredential(
        TENANT_ID, OPERATOR_CLIENT_ID, lambda: federated_token(own), **here
    )

    assert caller(credential) == f"{OPERATOR_CLIENT_ID} 2"


def test_workload_identity_credential(here: dict[str, Any], own: Certified, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(federated_token(own))
    credential = WorkloadIdentityCredential(
        tenant_id=TENANT_ID, client_id=OPERATOR_CLIENT_ID, token_file_path=str(file), **here
    )

    assert caller(credential) == f"{OPERATOR_CLIENT_ID} 2"


def test_environment_credential_from_the_keys_of_a_secret(
    running: Running, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {
        "AZURE_TENANT_ID": TENANT_ID,
        "AZURE_CLIENT_ID": OPERATOR_CLIENT_ID,
        "AZURE_CLIENT_SECRET": OPERATOR_SECRET,
        "AZURE_AUTHORITY_HOST": running.origin,
    }
    for name, value in secret.items():
        monkeypatch.setenv(name, value)
    credential = EnvironmentCredential(connection_verify=ca_file, disable_instance_discovery=True)

    assert caller(credential) == f"{OPERATOR_CLIENT_ID} 1"


def test_a_refused_credential_says_why(here: dict[str, Any]) -> None:
    credential = ClientSecretCredential(TENANT_ID, OPERATOR_CLIENT_ID, "wrong", **here)

    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        caller(credential)


@pytest.fixture
async def graph(
    running: Running, ca_file: str, here: dict[str, Any]
) -> AsyncIterator[GraphServiceClient]:
    context = ssl.create_default_context(cafile=ca_file)
    with ClientSecretCredential(TENANT_ID, OPERATOR_CLIENT_ID, OPERATOR_SECRET, **here) as proof:
        async with httpx.AsyncHTTPTransport(verify=context, http2=True) as transport:
            inner = httpx.AsyncClient(transport=transport)
            client = GraphClientFactory.create_with_default_middleware(client=inner)
            provider = AzureIdentityAuthenticationProvider(
                proof, scopes=[GRAPH], allowed_hosts=["localhost"]
            )
            adapter = GraphRequestAdapter(provider, client=client)
            adapter.base_url = f"{running.origin}/v1.0"
            yield GraphServiceClient(request_adapter=adapter)


async def made(graph: GraphServiceClient, name: str) -> tuple[str, str]:
    """Object id and appId of a new application."""
    body = Application(
        display_name=name,
        sign_in_audience="AzureADMyOrg",
        web=WebApplication(redirect_uris=["https://a.example/cb"]),
    )
    app = await graph.applications.post(body)
    assert app is not None
    assert app.id is not None
    assert app.app_id is not None
    return app.id, app.app_id


async def test_an_application_from_its_creation_to_its_end(graph: GraphServiceClient) -> None:
    _, app_id = await made(graph, "sdk")
    one = graph.applications_with_app_id(app_id)

    await one.patch(Application(display_name="renamed", tags=["a"]))
    app = await one.get()
    await one.delete()

    assert app is not None
    assert (app.display_name, app.tags) == ("renamed", ["a"])
    assert app.web is not None
    assert app.web.redirect_uris == ["https://a.example/cb"]
    assert {name for name in app.additional_data if "@odata." not in name} == set()
    with pytest.raises(ODataError) as refused:
        await one.get()
    assert refused.value.response_status_code == 404


async def test_a_list_with_count_filter_and_choice_of_properties(
    graph: GraphServiceClient,
) -> None:
    for name in ("list one", "list two"):
        await made(graph, name)
    builder = ApplicationsRequestBuilder
    query = builder.ApplicationsRequestBuilderGetQueryParameters(
        count=True,
        filter="startswith(displayName,'list')",
        select=["id", "displayName"],
        top=1,
    )
    configuration: Any = builder.ApplicationsRequestBuilderGetRequestConfiguration(
        query_parameters=query
    )
    configuration.headers.add("ConsistencyLevel", "eventual")

    page = await graph.applications.get(request_configuration=configuration)
    assert page is not None
    assert page.odata_next_link is not None
    rest = await graph.applications.with_url(page.odata_next_link).get(
        request_configuration=builder.ApplicationsRequestBuilderGetRequestConfiguration(
            headers=configuration.headers
        )
    )

    assert rest is not None
    assert page.odata_count == 2
    names = [app.display_name for app in [*(page.value or ()), *(rest.value or ())]]
    assert names == ["list one", "list two"]


async def test_a_secret_and_a_service_principal(
    graph: GraphServiceClient, here: dict[str, Any]
) -> None:
    object_id, app_id = await made(graph, "service")
    body = AddPasswordPostRequestBody(password_credential=PasswordCredential(display_name="s"))

    secret = await graph.applications.by_application_id(object_id).add_password.post(body)
    principal = await graph.service_principals.post(ServicePrincipal(app_id=app_id))

    assert secret is not None
    assert secret.secret_text is not None
    assert secret.key_id is not None
    assert principal is not None
    assert principal.service_principal_names == [app_id]
    credential = ClientSecretCredential(TENANT_ID, app_id, secret.secret_text, **here)
    assert caller(credential) == f"{app_id} 1"


async def test_an_error_is_read_with_all_its_parts(graph: GraphServiceClient) -> None:
    body = Application(display_name="x", identifier_uris=["https://not-ours.invalid/x"])

    with pytest.raises(ODataError) as refused:
        await graph.applications.post(body)

    error = refused.value.error
    assert refused.value.response_status_code == 400
    assert error is not None
    assert error.code == "HostNameNotOnVerifiedDomain"
    assert error.message is not None
    assert error.message.startswith("Failed to add identifier URI https://not-ours.invalid/x")
    assert error.inner_error is not None
    assert error.inner_error.request_id
    assert error.inner_error.date is not None


async def close(graph: Any) -> None:
    """Close the connections of a client that made its own: it offers no way to."""
    client = graph.request_adapter._http_client
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            await transport.transport.aclose()


async def test_stock_clients_through_the_tunnel(
    running: Running, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lead_to(running.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
        monkeypatch.setenv("SSL_CERT_FILE", ca_file)
        with ClientSecretCredential(TENANT_ID, OPERATOR_CLIENT_ID, OPERATOR_SECRET) as proof:
            graph = GraphServiceClient(proof)
            _, app_id = await made(graph, "through the tunnel")
            app = await graph.applications_with_app_id(app_id).get()
            await close(graph)

    assert app is not None
    assert app.display_name == "through the tunnel"
