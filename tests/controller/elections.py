"""What stands in for elections under virtual time: one Lease, and processes with their weather.

The API server is a stand-in for one Lease that checks preconditions as the real one does; what
stands between it and a process (outage, hang, lost answer, pause) is that process's `weather`.
"""

import asyncio
import copy
from datetime import UTC, datetime, timedelta

from fhir_app_operator.controller.fence import Fence
from fhir_app_operator.controller.leadership import Candidate, Timings
from fhir_app_operator.errors import Conflict, Waiting
from fhir_app_operator.kube.leases import Leases

DURATION, DEADLINE, RETRY = 10.0, 7.0, 2.0
TIMINGS = Timings(duration=DURATION, deadline=DEADLINE, retry=RETRY)
START = datetime(2026, 3, 1, tzinfo=UTC)
UNREACHABLE = Waiting("ApiServerUnavailable", "no answer")


def now():
    return asyncio.get_running_loop().time()


class Server:
    """One Lease."""

    def __init__(self):
        self.body = None
        self.version = 0
        self.writes = 0

    @property
    def spec(self):
        return self.body["spec"]

    def get(self):
        return copy.deepcopy(self.body)

    def write(self, request):
        if request.method == "POST":
            if self.body is not None:
                raise Conflict("exists")
        else:
            sent = request.body["metadata"]["resourceVersion"]
            if self.body is None or sent != self.body["metadata"]["resourceVersion"]:
                raise Conflict("changed")
        self.writes += 1
        self.store(request.body)
        return self.get()

    def store(self, body):
        self.version += 1
        self.body = copy.deepcopy(body)
        self.body["metadata"]["resourceVersion"] = str(self.version)


class Weather:
    """What one process has between itself and the server; answers take 50 ms."""

    def __init__(self, server):
        self.server = server
        self.error = None
        self.loses_answers = False
        self.running = asyncio.Event()
        self.running.set()

    async def get(self, path, what, query=()):
        await self.through()
        return self.server.get()

    async def send(self, request):
        await self.through()
        answer = self.server.write(request)
        if self.loses_answers:
            raise UNREACHABLE
        await asyncio.sleep(0.025)
        await self.running.wait()
        return answer

    async def through(self):
        await self.running.wait()
        if self.error is not None:
            raise self.error
        await asyncio.sleep(0.025)


class Process:
    """A candidate with its own clocks and weather."""

    def __init__(self, server, name, *, timings=TIMINGS, wall=timedelta(0), uniform=None):
        self.name = name
        self.weather = Weather(server)
        self.slept = 0.0
        self.fence = Fence(self.clock)
        self.began = []
        self.ended = False
        self.candidate = Candidate(
            Leases(self.weather, "fhir-app-operator", "fhir-app-operator"), self.fence, name,
            timings, now=lambda: START + wall + timedelta(seconds=now()), clock=self.clock,
            uniform=uniform or (lambda _low, high: high),
        )  # fmt: skip

    def clock(self):
        return now() + self.slept

    def start(self):
        self.candidate.start(lambda: self.began.append(now()), self.end)
        return self

    def end(self):
        self.ended = True

    @property
    def leads(self):
        return self.fence.is_open

    async def kill(self):
        """Stop at once, without a word to anybody."""
        self.candidate._task.cancel()
        await asyncio.wait([self.candidate._task])
        self.fence.close()

    def pause(self):
        self.weather.running.clear()

    def resume(self):
        self.weather.running.set()
