"""The election under virtual time: who may write, and that it is never two.

The API server is a stand-in for one Lease that checks preconditions as the real one does; what
stands between it and a process (outage, hang, lost answer, pause) is that process's `weather`.
"""

import asyncio
import copy
import random
from datetime import UTC, datetime, timedelta

import pytest

from fhir_app_operator.controller.fence import Fence, elapsed, finishing
from fhir_app_operator.controller.leadership import Candidate, LostLease, Timings, Unopposed
from fhir_app_operator.errors import Conflict, NotLeading, Stalled, Waiting
from fhir_app_operator.kube.leases import Leases

pytestmark = pytest.mark.looptime

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


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def start(server):
    made = []

    def starting(name, **kwargs):
        made.append(Process(server, name, **kwargs).start())
        return made[-1]

    yield starting
    for process in made:
        await process.kill()


async def until(condition, seconds=60.0):
    """Wait until `condition()`, return how long that took."""
    started = now()
    while not condition():
        assert now() - started < seconds, "never came true"
        await asyncio.sleep(0.02)
    return now() - started


async def test_whoever_is_alone_leads_at_once(server, start):
    one = start("one")
    await until(lambda: one.leads, 0.2)
    assert one.began
    assert one.candidate.problem() is None
    assert server.spec == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 10,
        "acquireTime": server.spec["renewTime"],
        "renewTime": "2026-03-01T00:00:00.025000Z",
        "leaseTransitions": 0,
    }


async def test_of_two_that_start_together_one_leads(server, start):
    one, two = start("one"), start("two")
    await until(lambda: one.leads or two.leads)
    for _ in range(600):
        await asyncio.sleep(0.1)
        assert [one.leads, two.leads].count(True) == 1
    assert len(one.began + two.began) == 1
    assert server.spec["leaseTransitions"] == 0


async def test_a_renewal_costs_one_call_each_retry_period(server, start):
    start("one")
    await asyncio.sleep(60)
    assert server.writes == pytest.approx(1 + 60 / RETRY, abs=2)


@pytest.mark.parametrize("moment", [0.1, 0.9, 1.9, 2.01, 3.3])
async def test_a_killed_leader_is_replaced_within_fifteen_seconds(server, start, moment):
    one = start("one")
    await until(lambda: one.leads)
    two = start("two")
    await asyncio.sleep(moment)
    await one.kill()
    took = await until(lambda: two.leads)
    assert DURATION - RETRY - 0.1 < took < DURATION + RETRY < 15
    assert server.spec["holderIdentity"] == "two"
    assert server.spec["leaseTransitions"] == 1
    assert server.spec["acquireTime"] == server.spec["renewTime"]


async def test_a_released_lease_is_taken_within_two_seconds(server, start):
    one = start("one")
    await until(lambda: one.leads)
    two = start("two")
    await asyncio.sleep(5)
    await one.candidate.release()
    assert not one.leads
    assert server.spec["holderIdentity"] is None
    assert await until(lambda: two.leads) < RETRY / 2 + 0.2
    assert one.ended
    one.candidate.raise_if_lost()  # it was not


async def test_a_standby_releases_nothing(server, start):
    one = start("one")
    await until(lambda: one.leads)
    two = start("two")
    await asyncio.sleep(5)
    await two.candidate.release()
    assert server.spec["holderIdentity"] == "one"


async def test_an_api_server_that_does_not_answer_cannot_hold_the_exit(server, start):
    one = start("one")
    await until(lambda: one.leads)
    one.pause()
    before = now()
    await one.candidate.release()
    assert now() - before < 2.1


async def test_an_outage_closes_the_fence_and_costs_nothing_else(server, start):
    one, two = start("one"), start("two")
    await until(lambda: one.leads)
    one.weather.error = two.weather.error = UNREACHABLE
    closed_after = await until(lambda: not one.leads)
    assert DEADLINE - RETRY - 0.1 < closed_after <= DEADLINE
    with pytest.raises(NotLeading):
        one.fence.check()
    await asyncio.sleep(120)
    assert "no answer" in one.candidate.problem()
    assert "no answer" in two.candidate.problem()
    one.weather.error = None  # it comes back for the leader first
    assert await until(lambda: one.leads) < RETRY
    two.weather.error = None
    await asyncio.sleep(60)
    assert (one.leads, two.leads) == (True, False)
    assert (len(one.began), two.began) == (1, [])
    assert server.spec["leaseTransitions"] == 0


async def test_whoever_was_replaced_ends_and_writes_no_more(server, start):
    one, two = start("one"), start("two")
    await until(lambda: one.leads)
    one.weather.error = UNREACHABLE
    await until(lambda: two.leads)
    one.weather.error = None
    await until(lambda: one.ended, RETRY)
    assert not one.leads
    with pytest.raises(LostLease, match="two"):
        one.candidate.raise_if_lost()


async def test_a_call_that_hangs_makes_no_second_leader(server, start):
    one, two = start("one"), start("two")
    await until(lambda: one.leads)
    one.pause()
    for _ in range(600):
        await asyncio.sleep(0.05)
        assert not (one.leads and two.leads)
    assert two.leads
    one.resume()
    await until(lambda: one.ended, DEADLINE)
    assert not one.leads


