"""`/healthz`, `/readyz` and `/metrics`, on an address of their own; started before the watches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from fhir_app_operator.telemetry.metrics import Metrics


class TelemetryServer:
    """Serves the three pages.

    Args:
        metrics: what `/metrics` shows.
        alive: for `/healthz`: what is wrong, or None; a wrong process should be restarted.
        ready: for `/readyz`: what is missing, or None.
    """

    def __init__(
        self, metrics: Metrics, alive: Callable[[], str | None], ready: Callable[[], str | None]
    ) -> None:
        self._metrics = metrics
        self._alive = alive
        self._ready = ready
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on `host` and `port` (0: a free one) and return the port.

        Raises:
            OSError: the address is in use or not ours.
        """
        app = web.Application()
        app.add_routes([
            web.get("/healthz", self._page(self._alive)),
            web.get("/readyz", self._page(self._ready)),
            web.get("/metrics", self._show_metrics),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _page(
        self, check: Callable[[], str | None]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def page(_request: web.Request) -> web.StreamResponse:
            problem = check()
            return web.Response(text=problem or "ok", status=503 if problem else 200)

        return page

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
