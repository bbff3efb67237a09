"""The emulator as one object: its parts, and the ASGI application that they make."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from entra_emulator import resource_manager
from entra_emulator.admin import api as admin_api
from entra_emulator.clock import Clock, SystemClock
from entra_emulator.directory.directory import Directory
from entra_emulator.exchange import ADMIN, Exchange
from entra_emulator.graph import endpoint
from entra_emulator.journal import Journal
from entra_emulator.seeds import Seeds
from entra_emulator.signin import endpoints
from entra_emulator.signin.issued import Issued
from entra_emulator.throttling import Quotas
from entra_emulator.weather import Weather
from entra_emulator.world import World

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Emulator:
    """One emulated cloud: sign-in, Microsoft Graph and a little of Azure at one origin.

    `app` is an ASGI application: put it behind `httpx.ASGITransport`, or serve it with
    `entra_emulator.server`. `admin` switches the API under `/_emulator` on. Nothing runs in the
    background, and without latency nothing sleeps.
    """

    def __init__(
        self,
        *,
        origin: str = "https://entra.test",
        clock: Clock | None = None,
        admin: bool = False,
        seeds: Seeds | None = None,
    ) -> None:
        self._world = World.create(origin, clock or SystemClock(), seeds or Seeds())
        self.has_admin = admin
        self.app: ASGIApp = Exchange(self._world, _one_slash(Starlette(routes=self._routes())))

    @property
    def origin(self) -> str:
        """The URL of sign-in and Graph, without a trailing slash."""
        return self._world.origin

    @origin.setter
    def origin(self, value: str) -> None:
        self._world.origin = value.rstrip("/")

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self._world.clock

    @property
    def seeds(self) -> Seeds:
        """What the directory started with; `admin_secret` is filled in."""
        return self._world.seeds

    @property
    def directory(self) -> Directory:
        """The tenant's directory as it is now: another one after a reset."""
        return self._world.directory

    @directory.setter
    def directory(self, value: Directory) -> None:
        """Go on with another one, such as a copy of an earlier state."""
        self._world.directory = value

    @property
    def weather(self) -> Weather:
        """Faults to come, latency, skew of the `Date` that answers tell."""
        return self._world.weather

    @property
    def tokens(self) -> Issued:
        """How long access tokens live, and which are revoked."""
        return self._world.tokens

    @property
    def quotas(self) -> Quotas:
        """The quotas of Graph's callers, off at first."""
        return self._world.quotas

    @property
    def requests(self) -> Journal:
        """The log of requests to sign-in and Graph."""
        return self._world.journal

    def reset(self) -> None:
        """Back to the seeds: fair weather, no quotas, sessions; an empty log. The clock goes on."""
        self._world.reset()

    def _routes(self) -> list[BaseRoute]:
        async def graph(request: Request) -> Response:
            return await endpoint.serve(self._world, request)

        found: list[BaseRoute] = [
            Route(f"/{version}/{{path:path}}", graph, methods=_METHODS)
            for version in ("v1.0", "beta")
        ]
        if self.has_admin:
            found.append(Mount(ADMIN, routes=admin_api.routes(self._world)))
        found += resource_manager.routes(self._world)
        return [*found, *endpoints.routes(self._world)]


def _one_slash(inner: ASGIApp) -> ASGIApp:
    """`inner` for clients that put a path that begins with a slash behind a URL that ends with one.

    Graph reads the path as it came, and takes several slashes anywhere.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("//"):
            scope["path"] = f"/{scope['path'].lstrip('/')}"
        await inner(scope, receive, send)

    return app
