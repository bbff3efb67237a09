"""The way out of the cluster: TLS trust, proxies and threads, one policy for Graph and MSAL.

The environment's own trust and proxy variables are ignored on purpose (`trust_env=False`): CI
images export `REQUESTS_CA_BUNDLE` and the like, which would replace the tenant's `caBundle`.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

import httpx
from typing_extensions import override

from fhir_app_operator.graph.pool import Pool

MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes that are read of one answer."""
PATIENCE: Final = 45.0
"""Seconds for one answer as a whole: `TIMEOUT` only bounds its pauses."""
_FRAMING: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that do not hold for a body that was read."""
TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
_CONNECTIONS: Final = 64
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----.*?(?:-----END CERTIFICATE-----|\Z)", re.DOTALL
)
"""A certificate's text encoding, or the torn rest of one; what surrounds it is explanatory.

Source: RFC 7468, sections 2 and 5.
"""

P = ParamSpec("P")
T = TypeVar("T")


class UnreadableBundle(Exception):
    """A CA bundle without certificates, or with one that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """How to get out: trusted roots and an optional proxy.

    Args:
        ca_bundle: PEM certificates, trusted in addition to the system's roots.
        proxy: URL of the proxy for https, if any.
        no_proxy: host suffixes that are reached directly.
    """

    ca_bundle: str | None = None
    proxy: str | None = None
    no_proxy: tuple[str, ...] = ()

    def tls(self) -> ssl.SSLContext:
        """Return a context that trusts the system's roots and `ca_bundle`.

        Raises:
            UnreadableBundle: `ca_bundle` holds no certificate, or a broken one.
        """
        context = ssl.create_default_context()
        if self.ca_bundle:
            # Comments between certificates may be in any language; OpenSSL wants ASCII.
            certificates = "\n".join(_CERTIFICATE.findall(self.ca_bundle))
            try:
                context.load_verify_locations(cadata=certificates)
            except (ssl.SSLError, ValueError, TypeError) as error:
                raise UnreadableBundle(type(error).__name__) from None
        return context

    def proxy_for(self, origin: str) -> str | None:
        """Return the proxy to use for `origin`, following the usual `NO_PROXY` suffix rule."""
        host = urlsplit(origin).hostname or ""
        direct = any(
            rule == "*" or host == rule.lstrip(".") or host.endswith("." + rule.lstrip("."))
            for rule in self.no_proxy
        )
        return None if direct else self.proxy

    def async_client(self, origin: str) -> httpx.AsyncClient:
        """Return a client for Graph at `origin`: HTTP/1.1, no redirects, no environment."""
        context, proxy = self.tls(), self.proxy_for(origin)

        def connect(limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
            return httpx.AsyncHTTPTransport(
                verify=context, proxy=proxy, trust_env=False, limits=limits
            )

        return httpx.AsyncClient(
            transport=Pool(connect, _CONNECTIONS), trust_env=False, timeout=TIMEOUT,
            follow_redirects=False,
        )  # fmt: skip

    def client(self, origin: str) -> httpx.Client:
        """Return the blocking twin, for MSAL."""
        return httpx.Client(
            verify=self.tls(), proxy=self.proxy_for(origin), trust_env=False,
            timeout=TIMEOUT, follow_redirects=False,
        )  # fmt: skip


def fetch(
    client: httpx.Client, method: str, url: str, *, patience: float = PATIENCE, **arguments: Any
) -> httpx.Response:
    """Return the answer to a blocking request, read to its end.

    Raises:
        httpx.HTTPError: no answer, one of more than `MAX_BODY` bytes, or one that takes longer
            than `patience` seconds.
    """
    deadline = time.monotonic() + patience
    body = bytearray()
    with client.stream(method, url, **arguments) as response:
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                raise httpx.ReadError("the answer is too large")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer takes too long")
    headers = [pair for pair in response.headers.multi_items() if pair[0] not in _FRAMING]
    return httpx.Response(
        response.status_code, headers=headers, content=bytes(body), request=response.request
    )


class DaemonThreads(Executor):
    """Threads for blocking calls that nobody waits for when the process ends.

    The threads of `ThreadPoolExecutor` are joined at exit: a sign-in service that does not answer
    would hold a terminating Pod for as long as its time-outs allow.

    Args:
        limit: how many calls run at once; further ones wait for their turn.
        name: how the threads' names start.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._closed = False

    @override
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` in a thread.

        Raises:
            RuntimeError: it was shut down.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                msg = "cannot run anything after shutdown"
                raise RuntimeError(msg)
            self._calls.put((future, partial(fn, *args, **kwargs)))
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._limit:
                self._start_thread()
        return future

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (entry := self._calls.get()) is not None:
            future, call = entry
            if future.set_running_or_notify_cancel():
                _run(future, call)
            del entry, future, call  # an idle thread must hold no credential
            self._idle.release()
        self._calls.put(None)

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; `wait` for those that run, drop the others if `cancel_futures`."""
        with self._lock:
            self._closed = True
        if cancel_futures:
            self._cancel_waiting()
        self._calls.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _cancel_waiting(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                entry = self._calls.get_nowait()
                if entry is not None:
                    entry[0].cancel()


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - as any executor: it belongs to the caller
        future.set_exception(error)
