import socket
import ssl
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import msal
import pytest
import requests

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID, Seeds
from entra_emulator.server import Running, serve
from entra_emulator.tunnel import HOST, lead_to
from tests.emulator.cloud import OPERATOR_SECRET

LOGIN = f"https://login.microsoftonline.com/{TENANT_ID}"
GRAPH = "https://graph.microsoft.com"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with serve({"seeds": Seeds(operator_secret=OPERATOR_SECRET)}) as made:
        yield made


@pytest.fixture(scope="module")
def proxy(running: Running) -> Iterator[str]:
    with lead_to(running.port) as url:
        yield url


@pytest.fixture
def client(running: Running, proxy: str) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cadata=running.ca_pem.decode())
    with httpx.Client(proxy=proxy, verify=context, trust_env=False) as made:
        yield made


def ask(proxy: str, request: bytes) -> bytes:
    """What the proxy answers, until it closes the connection."""
    url = urlsplit(proxy)
    with socket.create_connection(
        (str(url.hostname), int(url.port or 0)), timeout=20
    ) as connection:
        connection.sendall(request)
        if not request.endswith(b"\r\n\r\n"):
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(4096):
            answer += data
        return answer


@pytest.mark.parametrize(
    "host",
    [
        "login.microsoftonline.com",
        "login.microsoft.com",
        "graph.microsoft.com",
        "management.azure.com",
    ],
)
def test_the_names_of_the_real_service_lead_here(client: httpx.Client, host: str) -> None:
    answer = client.get(f"https://{host}/common/discovery/instance")

    assert answer.status_code == 200
    assert answer.json()["metadata"][0]["preferred_network"] == host


def test_names_are_the_same_in_any_case(proxy: str) -> None:
    url = urlsplit(proxy)
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=20) as opened:
        opened.sendall(b"CONNECT Graph.Microsoft.com:443 HTTP/1.1\r\n\r\n")
        assert opened.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "request_head",
    [
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        b"CONNECT localhost:443 HTTP/1.1\r\n\r\n",
        b"CONNECT login.microsoftonline.com.evil.example:443 HTTP/1.1\r\n\r\n",
        b"CONNECT login.microsoftonline.com:80 HTTP/1.1\r\n\r\n",
        b"CONNECT login.microsoftonline.com HTTP/1.1\r\n\r\n",
        b"GET graph.microsoft.com:443 HTTP/1.1\r\n\r\n",
        b"GET http://graph.microsoft.com/v1.0/applications HTTP/1.1\r\n\r\n",
        b"CONNECT\r\n\r\n",
        b"\r\n\r\n",
        b"\xff\x00 \xfe\r\n\r\n",
        b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\n",
        b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
    ],
)
def test_everything_else_is_refused(proxy: str, request_head: bytes) -> None:
    try:
        answer = ask(proxy, request_head)
    except ConnectionError:
        answer = b""  # what was sent and not read cuts the connection

    if len(request_head) < 20_000:
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"login.microsoftonline.com" in answer
    assert b"200" not in answer.split(b"\r\n")[0]


def test_other_hosts_are_out_of_reach(client: httpx.Client) -> None:
    with pytest.raises(httpx.ProxyError, match="403"):
        client.get("https://example.com/")


def test_msal_and_graph_need_no_other_address(
    running: Running, proxy: str, client: httpx.Client, tmp_path
) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(running.ca_pem)
    with requests.Session() as session:
        session.verify, session.trust_env = str(authority), False
        session.proxies = {"https": proxy}
        app = msal.ConfidentialClientApplication(
            OPERATOR_CLIENT_ID,
            client_credential=OPERATOR_SECRET,
            authority=LOGIN,
            http_client=session,
        )
        result = app.acquire_token_for_client([f"{GRAPH}/.default"])
    headers = {"Authorization": f"Bearer {result['access_token']}"}

    page = client.get(f"{GRAPH}/v1.0//applications?$top=1", headers=headers).json()
    rest = client.get(page["@odata.nextLink"], headers=headers)

    assert page["@odata.nextLink"].startswith(f"{GRAPH}/v1.0/")
    assert page["@odata.context"].startswith(f"{GRAPH}/v1.0/$metadata")
    assert rest.status_code == 200


def test_metadata_leads_to_the_host_it_was_read_from(client: httpx.Client) -> None:
    metadata = client.get(f"{LOGIN}/v2.0/.well-known/openid-configuration").json()

    assert metadata["issuer"] == f"{LOGIN}/v2.0"
    assert metadata["token_endpoint"] == f"{LOGIN}/oauth2/v2.0/token"
    assert client.get(metadata["jwks_uri"]).status_code == 200


def test_it_stops_with_connections_open(running: Running) -> None:
    before = set(threading.enumerate())
    with lead_to(running.port) as url, socket.create_connection((HOST, urlsplit(url).port)) as idle:
        idle.sendall(b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert set(threading.enumerate()) <= before


def test_an_emulator_that_is_gone_is_told() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        with lead_to(taken.getsockname()[1]) as url:
            answer = ask(url, b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
