"""Two operators of which one leads: the product's election, over a line that can be cut.

Renewals are not counted among a run's calls: there is one every two seconds, and what may befall
them is the business of `tests/controller`.
"""

import asyncio
import contextlib
from datetime import timedelta

from fhir_app_operator.controller.leadership import Candidate, Timings
from fhir_app_operator.kube.leases import Leases
from tests.protocol.calls import Crash, NoAnswer
from tests.protocol.operators import ApiServerGateway, Operator, Parts
from tests.protocol.world import RESTART, World

TIMINGS = Timings(duration=15.0, deadline=10.0, retry=2.0)
_LEASE = "/apis/coordination.k8s.io/v1/namespaces/fhir-app-operator/leases/operator"


class Line:
    """The way of one process to the Lease; stands where the counted point stands elsewhere."""

    def __init__(self):
        self.is_cut = False

    def take(self, process, _call, effect):
        if not process.alive:
            raise Crash
        if self.is_cut:
            raise NoAnswer
        return effect()


class Elected(Operator):
    """An operator that works only while it leads."""

    def __init__(self, number, world):
        super().__init__(number, world, Parts)
        self.line = Line()
        api = ApiServerGateway(world.kube, self.line, self.process)
        self.candidate = Candidate(
            Leases(api, "fhir-app-operator", "operator"), self.fence, f"operator-{number}",
            TIMINGS, now=world.clock.now, clock=lambda: world.clock.loop.now,
        )  # fmt: skip

    def lead(self):
        self.candidate.start(self._triggers.lead, self.process.die)

    async def stop(self):
        await super().stop()
        with contextlib.suppress(Crash):
            await self.candidate.release()  # as if killed: the dead write nothing


class ElectedWorld(World):
    """A world in which two operators stand for election; whoever dies is started again."""

    def start_operators(self):
        self.both = [self._elected(), self._elected()]

    def _elected(self):
        self._lives += 1
        made = Elected(self._lives, self)
        made.process.died = self._rouse
        made.start()
        return made

    @property
    def leader(self):
        """The name of the process that has the Lease."""
        lease = self.kube.objects.get(_LEASE)
        return lease and lease["spec"].get("holderIdentity")

    async def until(self, goal, within):
        deadline = self.clock.loop.now + within.total_seconds()
        while not goal():
            left = deadline - self.clock.loop.now
            if left <= 0:
                return False
            for place, each in enumerate(self.both):
                if not each.process.alive:
                    await each.stop()
                    await asyncio.sleep(RESTART)
                    self.both[place] = self._elected()
            await self._something(min(left, 5.0))
        return True

    async def stop(self):
        for each in self.both:
            await each.stop()

    def cut_leader(self):
        """Take the Lease out of the leader's reach; return what undoes it."""
        lines = [e.line for e in self.both if self.leader == f"operator-{e.process.number}"]
        for line in lines:
            line.is_cut = True

        def heal():
            for line in lines:
                line.is_cut = False

        return heal


SETTLING = timedelta(minutes=1)
