"""The Graph client against the emulator in process: retries, throttling, the fence."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from entra_emulator import Emulator, Fault, ManualClock, Seeds
from fhir_app_operator.errors import NotLeading, Stalled, Waiting
from fhir_app_operator.graph.applications import Applications, quoted
from fhir_app_operator.graph.auth import SignInRefused
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.deleted_items import DeletedItems
from fhir_app_operator.graph.service_principals import ServicePrincipals
from fhir_app_operator.planning.model import ApplicationChanges
from tests.emulator.graph_schema import checked_transport
from tests.graph.weather import Pauses, Tokens

EVERYTHING = re.compile("^/v1.0/")
CHANGES = ApplicationChanges(display_name="clinic/portal", sign_in_audience="AzureADMyOrg")


@pytest.fixture
def emulator():
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    return Emulator(origin="https://entra.test", clock=clock, seeds=Seeds(operator_secret="s"))


@pytest.fixture
async def http(emulator):
    transport = checked_transport(httpx.ASGITransport(app=emulator.app))
    async with httpx.AsyncClient(transport=transport, base_url=emulator.origin) as client:
        yield client


@pytest.fixture
def pauses():
    return Pauses()


@pytest.fixture
def graph(emulator, http, pauses):
    return GraphClient(emulator.origin, http, Tokens(http), sleep=pauses)


@pytest.fixture
def applications(graph):
    return Applications(graph)


def journal(emulator):
    return [(e.method, e.status) for e in emulator.requests if e.path.startswith("/v1.0")]


async def test_an_upsert_creates_once_and_answers_with_the_same_application(applications):
    first = await applications.upsert("key", CHANGES)
    again = await applications.upsert("key", CHANGES)
    assert first.object_id == again.object_id
    assert (await applications.by_unique_name("key")).display_name == "clinic/portal"
    assert await applications.by_unique_name("other") is None


async def test_quotes_in_a_key_stay_inside_the_literal(applications):
    assert quoted("o'brien/#") == "o%27%27brien%2F%23"
    made = await applications.upsert("o'brien", CHANGES)
    assert (await applications.by_unique_name("o'brien")).object_id == made.object_id


async def test_server_errors_are_tried_again_with_pauses(emulator, applications, pauses):
    emulator.weather.add(Fault(path=EVERYTHING, times=2, status=503))
    assert await applications.by_unique_name("key") is None
    assert journal(emulator) == [("GET", 503), ("GET", 503), ("GET", 404)]
    assert len(pauses) == 2
    assert all(0 < pause <= 5 for pause in pauses)


async def test_after_three_tries_the_worker_is_given_back(emulator, applications):
    emulator.weather.add(Fault(path=EVERYTHING, times=9, status=503))
    with pytest.raises(Waiting) as caught:
        await applications.by_unique_name("key")
    assert caught.value.reason == "GraphUnavailable"
    assert len(journal(emulator)) == 3


async def test_a_lost_answer_of_an_upsert_is_tried_again(emulator, applications):
    emulator.weather.add(Fault(path=EVERYTHING, method="PATCH", when="after", drop=True))
    made = await applications.upsert("key", CHANGES)
    assert made == await applications.by_unique_name("key")


async def test_addpassword_is_never_sent_twice(emulator, applications, pauses):
    app = await applications.upsert("key", CHANGES)
    for fault in (Fault(path=re.compile("addPassword"), when="after", drop=True),
                  Fault(path=re.compile("addPassword"), status=503)):  # fmt: skip
        emulator.weather.add(fault)
        emulator.requests.clear()
        with pytest.raises(Waiting):
            await applications.add_password(
                app, "name", datetime(2027, 1, 1, tzinfo=UTC), young=True
            )
        assert len(journal(emulator)) == 1
    assert pauses == []


async def test_a_password_is_returned_with_its_value_hidden(applications):
    app = await applications.upsert("key", CHANGES)
    end = datetime(2027, 1, 1, tzinfo=UTC)
    issued = await applications.add_password(app, "name", end, young=False)
    assert issued.credential.end == end
    assert issued.value.get_secret_value() not in repr(issued)
    assert len(issued.value.get_secret_value()) >= 16
    await applications.remove_password(app.object_id, issued.credential.key_id)
    await applications.remove_password(app.object_id, issued.credential.key_id)
    assert (await applications.by_unique_name("key")).passwords == ()


@pytest.mark.parametrize(("header", "wait"), [(120, 120.0), (9999, 300.0), (None, None)])
async def test_a_throttled_call_carries_the_servers_wait(emulator, applications, header, wait):
    emulator.weather.add(Fault(path=EVERYTHING, times=9, status=429, retry_after=header))
    with pytest.raises(Waiting) as caught:
        await applications.by_unique_name("key")
    assert (caught.value.reason, caught.value.retry_after) == ("GraphThrottled", wait)
    assert len(journal(emulator)) == 1


async def test_an_unauthorized_call_gets_one_fresh_token(emulator, http, pauses):
    tokens = Tokens(http)
    graph = GraphClient(emulator.origin, http, tokens, sleep=pauses)
    emulator.weather.add(Fault(path=EVERYTHING, status=401, code="InvalidAuthenticationToken"))
    assert await graph.get("/applications") is not None
    assert tokens.asked == 2


async def test_a_refused_sign_in_is_the_tenants_fault(http):
    class Refusing:
        async def token(self, *, refused=None):
            raise SignInRefused("invalid_client", frozenset({7000215}), "trace")

    graph = GraphClient("https://entra.test", http, Refusing())
    with pytest.raises(Waiting, match="AADSTS7000215") as caught:
        await graph.get("/applications")
    assert caught.value.reason == "TenantNotReady"


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("HostNameNotOnVerifiedDomain", 400, "IdentifierUriNotVerified"),
        ("CredentialInvalidLifetimeAsPerAppPolicy", 400, "PolicyBlocked"),
        ("Authorization_RequestDenied", 403, "PermissionDenied"),
        ("Directory_QuotaExceeded", 403, "QuotaExceeded"),
        ("Request_BadRequest", 400, "RequestRefused"),
    ],
)
async def test_refusals_are_named_by_what_a_person_must_do(
    emulator, applications, code, status, reason
):
    app = await applications.upsert("key", CHANGES)
    emulator.weather.add(Fault(path=EVERYTHING, times=9, status=status, code=code))
    with pytest.raises(Stalled) as caught:
        await applications.update(app, ApplicationChanges(display_name="x"), young=False)
    assert caught.value.reason == reason
    assert code in caught.value.message


async def test_a_concurrent_edit_is_tried_again(emulator, applications):
    app = await applications.upsert("key", CHANGES)
    code = "Directory_ConcurrencyViolation"
    emulator.weather.add(Fault(path=EVERYTHING, method="PATCH", status=409, code=code))
    changed = await applications.update(app, ApplicationChanges(display_name="x"), young=False)
    assert changed.display_name == "x"


async def test_young_objects_are_waited_for(emulator, graph, applications, pauses):
    emulator.directory.store.lag = timedelta(seconds=60)
    app = await applications.upsert("key", CHANGES)
    for attempt in (
        lambda: ServicePrincipals(graph).upsert(app.app_id, young=True),
        lambda: applications.update(app, ApplicationChanges(notes="x"), young=True),
        lambda: applications.add_password(app, "n", datetime(2027, 1, 1, tzinfo=UTC), young=True),
    ):
        with pytest.raises(Waiting) as caught:
            await attempt()
        assert caught.value.reason == "NotYetReplicated"
    assert pauses
    emulator.clock.advance(timedelta(seconds=61))
    assert await ServicePrincipals(graph).upsert(app.app_id, young=True)


@pytest.mark.parametrize("whose", [0, 1], ids=["its own", "somebody else's"])
async def test_a_service_principal_that_status_tells_counts_if_it_is_the_applications(
    emulator, graph, applications, whose
):
    apps = [await applications.upsert(key, CHANGES) for key in ("one", "other")]
    principals = ServicePrincipals(graph)
    told = [await principals.upsert(app.app_id, young=False) for app in apps][whose]
    by_key = re.compile(r"/servicePrincipals\(appId")
    code = "Request_MultipleObjectsWithSameKeyValue"
    emulator.weather.add(Fault(path=by_key, method="PATCH", status=400, code=code))
    emulator.weather.add(Fault(path=by_key, method="GET", status=404, code="NotFound"))
    attempt = principals.upsert(apps[0].app_id, young=False, known=told)
    if whose == 0:
        assert await attempt == told
        return
    with pytest.raises(Waiting, match="not visible in Entra yet"):
        await attempt


async def test_an_old_application_that_is_gone_is_no_application(graph, applications):
    app = await applications.upsert("key", CHANGES)
    assert await applications.delete(app.object_id)
    assert not await applications.delete(app.object_id)
    assert await applications.by_object_id(app.object_id) is None
    with pytest.raises(Waiting, match="not found now"):
        await applications.update(app, ApplicationChanges(notes="x"), young=False)
    bin_ = DeletedItems(graph)
    assert (await bin_.application(app.object_id)).app_id == app.app_id
    await bin_.restore(app.object_id, "application")
    assert await applications.by_object_id(app.object_id) is not None
    assert await bin_.application(app.object_id) is None


async def test_a_key_held_in_the_bin_is_explained(applications):
    app = await applications.upsert("key", CHANGES)
    await applications.delete(app.object_id)
    with pytest.raises(Stalled, match="Deleted applications") as caught:
        await applications.upsert("key", CHANGES)
    assert caught.value.reason == "ApplicationDeleted"


async def test_permissions_of_an_api_are_found_by_value(graph):
    found = await ServicePrincipals(graph).api("00000003-0000-0000-c000-000000000000")
    assert {"openid", "offline_access"} <= found.permissions.scopes.keys()
    assert await ServicePrincipals(graph).api("00000000-1111-0000-0000-000000000000") is None


class Fence:
    """Lets the first `limit` writes pass."""

    def __init__(self, limit):
        self.left = limit

    def __call__(self):
        self.left -= 1
        if self.left < 0:
            raise NotLeading


async def test_no_write_starts_once_leadership_is_uncertain(emulator, http):
    graph = GraphClient("https://entra.test", http, Tokens(http), fence=Fence(0))
    assert await graph.get("/applications") is not None  # reading harms nobody
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        with pytest.raises(NotLeading):
            await graph.send(Call(method=method, path="/applications", payload={}))
    assert {method for method, _ in journal(emulator)} == {"GET"}


async def test_a_retry_of_a_write_asks_the_fence_again(emulator, http):
    emulator.weather.add(Fault(path=EVERYTHING, times=1, status=503))
    graph = GraphClient("https://entra.test", http, Tokens(http), sleep=Pauses(), fence=Fence(1))
    with pytest.raises(NotLeading):
        await graph.send(Call(method="PATCH", path="/applications/1", payload={}))


class Quiet:
    """A server that keeps what it gets, and answers a read with an empty object."""

    def __init__(self):
        self.received = b""
        self.connections = []

    async def __call__(self, reader, writer):
        self.connections.append(asyncio.current_task())
        while chunk := await reader.read(65536):
            self.received += chunk
            if chunk.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()


class Token:
    async def token(self, *, refused=None):
        return SecretStr("t")


@pytest.mark.parametrize(("passes", "sent"), [(1, b""), (2, b"POST")])
async def test_a_write_whose_way_was_too_long_does_not_take_effect(passes, sent):
    quiet = Quiet()
    server = await asyncio.start_server(quiet, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with httpx.AsyncClient(trust_env=False) as http:
            # Open when the write is admitted; closed when it has its connection, or when only its
            # headers are out.
            graph = GraphClient(origin, http, Token(), fence=Fence(passes))
            with pytest.raises(NotLeading):
                await graph.send(
                    Call(method="POST", path="/applications", payload={"the": "payload"})
                )
            assert quiet.received[:4] == sent
            assert b"payload" not in quiet.received
            assert await graph.get("/applications") == {}  # the pool is in order
        await asyncio.gather(*quiet.connections)


async def test_a_key_or_uri_of_a_young_application_is_no_verdict(emulator, applications):
    uri = frozenset({"https://fhir.clinic.example"})
    for changes in (CHANGES, replace(CHANGES, identifier_uris=uri)):
        key = f"key-{changes.identifier_uris is None}"
        emulator.directory.store.lag = timedelta(0)
        await applications.upsert(key, changes)
        emulator.directory.store.lag = timedelta(minutes=5)
        with pytest.raises(Waiting) as caught:
            await applications.upsert(key, changes, young=True)
        assert caught.value.reason == "NotYetReplicated"
