"""Everything that a request handler needs, in one place: one emulated cloud with one tenant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from entra_emulator.clock import Clock
from entra_emulator.constants import STOCK_HOSTS
from entra_emulator.directory.directory import Directory
from entra_emulator.journal import Journal
from entra_emulator.seeds import Seeds, plant
from entra_emulator.signin.issued import Issued
from entra_emulator.signin.keys import SigningKey
from entra_emulator.signin.sessions import Sessions
from entra_emulator.throttling import Quotas
from entra_emulator.weather import Weather


@dataclass(slots=True)
class World:
    """The state of the emulator. `origin` is its URL without a trailing slash."""

    origin: str
    clock: Clock
    seeds: Seeds
    directory: Directory
    key: SigningKey
    journal: Journal = field(default_factory=Journal)
    weather: Weather = field(default_factory=Weather)
    quotas: Quotas = field(default_factory=Quotas)
    sessions: Sessions = field(default_factory=Sessions)
    tokens: Issued = field(default_factory=Issued)

    @classmethod
    def create(cls, origin: str, clock: Clock, seeds: Seeds) -> World:
        """A world with a freshly seeded directory."""
        world = cls(origin.rstrip("/"), clock, seeds, Directory(clock), SigningKey.shared())
        plant(world.directory, seeds)
        return world

    def seen_at(self, host: str | None) -> World:
        """The same world for a client that used `host`, the Host header of its request.

        A client that was led here under a name of the real service is answered with addresses of
        the real service.
        """
        name = (host or "").lower().removesuffix(":443")
        return replace(self, origin=f"https://{name}") if name in STOCK_HOSTS else self

    def reset(self) -> None:
        """Back to the seeds: fair weather, no quotas, sessions; an empty log. The clock goes on.

        Access tokens that were issued before stay good.
        """
        self.directory = Directory(self.clock)
        plant(self.directory, self.seeds)
        self.journal.clear()
        self.weather.clear()
        self.quotas.set(enabled=False)
        self.sessions = Sessions()
        self.tokens.reset()
