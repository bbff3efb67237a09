"""The operator goes on by itself after every kind of outage of the API server, and misses nothing.

Real watches on a real control plane; resyncs are an hour away, so only the watches can tell.
"""

import json
import re
import ssl
import time
from contextlib import asynccontextmanager

import httpx
import jwt
import pytest

from dev.fault_proxy import running_fault_proxy
from fhir_app_operator.errors import Waiting
from tests.controller.lab import open_lab
from tests.controller.running import own_cluster, own_entra, running_operator

pytestmark = pytest.mark.control_plane

NAMESPACE = "fhir-app-operator"
LEEWAY = 60
"""Seconds for which the API server takes a token after its end (go-jose's default)."""


@pytest.fixture(scope="module")
def cluster():
    with own_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def entra():
    with own_entra() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster):
    url = httpx.URL(cluster.url)
    with running_fault_proxy(url.host, url.port) as running:
        yield running


class Tokens:
    """The operator's token file, and the ServiceAccount's real key to write tokens with."""

    def __init__(self, cluster, path):
        self.cluster = cluster
        self.path = path
        account = cluster.kubectl("get", "sa", NAMESPACE, "-n", NAMESPACE, "-o", "json").stdout
        self.uid = json.loads(account)["metadata"]["uid"]
        self.key = (cluster.folder / "pki" / "service-account.key").read_bytes()

    def renew(self, seconds):
        """Replace the token by one that is good for `seconds`; the API gives none below 600.

        The time is returned after which it is refused.
        """
        now = int(time.time()) - LEEWAY
        claims = {
            "iss": self.cluster.issuer, "aud": [self.cluster.issuer], "iat": now, "nbf": now,
            "exp": now + seconds, "sub": f"system:serviceaccount:{NAMESPACE}:{NAMESPACE}",
            "kubernetes.io": {
                "namespace": NAMESPACE, "serviceaccount": {"name": NAMESPACE, "uid": self.uid},
            },
        }  # fmt: skip
        fresh = self.path.with_suffix(".new")
        fresh.write_text(jwt.encode(claims, self.key, "RS256"))
        fresh.replace(self.path)
        return claims["exp"] + LEEWAY


@pytest.fixture
def tokens(cluster, tmp_path):
    made = Tokens(cluster, tmp_path / "token")
    made.renew(3600)
    return made


@pytest.fixture
def kubeconfig(cluster, proxy, tokens, tmp_path):
    path = tmp_path / "kubeconfig"
    return cluster.kubeconfig_for_token(tokens.path, path, f"https://{proxy.address}")


class Clinic:
    """Registrations in a namespace of the test's own, seen past the proxy."""

    def __init__(self, lab, operator):
        self.lab = lab
        self.operator = operator

    async def register(self, name):
        resource = {"url": f"https://{name}-{self.lab.namespace}.clinic.example"}
        await self.lab.register("Resource", name, resource=resource)

    async def all_ready(self, *names):
        for name in names:
            await self.operator.until(lambda n=name: self.is_ready(n), f"{name} is Ready")

    async def is_ready(self, name):
        body = await self.lab.read("fhirapp", name)
        generation = body["metadata"]["generation"]
        found = {c["type"]: c for c in body["status"].get("conditions", ())}.get("Ready", {})
        return (found.get("status"), found.get("observedGeneration")) == ("True", generation)

    async def before_the_outage(self):
        for name in ("kept", "changed", "deleted"):
            await self.register(name)
        await self.all_ready("kept", "changed", "deleted")

    async def during_the_outage(self):
        """One of each thing that can be missed."""
        await self.register("created")
        await self.lab.patch("fhirapp", "changed", {"spec": {"displayName": "Changed"}})
        await self.lab.delete("fhirapp", "deleted")
        await self.lab.delete("secret", "kept")

    async def nothing_was_missed(self):
        await self.all_ready("created", "changed")
        application = await self.lab.application("changed")
        assert application["displayName"] == "Changed"
        await self.operator.until(lambda: self.is_gone("deleted"), "deleted is gone")
        await self.operator.until(lambda: self.lab.read("secret", "kept"), "the Secret is back")
        for page in ("healthz", "readyz"):
            answer = await self.operator.page(page)
            assert (answer.status_code, answer.text) == (200, "ok")

    async def is_reached(self):
        try:
            await self.lab.read("namespace", self.lab.namespace)
        except Waiting:  # a connection from before the restart
            return False
        return True

    async def is_gone(self, name):
        return await self.lab.read("fhirapp", name) is None


