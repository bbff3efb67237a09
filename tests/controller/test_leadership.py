"""The election under virtual time: who may write, and that it is never two."""

import asyncio
from datetime import timedelta

import pytest

from fhir_app_operator.controller.fence import Fence, elapsed, finishing
from fhir_app_operator.controller.leadership import LostLease, Timings, Unopposed
from fhir_app_operator.errors import Conflict, NotLeading, Stalled
from tests.controller.elections import DEADLINE, DURATION, RETRY, UNREACHABLE, Process, Server, now

pytestmark = pytest.mark.looptime


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
