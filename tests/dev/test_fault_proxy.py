"""The fault proxy's faults, each in front of a server that echoes."""

import socket
import threading
from contextlib import closing, suppress

import pytest

from dev.fault_proxy import running_fault_proxy

PATIENCE = 20.0
SOON = 0.2
"""How long nothing must happen to count as silence."""


class Echo:
    """Sends back what it gets, line by line, and remembers it."""

    def __init__(self):
        self.got = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = threading.Condition()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with closing(connection):
            try:
                while data := connection.recv(1000):
                    with self.heard:
                        self.got.append(data)
                        self.heard.notify_all()
                    connection.sendall(data)
            except OSError:
                pass

    def stop(self):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # else accept() keeps it open
        self.listener.close()

    def wait_for(self, data):
        with self.heard:
            assert self.heard.wait_for(lambda: data in self.got, PATIENCE)


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.stop()


@pytest.fixture
def proxy(echo):
    with running_fault_proxy("127.0.0.1", echo.port) as running:
        yield running


def connect(proxy):
    return closing(socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE))


def said(connection, data=b"hello"):
    connection.sendall(data)
    return connection.recv(1000)


def is_silent(connection):
    connection.settimeout(SOON)
    try:
        return connection.recv(1000) and False
    except TimeoutError:
        return True
    finally:
        connection.settimeout(PATIENCE)


def ends(connection):
    """Whether the connection ends, by a reset or properly."""
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


def is_refused(proxy):
    """Whether a new connection is reset, while it is made or as soon as it is."""
    try:
        with connect(proxy) as connection:
            return ends(connection)
    except ConnectionError:
        return True


def test_without_a_fault_it_is_a_proxy(proxy):
    with connect(proxy) as one, connect(proxy) as two:
        assert said(one, b"one") == b"one"
        assert said(two, b"two") == b"two"
        assert (proxy.connections, proxy.accepted) == (2, 2)


def test_dropped_connections_end_and_new_ones_work(proxy):
    with connect(proxy) as old:
        assert said(old) == b"hello"
        proxy.drop()
        assert ends(old)
        with connect(proxy) as new:
            assert said(new) == b"hello"


def test_refused_connections_end_until_it_lets_them_through(proxy):
    with connect(proxy) as old:
        assert said(old) == b"hello"
        proxy.refuse()
        assert ends(old)
    assert is_refused(proxy)
    proxy.let_through()
    with connect(proxy) as mended:
        assert said(mended) == b"hello"


def test_a_hanging_connection_stays_silent_even_when_others_are_mended(proxy, echo):
    with connect(proxy) as old:
        assert said(old) == b"hello"
        proxy.hang()
        old.sendall(b"anybody?")
        assert is_silent(old)
        with connect(proxy) as new:
            new.sendall(b"there?")
            assert is_silent(new)
            proxy.let_through()
            assert is_silent(old)
            assert is_silent(new)
    assert echo.got == [b"hello"]
    with connect(proxy) as mended:
        assert said(mended) == b"hello"


def test_lost_answers_leave_the_deed_done(proxy, echo):
    with connect(proxy) as connection:
        assert said(connection) == b"hello"
        proxy.lose_answers()
        connection.sendall(b"do it")
        echo.wait_for(b"do it")
        assert is_silent(connection)


def test_a_server_that_goes_away_ends_its_connections(proxy, echo):
    with connect(proxy) as old:
        assert said(old) == b"hello"
    echo.stop()
    assert is_refused(proxy)


def test_a_delayed_answer_comes_whole(proxy):
    proxy.delay(2 * SOON)
    with connect(proxy) as connection:
        connection.sendall(b"slowly")
        assert is_silent(connection)
        assert connection.recv(1000) == b"slowly"


def test_a_stream_is_cut_where_it_was_told(proxy):
    with connect(proxy) as old:
        assert said(old) == b"hello"
        proxy.cut_after(3)
        assert said(old, b"abcdef") == b"abc"
        assert ends(old)
    with connect(proxy) as new:
        assert said(new, b"ab") == b"ab"
        assert said(new, b"cd") == b"c"
        assert ends(new)
    proxy.let_through()
    with connect(proxy) as mended:
        assert said(mended, b"abcdef") == b"abcdef"


def test_the_end_of_the_block_ends_everything(echo):
    with running_fault_proxy("127.0.0.1", echo.port) as proxy:
        connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)
        assert said(connection) == b"hello"
        proxy.hang()
    with closing(connection):
        assert ends(connection)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)
