"""Who gets in, and who does not: each row of the table signs in with its Secret alone.

Manifests on the real API server, reconciled by the installed operator; tokens from the emulated
Entra by MSAL; and FHIR servers that know what their own Secrets say.
"""

import base64
import json
from contextlib import ExitStack

import httpx
import jwt
import pytest

from dev.demo.administrator import signed_in
from dev.demo.signing_in import service_token, user_token
from entra_emulator.seeds import ALICE, BOB
from entra_emulator.signin.keys import SigningKey
from tests.e2e.access_table import (
    CLIENTS,
    NAMESPACE,
    OBSERVATION,
    READER,
    SERVERS,
    SMART,
    manifests,
    registration,
    rows,
)
from tests.fhir_server.server import FhirServer, serving

pytestmark = [pytest.mark.control_plane, pytest.mark.xdist_group("e2e")]

PEOPLE = {READER: (ALICE, "globalReader"), SMART: (BOB, "smartUser")}
SERVICE = next(client for client in CLIENTS if client.kind == "reader")


class Access:
    """The table in a cluster: Secrets, tokens, and the servers that check them."""

    def __init__(self, clinic):
        self.clinic = clinic
        self.servers = {}
        self._tokens = {}

    def secret(self, name):
        body = self.clinic.get("secret", name, NAMESPACE)
        return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}

    def status(self, name):
        return self.clinic.get("fhirapp", name, NAMESPACE)["status"]

    def token(self, server, client):
        """The access token of a client of the table, which signs in once."""
        name = client.name_at(server)
        if name not in self._tokens:
            self._tokens[name] = self.new_token(name, client)
        return self._tokens[name]

    def new_token(self, name, client):
        secret, trust = self.secret(name), self.clinic.trust
        if client.user is None:
            return service_token(secret, trust)
        return user_token(
            secret, trust, redirect_uri=secret["FHIR_REDIRECT_URIS"].split(",")[0],
            user=PEOPLE[client.user][0].user_principal_name,
            in_page="spa" in client.spec["redirectUris"],
        )  # fmt: skip

    def server_of(self, secret):
        return serving(FhirServer.from_secret(secret, self.clinic.entra.ca_file))

    def administrator(self):
        return signed_in(self.clinic.entra, self.clinic.trust)


def ask(server, token, method="GET", kind=OBSERVATION):
    """The status of the answer, which always comes with an OperationOutcome."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.request(method, f"{server.url}/{kind}", headers=headers, trust_env=False)
    assert answer.json()["resourceType"] == "OperationOutcome"
    return answer.status_code


@pytest.fixture(scope="module")
def access(clinic):
    made = Access(clinic)
    clinic.create(manifests())
    clinic.cluster.kubectl(
        "wait", "--for=condition=Ready", "fhirapp", "--all", "-n", NAMESPACE, "--timeout=120s"
    )
    with made.administrator() as administrator:
        for server in SERVERS:
            app_id = made.status(server.name)["appId"]
            for person, role in PEOPLE.values():
                administrator.assign(person.id, app_id, {role})
            for client in CLIENTS:
                administrator.consent(made.status(client.name_at(server))["appId"])
    with ExitStack() as stack:
        for server in SERVERS:
            secret = made.secret(server.name)
            made.servers[server.name] = stack.enter_context(made.server_of(secret))
        yield made
    clinic.cluster.kubectl("delete", "fhirapp", "--all", "-n", NAMESPACE, "--timeout=120s")
    clinic.cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize(
    ("server", "client", "method", "kind", "expected"),
    [pytest.param(*row, id=f"{row[1].name_at(row[0])}-{row[2]}-{row[3]}") for row in rows()],
)
def test_the_server_answers_what_the_manifest_allows(
    access, server, client, method, kind, expected
):
    token = access.token(server, client)
    assert ask(access.servers[server.name], token, method, kind) == expected


@pytest.mark.parametrize("server", SERVERS, ids=lambda each: each.name)
def test_no_other_server_takes_its_clients_tokens(access, server):
    token = access.token(server, SERVICE)
    others = [each for name, each in access.servers.items() if name != server.name]
    assert [ask(other, token) for other in others] == [401] * len(others)


@pytest.mark.parametrize("server", SERVERS, ids=lambda each: each.name)
def test_a_token_that_entra_did_not_sign_is_refused(access, server):
    claims = jwt.decode(access.token(server, SERVICE), options={"verify_signature": False})
    assert ask(access.servers[server.name], SigningKey.generate().sign(claims)) == 401


def test_without_a_grant_the_service_is_forbidden_and_with_it_it_gets_in(access):
    server = SERVERS[0]
    access.clinic.create(registration(
        "ungranted", type="Service", appRoles=["globalReader"], fhirServerRef={"name": server.name}
    ))  # fmt: skip
    access.clinic.wait_ready("ungranted", namespace=NAMESPACE)
    front = access.servers[server.name]
    assert ask(front, access.new_token("ungranted", SERVICE)) == 403
    with access.administrator() as administrator:
        administrator.consent(access.status("ungranted")["appId"])
    assert ask(front, access.new_token("ungranted", SERVICE)) == 200


def test_a_server_that_missed_the_change_of_its_token_version_refuses_all(access):
    server = SERVERS[1]
    name = SERVICE.name_at(server)
    patch = json.dumps({"spec": {"resource": {"tokenVersion": 2}}})
    access.clinic.cluster.kubectl(
        "patch", "fhirapp", server.name, "-n", NAMESPACE, "--type=merge", "-p", patch
    )
    app_id = access.status(server.name)["appId"]
    access.clinic.wait(
        lambda: access.secret(name)["FHIR_AUDIENCE"] == app_id, "the client's Secret follows"
    )
    token = access.new_token(name, SERVICE)
    assert ask(access.servers[server.name], token) == 401
    with access.server_of(access.secret(server.name)) as restarted:
        assert ask(restarted, token) == 200
