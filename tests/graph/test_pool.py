"""The pool: as many connections as needed, the last one first, none left behind."""

import asyncio

import httpx
import pytest

from fhir_app_operator.graph.pool import IDLE_SECONDS, Pool

pytestmark = pytest.mark.looptime


class Connection(httpx.AsyncBaseTransport):
    """One connection of a server that answers when it is told to."""

    def __init__(self, server):
        self.server = server
        self.closed = False

    async def handle_async_request(self, request):
        self.server.used.append(self)
        await self.server.gate.wait()
        if request.url.path == "/broken":
            raise httpx.ReadError("broken", request=request)
        return httpx.Response(200, content=b"hello")

    async def aclose(self):
        await asyncio.sleep(0.1)
        self.closed = True
        if self.server.breaks:
            raise OSError("cannot even be closed")


class Server:
    def __init__(self, size):
        self.gate = asyncio.Event()
        self.gate.set()
        self.used = []
        self.breaks = False
        self.connections = []
        self.http = httpx.AsyncClient(
            transport=Pool(self.connect, size), timeout=httpx.Timeout(30.0, pool=5.0)
        )

    def connect(self, _limits):
        self.connections.append(Connection(self))
        return self.connections[-1]

    async def get(self, path="/"):
        return (await self.http.get(f"https://graph.example{path}")).text


async def at_once(server, calls):
    server.gate.clear()
    tasks = [asyncio.create_task(server.get()) for _ in range(calls)]
    await asyncio.sleep(0.1)
    server.gate.set()
    return await asyncio.gather(*tasks)


async def test_calls_one_after_the_other_share_a_connection():
    server = Server(size=4)
    assert [await server.get() for _ in range(3)] == ["hello"] * 3
    assert len(server.connections) == 1


async def test_a_wave_of_calls_keeps_its_connections_for_the_next_wave():
    server = Server(size=4)
    assert await at_once(server, 4) == ["hello"] * 4
    assert await at_once(server, 4) == ["hello"] * 4
    assert len(server.connections) == 4
    assert not any(connection.closed for connection in server.connections)


async def test_more_calls_than_connections_wait_for_their_turn():
    server = Server(size=2)
    assert await at_once(server, 5) == ["hello"] * 5
    assert len(server.connections) == 2


async def test_a_call_that_gets_no_turn_says_so():
    server = Server(size=1)
    server.gate.clear()
    first = asyncio.create_task(server.get())
    await asyncio.sleep(0.1)
    with pytest.raises(httpx.PoolTimeout):
        await server.get()
    server.gate.set()
    assert await first == "hello"


async def test_neither_an_error_nor_a_cancelled_call_costs_a_turn():
    server = Server(size=1)
    with pytest.raises(httpx.ReadError):
        await server.get("/broken")
    server.gate.clear()
    cancelled = asyncio.create_task(server.get())
    waiting = asyncio.create_task(server.get())
    await asyncio.sleep(0.1)
    for task in (cancelled, waiting):
        task.cancel()
    await asyncio.gather(cancelled, waiting, return_exceptions=True)
    server.gate.set()
    assert await server.get() == "hello"


async def test_an_answer_that_nobody_reads_to_its_end_frees_its_connection():
    server = Server(size=1)
    async with server.http.stream("GET", "https://graph.example/"):
        pass
    assert await server.get() == "hello"


async def test_what_a_wave_leaves_idle_is_closed_after_a_while():
    server = Server(size=4)
    await at_once(server, 4)
    await asyncio.sleep(IDLE_SECONDS + 1)
    await server.get()
    assert [c.closed for c in server.connections].count(True) == 3


async def test_an_old_connection_that_cannot_be_closed_costs_no_answer():
    server = Server(size=2)
    await at_once(server, 2)
    server.breaks = True
    await asyncio.sleep(IDLE_SECONDS + 1)
    assert await server.get() == "hello"


async def test_all_idle_connections_may_be_taken_while_an_old_one_is_closed():
    server = Server(size=4)
    await at_once(server, 4)
    await asyncio.sleep(IDLE_SECONDS + 1)
    first = asyncio.create_task(server.get())
    await asyncio.sleep(0.05)
    server.gate.clear()
    others = [asyncio.create_task(server.get()) for _ in range(3)]
    assert await first == "hello"
    server.gate.set()
    assert await asyncio.gather(*others) == ["hello"] * 3


async def test_closing_leaves_no_connection_open_not_even_one_in_use():
    server = Server(size=2)
    await at_once(server, 2)
    async with server.http.stream("GET", "https://graph.example/"):
        await server.http.aclose()
    assert all(connection.closed for connection in server.connections)
