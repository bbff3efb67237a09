"""`/healthz`, `/readyz` and `/metrics`, on an address and in a thread of their own.

The thread is what lets `/healthz` answer, with the reason, while the operator's event loop is
stuck. Started before the watches, on every replica.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from fhir_app_operator.telemetry.metrics import Metrics


class TelemetryServer:
    """Serves the three pages.

    Args:
        metrics: what `/metrics` shows.
        alive: for `/healthz`: what is wrong, or None; a wrong process should be restarted.
        ready: for `/readyz`: what is missing, or None.
        position: where the operator is in its code, for the log when `/healthz` is red.

    All of them are called in the server's thread.
    """

    def __init__(
        self,
        metrics: Metrics,
        alive: Callable[[], str | None],
        ready: Callable[[], str | None],
        position: Callable[[], list[str]] = list,
    ) -> None:
        self._metrics = metrics
        self._alive = alive
        self._ready = ready
        self._position = position
        self._log = structlog.get_logger("health")
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None

    async def start(self, host: str, port: int) -> int:
        """Listen on `host` and `port` (0: a free one) and return the port.

        Raises:
            OSError: the address is in use or not ours.
        """
        listening: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(host, port, listening)),
            name="telemetry", daemon=True,
        )  # fmt: skip
        self._thread.start()
        return await asyncio.wrap_future(listening)

    async def stop(self) -> None:
        """Stop listening."""
        self._stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def _serve(self, host: str, port: int, listening: Future[int]) -> None:
        app = web.Application()
        app.add_routes([
            web.get("/healthz", self._show_health),
            web.get("/readyz", self._show_readiness),
            web.get("/metrics", self._show_metrics),
        ])  # fmt: skip
        runner, end = web.AppRunner(app, access_log=None), asyncio.Event()
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            listening.set_exception(error)
        else:
            loop = asyncio.get_running_loop()
            self._stop = lambda: loop.call_soon_threadsafe(end.set)
            listening.set_result(int(runner.addresses[0][1]))
            await end.wait()
        finally:
            await runner.cleanup()

    async def _show_health(self, _request: web.Request) -> web.Response:
        problem = self._alive()
        if problem is not None:
            # The kubelet does not tell the body: after the restart this is what is left of it.
            self._log.error("unhealthy", reason=problem, at=self._position())
        return _page(problem)

    async def _show_readiness(self, _request: web.Request) -> web.Response:
        return _page(self._ready())

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


def _page(problem: str | None) -> web.Response:
    return web.Response(text=problem or "ok", status=503 if problem else 200)