@asynccontextmanager
async def opened(cluster, entra, proxy, kubeconfig):
    proxy.let_through()
    proxy.drop()
    async with open_lab(cluster, entra) as lab, running_operator(kubeconfig) as operator:
        made = Clinic(lab, operator)
        try:
            yield made
        finally:
            proxy.let_through()
            proxy.drop()


@pytest.fixture
async def clinic(cluster, entra, proxy, kubeconfig):
    async with opened(cluster, entra, proxy, kubeconfig) as made:
        await made.before_the_outage()
        yield made


async def test_dropped_connections_are_made_anew(clinic, proxy):
    proxy.drop()
    await clinic.during_the_outage()
    proxy.drop()
    await clinic.nothing_was_missed()


async def test_an_api_server_that_was_out_of_reach_is_found_again(clinic, proxy):
    proxy.refuse()
    await clinic.during_the_outage()
    before = proxy.accepted
    await clinic.operator.until(lambda: has_tried(proxy, before + 8), "it tries again and again")
    proxy.let_through()
    await clinic.nothing_was_missed()


async def has_tried(proxy, connections):
    return proxy.accepted >= connections


async def test_watches_that_fell_silent_are_given_up(clinic, proxy):
    proxy.hang()
    await clinic.during_the_outage()
    proxy.let_through()
    await clinic.nothing_was_missed()


async def test_answers_that_got_lost_are_asked_for_again(clinic, proxy):
    proxy.lose_answers()
    await clinic.during_the_outage()
    proxy.let_through()
    await clinic.nothing_was_missed()


@pytest.mark.parametrize("size", [1, 6000, 12_000])
async def test_streams_cut_in_the_middle_are_resumed(clinic, proxy, size):
    proxy.cut_after(size)
    await clinic.during_the_outage()
    before = proxy.accepted
    await clinic.operator.until(lambda: has_tried(proxy, before + 5), "it tries again and again")
    proxy.let_through()
    proxy.drop()
    await clinic.nothing_was_missed()


async def test_slow_answers_are_waited_for(clinic, proxy):
    proxy.delay(0.3)
    proxy.drop()
    await clinic.during_the_outage()
    await clinic.nothing_was_missed()


async def test_a_restart_of_the_api_server_is_survived(clinic, cluster):
    cluster.restart_api_server()
    await clinic.operator.until(clinic.is_reached, "the API server is back")
    await clinic.during_the_outage()
    await clinic.nothing_was_missed()


async def test_what_the_api_server_has_forgotten_is_listed_anew(clinic, cluster, proxy, caplog):
    caplog.set_level("DEBUG", logger="kopf._cogs.clients.watching")
    proxy.refuse()
    await clinic.during_the_outage()
    cluster.compact()
    cluster.restart_api_server()
    await clinic.operator.until(clinic.is_reached, "the API server is back")
    caplog.clear()
    proxy.let_through()
    await clinic.nothing_was_missed()
    assert "Restarting the watch-stream for fhirappregistrations" in caplog.text


async def test_a_token_that_has_ended_is_no_end(cluster, entra, proxy, kubeconfig, tokens):
    ends = tokens.renew(25)
    async with opened(cluster, entra, proxy, kubeconfig) as clinic:
        await clinic.operator.until(lambda: has_ended(cluster, ends, tokens), "the token has ended")
        proxy.drop()
        await clinic.register("created")
        refusals = await clinic.operator.until(lambda: refused(clinic), "it is refused")
        assert refusals < 200
        assert (await clinic.operator.page("healthz")).text == "ok"
        tokens.renew(3600)
        await clinic.all_ready("created")


async def has_ended(cluster, ends, tokens):
    """Whether the API server, which remembers a token for 10 seconds, refuses it."""
    if time.time() < ends:
        return False
    tls = {"verify": ssl.create_default_context(cadata=cluster.ca_pem.decode())}
    async with httpx.AsyncClient(trust_env=False, **tls) as http:
        headers = {"Authorization": f"Bearer {tokens.path.read_text()}"}
        answer = await http.get(f"{cluster.url}/api/v1/namespaces", headers=headers)
    return answer.status_code == 401


async def refused(clinic):
    """How often the operator was refused, once its watches were more than once."""
    page = (await clinic.operator.page("metrics")).text
    counts = re.findall(r'rest_client_requests_total{code="401".*} (\S+)', page)
    total = sum(map(float, counts))
    return total if total >= 8 else 0
