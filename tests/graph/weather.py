"""The Graph client in front of an emulator in process, whose answers may be spoilt.

Not here: the check of answers against Microsoft's schema, which spoilt ones cannot stand. No test
lives here.
"""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from pydantic import SecretStr

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID, Emulator, Fault, ManualClock, Seeds
from fhir_app_operator.graph.applications import Applications
from fhir_app_operator.graph.auth import TokenSource
from fhir_app_operator.graph.client import GraphClient
from fhir_app_operator.graph.deleted_items import DeletedItems
from fhir_app_operator.graph.inventory import Inventory
from fhir_app_operator.graph.service_principals import ServicePrincipals
from fhir_app_operator.planning.model import ApplicationChanges

GRAPH = "^/v1.0/"
CHANGES = ApplicationChanges(
    display_name="clinic/portal", sign_in_audience="AzureADMyOrg", tags=frozenset({"ours"})
)
END = datetime(2027, 1, 1, tzinfo=UTC)


async def sign_in(http):
    """The operator's token and its lifetime in seconds."""
    form = {
        "grant_type": "client_credentials",
        "client_id": OPERATOR_CLIENT_ID,
        "client_secret": "s",
        "scope": "https://graph.microsoft.com/.default",
    }
    answer = await http.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=form)
    return SecretStr(answer.json()["access_token"]), answer.json()["expires_in"]


class Tokens:
    """Signs in at the emulator, once, or again when a token was refused."""

    def __init__(self, http):
        self.http = http
        self.asked = 0
        self.known = None

    async def token(self, *, refused=None):
        if self.known is None or self.known is refused:
            self.asked += 1
            self.known, _ = await sign_in(self.http)
        return self.known


class EmulatedSignIn:
    """Stands in for MSAL, which cannot be called in process."""

    def __init__(self, http):
        self.http = http
        self.asked = 0

    async def acquire(self, client_id, credential):
        self.asked += 1
        token, seconds = await sign_in(self.http)
        return token, timedelta(seconds=seconds)


class Pauses(list):
    async def __call__(self, seconds):
        self.append(seconds)


@dataclass
class Sky:
    """One emulator and the nouns of its Graph."""

    emulator: Emulator
    graph: GraphClient
    sign_in: EmulatedSignIn
    pauses: Pauses

    @property
    def applications(self):
        return Applications(self.graph)

    @property
    def principals(self):
        return ServicePrincipals(self.graph)

    @property
    def bin(self):
        return DeletedItems(self.graph)

    @property
    def inventory(self):
        clock = self.emulator.clock.now
        return Inventory(self.graph, self.principals, OPERATOR_CLIENT_ID, clock)

    def fault(self, path=GRAPH, **members):
        self.emulator.weather.add(Fault(re.compile(path), **members))

    def calls(self, method=None):
        return [
            (entry.method, entry.status)
            for entry in self.emulator.requests
            if entry.path.startswith("/v1.0") and method in (None, entry.method)
        ]

    async def registered(self, key="key"):
        """An application with a service principal and a password."""
        made = await self.applications.upsert(key, CHANGES)
        await self.principals.upsert(made.app_id, young=False)
        await self.applications.add_password(made, "p", END, young=False)
        found = await self.applications.by_unique_name(key)
        self.emulator.requests.clear()
        return found

    def later(self, **length):
        self.emulator.clock.advance(timedelta(**length))


@asynccontextmanager
async def open_sky():
    """Yield a sky in fair weather."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    emulator = Emulator(clock=clock, seeds=Seeds(operator_secret="s"))
    transport = httpx.ASGITransport(app=emulator.app)
    async with httpx.AsyncClient(transport=transport, base_url=emulator.origin) as http:
        signing, pauses = EmulatedSignIn(http), Pauses()

        async def nothing():
            return None

        tokens = TokenSource(signing, OPERATOR_CLIENT_ID, nothing, clock.now)
        graph = GraphClient(emulator.origin, http, tokens, sleep=pauses)
        yield Sky(emulator, graph, signing, pauses)
