"""Who gets in, and who does not: each row of the table signs in with its Secret alone.

Manifests on the real API server, reconciled by the installed operator; tokens from the emulated
Entra by MSAL; and FHIR servers that know what their own Secrets say.
"""

import json
from contextlib import ExitStack

import jwt
import pytest

from dev.demo.administrator import signed_in
from entra_emulator.seeds import ALICE, BOB
from entra_emulator.signin.keys import SigningKey
from tests.e2e.access import Access, ask
from tests.e2e.access_table import (
    AZURE_ROLES,
    CLIENTS,
    MANAGED,
    MANAGED_CLIENTS,
    NAMESPACE,
    OBSERVATION,
    READER,
    SERVERS,
    SMART,
    manifests,
    registration,
    rows,
)

pytestmark = pytest.mark.control_plane

PEOPLE = {READER: (ALICE, "globalReader"), SMART: (BOB, "smartUser"), None: (None, None)}
SERVICE = next(client for client in CLIENTS if client.kind == "reader")


class Table(Access):
    """The table in a cluster, with everything granted."""

    def __init__(self, clinic):
        super().__init__(clinic, NAMESPACE)
        self.servers = {}
        self._tokens = {}

    def grant(self):
        for server in SERVERS:
            for person, role in filter(all, PEOPLE.values()):
                self.assign(server.name, person, role)
            for client in CLIENTS:
                self.consent(client.name_at(server))
        for client in MANAGED_CLIENTS:
            if client.user is not None:
                self.consent(client.name_at(MANAGED))

    def azure_roles(self):
        """Who was given which role on the managed service, by object id."""
        services = {
            self.secret(client.name_at(MANAGED))["AZURE_PRINCIPAL_ID"]: client.azure_role
            for client in MANAGED_CLIENTS
            if client.azure_role is not None
        }
        return services | {PEOPLE[who][0].id: role for who, role in AZURE_ROLES.items()}

    def token_of(self, server, client):
        """The access token of a client of the table, which signs in once."""
        name = client.name_at(server)
        if name not in self._tokens:
            self._tokens[name] = self.token(name, PEOPLE[client.user][0])
        return self._tokens[name]


@pytest.fixture(scope="module")
def table(clinic):
    made = Table(clinic)
    clinic.create(manifests())
    made.wait_ready()
    made.grant()
    with ExitStack() as stack:
        for server in SERVERS:
            secret = made.secret(server.name)
            made.servers[server.name] = stack.enter_context(made.serving(secret))
        managed = made.serving(made.secret(MANAGED.name), azure_roles=made.azure_roles())
        made.servers[MANAGED.name] = stack.enter_context(managed)
        yield made
    clinic.cluster.kubectl("delete", "fhirapp", "--all", "-n", NAMESPACE, "--timeout=120s")
    clinic.cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize(
    ("server", "client", "method", "kind", "expected"),
    [pytest.param(*row, id=f"{row[1].name_at(row[0])}-{row[2]}-{row[3]}") for row in rows()],
)
def test_the_server_answers_what_the_manifest_allows(table, server, client, method, kind, expected):
    token = table.token_of(server, client)
    assert ask(table.servers[server.name], token, method, kind) == expected


@pytest.mark.parametrize("server", SERVERS, ids=lambda each: each.name)
def test_no_other_server_takes_its_clients_tokens(table, server):
    token = table.token_of(server, SERVICE)
    others = [each for name, each in table.servers.items() if name != server.name]
    assert [ask(other, token, "GET", OBSERVATION) for other in others] == [401] * len(others)


@pytest.mark.parametrize("server", SERVERS, ids=lambda each: each.name)
def test_a_token_that_entra_did_not_sign_is_refused(table, server):
    claims = jwt.decode(table.token_of(server, SERVICE), options={"verify_signature": False})
    forged = SigningKey.generate().sign(claims)
    assert ask(table.servers[server.name], forged, "GET", OBSERVATION) == 401


def test_without_a_grant_the_service_is_forbidden_and_with_it_it_gets_in(table):
    server = SERVERS[0]
    table.clinic.create(registration(
        "ungranted", type="Service", appRoles=["globalReader"], fhirServerRef={"name": server.name}
    ))  # fmt: skip
    table.clinic.wait_ready("ungranted", namespace=NAMESPACE)
    front = table.servers[server.name]
    assert ask(front, table.token("ungranted"), "GET", OBSERVATION) == 403
    table.consent("ungranted")
    assert ask(front, table.token("ungranted"), "GET", OBSERVATION) == 200


def test_what_no_manifest_may_ask_for_is_a_bad_request_if_somebody_consents_by_hand(table):
    server, chart = SERVERS[2], next(client for client in CLIENTS if client.kind == "chart")
    table.clinic.create(registration("mixed", **chart.spec, fhirServerRef={"name": server.name}))
    table.clinic.wait_ready("mixed", namespace=NAMESPACE)
    table.consent("mixed")
    with signed_in(table.clinic.entra, table.clinic.trust) as administrator:
        administrator.consent_for(
            BOB.id, table.app_id("mixed"), table.app_id(server.name), "patient.all.rs"
        )
    token = table.token("mixed", BOB)
    assert ask(table.servers[server.name], token, "GET", OBSERVATION) == 400


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.kind)
def test_explain_says_what_the_server_answers(table, client):
    name = client.name_at(SERVERS[0])
    answer = table.clinic.operator.command("explain", f"{NAMESPACE}/{name}", "--sign-in")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    if client.kind in ("reader", "backend"):
        assert "lets it in" in answer.stdout
    for secret in table.secret(name).items():
        assert "SECRET" not in secret[0] or secret[1] not in answer.stdout


def test_explain_finds_the_grant_that_is_missing(table):
    server = SERVERS[2]
    table.clinic.create(registration(
        "barred", type="Service", appRoles=["globalReader"], fhirServerRef={"name": server.name}
    ))  # fmt: skip
    table.clinic.wait_ready("barred", namespace=NAMESPACE)
    answer = table.clinic.operator.command("explain", f"{NAMESPACE}/barred", "--sign-in")
    assert answer.returncode == 1
    assert "answers 403: `roles` lacks globalReader" in answer.stdout
    assert ask(table.servers[server.name], table.token("barred"), "GET", OBSERVATION) == 403


def test_a_server_that_missed_the_change_of_its_token_version_refuses_all(table):
    server = SERVERS[1]
    name = SERVICE.name_at(server)
    patch = json.dumps({"spec": {"resource": {"tokenVersion": 2}}})
    table.clinic.cluster.kubectl(
        "patch", "fhirapp", server.name, "-n", NAMESPACE, "--type=merge", "-p", patch
    )
    app_id = table.app_id(server.name)
    table.clinic.wait(
        lambda: table.secret(name)["FHIR_AUDIENCE"] == app_id, "the client's Secret follows"
    )
    token = table.token(name)
    assert ask(table.servers[server.name], token, "GET", OBSERVATION) == 401
    with table.serving(table.secret(server.name)) as restarted:
        assert ask(restarted, token, "GET", OBSERVATION) == 200
