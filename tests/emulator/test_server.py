import gc
import socket
import ssl
import warnings
from collections.abc import Iterator

import httpx
import pytest

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID, Emulator, Seeds
from entra_emulator.server import Running, serve
from tests.emulator.cloud import GRAPH, OPERATOR_SECRET, TOKEN


@pytest.fixture
def running() -> Iterator[Running]:
    seeds = Seeds(operator_secret=OPERATOR_SECRET)
    with serve({"admin": True, "seeds": seeds}) as made:
        yield made


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cadata=running.ca_pem.decode())
    with httpx.Client(base_url=running.origin, verify=context, trust_env=False) as made:
        yield made


def sign_in(client: httpx.Client) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": OPERATOR_CLIENT_ID,
        "client_secret": OPERATOR_SECRET,
        "scope": GRAPH,
    }
    token = client.post(TOKEN, data=form).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"


def test_documents_name_the_real_origin(running: Running, client: httpx.Client) -> None:
    found = client.get(f"/{TENANT_ID}/v2.0/.well-known/openid-configuration").json()

    assert running.origin.startswith("https://localhost:")
    assert found["token_endpoint"] == running.origin + TOKEN


def test_the_certificate_has_the_names_of_the_real_service(running: Running) -> None:
    context = ssl.create_default_context(cadata=running.ca_pem.decode())
    port = int(running.origin.rpartition(":")[2])

    for name in ("127.0.0.1", "login.microsoftonline.com", "graph.microsoft.com"):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname=name) as secured,
        ):
            assert secured.version() == "TLSv1.3"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_dropped_answer_cuts_the_connection(
    running: Running, client: httpx.Client, when: str
) -> None:
    sign_in(client)
    fault = {"method": "POST", "path": "/applications$", "drop": True, "when": when}
    client.post("/_emulator/faults", json=fault).raise_for_status()

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        client.post("/v1.0/applications", json={"displayName": "x"})

    names = [item["displayName"] for item in client.get("/v1.0/applications").json()["value"]]
    assert ("x" in names) == (when == "after")


def test_a_dropped_answer_leaves_other_connections_alone(
    running: Running, client: httpx.Client
) -> None:
    sign_in(client)
    context = ssl.create_default_context(cadata=running.ca_pem.decode())
    fault = {"path": "/applications$", "drop": True}
    with httpx.Client(base_url=running.origin, verify=context, trust_env=False) as other:
        other.post("/_emulator/faults", json=fault).raise_for_status()
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/v1.0/applications")

        assert other.get("/_emulator/faults").json() == []


def test_refusals_before_the_body_is_read_do_no_harm(client: httpx.Client) -> None:
    for _ in range(20):
        answer = client.post("/v1.0/applications", content=b"x" * 200_000)
        assert answer.status_code == 401


def test_paths_arrive_as_they_were_sent(client: httpx.Client) -> None:
    sign_in(client)
    path = "/v1.0//applications(uniqueName='a%2Fb%27%27c')"

    made = client.patch(path, json={"displayName": "x"}, headers={"Prefer": "create-if-missing"})

    assert made.json()["uniqueName"] == "a/b'c"


def test_a_given_emulator_is_served_with_its_state() -> None:
    emulator = Emulator(origin="https://entra.test")

    with serve(emulator) as running:
        assert running.emulator is emulator
        assert emulator.origin == running.origin


def test_a_taken_port_is_an_error(running: Running) -> None:
    port = int(running.origin.rpartition(":")[2])

    with pytest.raises(OSError, match="in use"), serve(Emulator(), port=port):
        pass


def test_stopping_leaves_no_connection_behind() -> None:
    with socket.socket() as raw:
        with serve(Emulator()) as running:
            context = ssl.create_default_context(cadata=running.ca_pem.decode())
            raw.connect(("127.0.0.1", int(running.origin.rpartition(":")[2])))
            idle = context.wrap_socket(raw, server_hostname="localhost")
            idle.sendall(b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(12) == b"HTTP/1.1 404"
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            gc.collect()
        idle.close()

    assert [str(warning.message) for warning in told] == []
