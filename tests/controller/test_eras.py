"""Many changes of leadership at random: never two leaders, and in the end there is one."""

import asyncio
import random
from datetime import timedelta

import pytest

from tests.controller.elections import UNREACHABLE, Process, Server, now

pytestmark = pytest.mark.looptime


class Era:
    """Processes that come, go and suffer as the dice say. Fences open only when told to: whether
    two are open is checked each time."""

    def __init__(self, server, seed):
        self.server = server
        self.dice = random.Random(seed)
        self.made = []
        self.violations = []
        self.present = [self.another() for _ in range(3)]

    def another(self):
        wall = timedelta(seconds=self.dice.uniform(-3600, 3600))
        process = Process(self.server, f"p{len(self.made)}", wall=wall, uniform=self.dice.uniform)
        plain = process.fence.open_until

        def checked(moment):
            plain(moment)
            leaders = [p.name for p in self.made if p.leads]
            if len(leaders) > 1:
                self.violations.append((now(), leaders))

        process.fence.open_until = checked
        self.made.append(process.start())
        return process

    async def strike(self):
        place = self.dice.randrange(len(self.present))
        process = self.present[place]
        await getattr(self, self.dice.choice(EVILS))(process)
        await asyncio.sleep(self.dice.uniform(0, 15))
        if self.dice.random() < 0.5:
            self.clear(process)
        self.present = [self.another() if p.ended else p for p in self.present]

    async def kill(self, process):
        await process.kill()

    async def end(self, process):
        await process.candidate.release()

    async def pause(self, process):
        process.pause()

    async def outage(self, process):
        process.weather.error = UNREACHABLE

    async def lose(self, process):
        process.weather.loses_answers = True

    async def annotate(self, _process):
        if self.server.body is not None:
            self.server.store(self.server.get())

    async def suspend(self, process):
        process.slept += self.dice.uniform(0, 20) if process.leads else 0.0

    def clear(self, process):
        process.resume()
        process.weather.error = None
        process.weather.loses_answers = False


EVILS = ("kill", "end", "pause", "outage", "lose", "annotate", "suspend")


@pytest.mark.parametrize("seed", range(20))
async def test_there_are_never_two_leaders_and_in_the_end_there_is_one(seed):
    era = Era(Server(), seed)
    for _ in range(40):
        await era.strike()
    for process in era.present:
        era.clear(process)
    await asyncio.sleep(30)
    assert era.violations == []
    assert [p.leads for p in era.made].count(True) == 1
    assert sum(len(p.began) for p in era.made) > 2  # it did change hands
    for process in era.made:
        await process.kill()