async def test_one_call_that_hangs_does_not_cost_the_lease(start):
    one = start("one")
    await until(lambda: one.leads)
    await asyncio.sleep(RETRY - 0.1)
    one.pause()
    await asyncio.sleep(DEADLINE / 2 + 0.2)
    one.resume()
    for _ in range(400):
        await asyncio.sleep(0.05)
        assert one.leads


async def test_a_suspended_leader_must_not_write_when_it_wakes(server, start):
    one, two = start("one"), start("two")
    await until(lambda: one.leads)
    one.pause()
    await asyncio.sleep(60)
    with pytest.raises(NotLeading):  # before anything of its own has run
        one.fence.check()
    assert two.leads
    one.resume()
    await until(lambda: one.ended, DEADLINE)
    assert server.spec["holderIdentity"] == "two"


async def test_time_asleep_counts_although_the_loop_does_not_see_it(start):
    one = start("one")
    await until(lambda: one.leads)
    one.slept += DEADLINE
    assert not one.leads
    await until(lambda: one.leads, RETRY + 0.1)  # nobody else was there: it goes on
    assert len(one.began) == 1


async def test_a_suspended_standby_looks_before_it_takes(server, start):
    one, two = start("one"), start("two")
    await until(lambda: one.leads)
    await asyncio.sleep(5)
    two.pause()
    await asyncio.sleep(60)
    two.resume()
    await asyncio.sleep(60)
    assert two.began == []
    assert one.leads


@pytest.mark.parametrize("hours", [-24, 24])
async def test_wall_clocks_mean_nothing(server, start, hours):
    one = start("one", wall=timedelta(hours=hours))
    two = start("two")
    await until(lambda: one.leads)
    await asyncio.sleep(30)
    assert not two.leads
    await one.kill()
    assert await until(lambda: two.leads) < DURATION + RETRY


async def test_a_lost_answer_to_taking_it_counts_once(server, start):
    one = start("one")
    one.weather.loses_answers = True
    await asyncio.sleep(3)
    assert not one.leads  # it cannot know
    one.weather.loses_answers = False
    await until(lambda: one.leads)
    assert server.spec["leaseTransitions"] == 0


async def test_lost_answers_to_renewals_are_found_out(start):
    one = start("one")
    await until(lambda: one.leads)
    one.weather.loses_answers = True
    await asyncio.sleep(3)
    one.weather.loses_answers = False
    for _ in range(200):
        await asyncio.sleep(0.05)
        assert one.leads


async def test_a_persons_annotation_stays_and_does_no_harm(server, start):
    one = start("one")
    await until(lambda: one.leads)
    body = server.get()
    body["metadata"]["annotations"] = {"note": "looked at"}
    server.store(body)
    for _ in range(200):
        await asyncio.sleep(0.05)
        assert one.leads
    assert server.body["metadata"]["annotations"] == {"note": "looked at"}


async def test_a_deleted_lease_is_waited_out(server, start):
    one, two = start("one"), start("two")
    await until(lambda: one.leads)
    await asyncio.sleep(5)
    server.body = None
    for _ in range(120):
        await asyncio.sleep(0.05)
        assert not (one.leads and two.leads)
    assert one.ended
    with pytest.raises(LostLease):
        one.candidate.raise_if_lost()
    await until(lambda: two.leads, DURATION)


async def test_the_lease_itself_says_how_long_it_lasts(start):
    slow = start("slow", timings=Timings(duration=60, deadline=40, retry=10))
    await until(lambda: slow.leads)
    two = start("two")
    await asyncio.sleep(1)
    await slow.kill()
    took = await until(lambda: two.leads, 80)
    assert 58 < took < 62


async def test_a_late_write_of_the_old_leader_changes_nothing(server, start):
    one, two = start("one"), start("two")
    await until(lambda: one.leads)
    stale = one.candidate._lease
    await one.kill()
    await until(lambda: two.leads)
    with pytest.raises(Conflict):
        await one.candidate._leases.replace(stale, stale.record)
    assert server.spec["holderIdentity"] == "two"


async def test_missing_rights_are_told_and_tried_again(start):
    one = start("one")
    one.weather.error = Stalled("PermissionDenied", "may not GET Lease")
    await asyncio.sleep(60)
    assert "may not GET Lease" in one.candidate.problem()
    assert not one.ended
    one.weather.error = None
    await until(lambda: one.leads, RETRY)
    assert one.candidate.problem() is None


async def test_whoever_is_alone_for_certain_asks_nobody():
    fence, began = Fence(now), []
    alone = Unopposed(fence)
    alone.start(lambda: began.append(True), lambda: None)
    assert began
    fence.check()
    assert alone.problem() is None
    await alone.release()
    alone.raise_if_lost()
    with pytest.raises(NotLeading):
        fence.check()


async def test_on_the_way_out_only_what_has_begun_is_finished():
    fence = Fence(now)
    fence.open_until(now() + 7)
    fence.wind_down()
    with pytest.raises(NotLeading):
        fence.check()
    with finishing():
        fence.check()
        await asyncio.sleep(7)
        with pytest.raises(NotLeading):  # but never without the Lease
            fence.check()


def test_the_clock_goes_on():
    assert elapsed() <= elapsed()


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
async def test_there_are_never_two_leaders_and_in_the_end_there_is_one(server, seed):
    era = Era(server, seed)
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
