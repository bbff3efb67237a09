"""Connections outlive what does not concern them, and the passes that still hold them."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from pydantic import SecretStr

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID
from fhir_app_operator.api.v1alpha1 import EntraTenant
from fhir_app_operator.controller.connections import RETIRE_AFTER, Connections, OperatorIdentity
from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.graph.auth import ClientCredential
from tests.controller.lab import OPERATOR_SECRET

NOWHERE = "https://127.0.0.1:1"
OTHER_CLIENT = "99999999-2222-2222-2222-222222222222"
ANYBODY = {"from": "All"}
PEM = trustme.CA().cert_pem.bytes().decode()
TORN = PEM[: len(PEM) // 2]


class OneSecret:
    async def value(self, _namespace, _name, _key):
        return SecretStr(OPERATOR_SECRET)


def tenant(generation=1, uid="uid-1", name="default", origin=NOWHERE, **spec):
    return EntraTenant.model_validate(
        {
            "metadata": {"name": name, "uid": uid, "generation": generation},
            "spec": {
                "tenantId": TENANT_ID,
                "clientId": OPERATOR_CLIENT_ID,
                "cloud": "Custom",
                "endpoints": {"authorityHost": origin, "graphUrl": origin},
                "auth": {"clientSecret": {"secretRef": {"name": "entra"}}},
            }
            | spec,
        }
    )


async def is_open(connection):
    try:
        await connection.openid.issuer(2)
    except RuntimeError as closed:
        assert "closed" in str(closed)
        return False
    except Waiting:
        return True
    return True


@pytest.fixture
async def connections():
    identity = OperatorIdentity(namespace="fhir-app-operator")
    made = Connections(identity, OneSecret(), lambda: datetime.now(UTC))
    yield made
    await made.close()


async def test_what_does_not_concern_a_connection_keeps_it(connections):
    first = await connections.get(tenant())
    assert await connections.get(tenant(2, allowedNamespaces=ANYBODY)) is first
    assert await connections.get(tenant(uid="uid-2")) is first


@pytest.mark.parametrize(
    "spec",
    [
        {"clientId": OTHER_CLIENT},
        {"auth": {"workloadIdentity": {}}},
        {"caBundle": PEM},
        {"endpoints": {"authorityHost": NOWHERE, "graphUrl": "https://127.0.0.1:2"}},
    ],
)
async def test_what_concerns_a_connection_replaces_it(connections, spec):
    first = await connections.get(tenant(1))
    assert await connections.get(tenant(2, **spec)) is not first


async def test_changed_defaults_reach_the_connection(connections):
    first = await connections.get(tenant())
    assert first.application_defaults is None
    await connections.get(tenant(2, applicationDefaults={"tags": ["team:fhir"]}))
    assert first.application_defaults.tags == ("team:fhir",)


async def test_a_pass_with_an_older_tenant_does_not_take_the_newer_connection_away(connections):
    defaults = {"tags": ["team:fhir"]}
    newer = await connections.get(tenant(2, clientId=OTHER_CLIENT, applicationDefaults=defaults))
    assert await connections.get(tenant(1)) is newer
    assert newer.application_defaults.tags == ("team:fhir",)
    assert await connections.get(tenant(2, clientId=OTHER_CLIENT)) is newer


async def test_another_tenant_of_that_name_gets_a_connection_of_its_own(connections):
    before = await connections.get(tenant(7))
    other = "99999999-1111-1111-1111-111111111111"
    after = await connections.get(tenant(1, uid="uid-2", tenantId=other))
    assert after is not before
    assert after.directory.tenant_id == other


@pytest.mark.looptime
async def test_a_replaced_connection_works_on_for_the_passes_that_hold_it(connections):
    old = await connections.get(tenant(1))
    new = await connections.get(tenant(2, clientId=OTHER_CLIENT))
    await asyncio.sleep(RETIRE_AFTER.total_seconds() - 60)
    await connections.get(tenant(name="another"))
    assert await is_open(old)
    await asyncio.sleep(60)
    await connections.get(tenant(name="another"))
    assert not await is_open(old)
    assert await is_open(new)


@pytest.mark.looptime
async def test_the_connection_of_a_deleted_tenant_is_closed_in_the_end(connections):
    old = await connections.get(tenant())
    connections.forget("default")
    connections.forget("never heard of")
    assert await is_open(old)
    assert await connections.get(tenant()) is not old
    await asyncio.sleep(RETIRE_AFTER.total_seconds())
    await connections.get(tenant())
    assert not await is_open(old)


async def test_closing_closes_replaced_connections_too(connections):
    opened = [await connections.get(tenant(n, clientId=c)) for n, c in enumerate(
        (OPERATOR_CLIENT_ID, OTHER_CLIENT)
    )]  # fmt: skip
    await connections.close()
    assert not any([await is_open(connection) for connection in opened])


@pytest.mark.parametrize(
    "bundle", [TORN, PEM + TORN, PEM.replace("M", "ő"), "-----BEGIN CERTIFICATE-----\nnone"]
)
async def test_an_unreadable_bundle_is_named(connections, bundle):
    with pytest.raises(Stalled) as caught:
        await connections.get(tenant(caBundle=bundle))
    assert caught.value.reason == "InvalidSpec"
    assert "`caBundle` holds no readable certificate" in caught.value.message


async def test_comments_in_a_bundle_may_be_in_any_language(connections, entra):
    bundle = f"# Főtanúsítvány\n{entra.ca_pem.decode()}\n# 予備\n{PEM}"
    connection = await connections.get(tenant(origin=entra.origin, caBundle=bundle))
    assert (await connection.openid.issuer(2)).jwks_url


@asynccontextmanager
async def silent_service():
    """Yield the origin of a service that never answers, and what counts who waits for it."""
    begun, over = asyncio.Semaphore(0), asyncio.Event()

    async def keep_waiting(reader, writer):
        await reader.read(1)
        begun.release()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(keep_waiting, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"https://127.0.0.1:{port}", begun
        finally:
            over.set()


async def test_sign_ins_that_hang_do_not_block_another_tenant(connections, entra):
    async with silent_service() as (origin, begun), asyncio.timeout(9):
        hanging = await connections.get(tenant(name="hanging", origin=origin))
        secret = ClientCredential(client_secret=SecretStr("s"))
        probes = [
            asyncio.create_task(hanging.sign_in.probe(OTHER_CLIENT, secret)) for _ in range(50)
        ]
        for _ in range(16):
            await begun.acquire()
        answering = tenant(origin=entra.origin, caBundle=entra.ca_pem.decode())
        assert await (await connections.get(answering)).tokens.token()
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)


async def test_the_delay_can_be_set_for_longer_passes():
    identity = OperatorIdentity(namespace="x")
    connections = Connections(
        identity, OneSecret(), lambda: datetime.now(UTC), retire_after=timedelta(0)
    )
    old = await connections.get(tenant())
    connections.forget("default")
    await connections.get(tenant())
    assert not await is_open(old)
    await connections.close()
