"""The queue's promises, under virtual time."""

import asyncio
import contextlib

import pytest

from fhir_app_operator.controller.queue import MAX_COURTESY, MAX_DELAY, Next, WorkQueue, backoff

pytestmark = pytest.mark.looptime


class Worker:
    """Records when each key was processed; answers as told."""

    def __init__(self, workers=2, bound=300.0, needs=lambda _key: None):
        self.runs = []
        self.answers = {}
        self.gate = None
        self.active = set()
        self.queue = WorkQueue(self.process, workers=workers, bound=bound, needs=needs)
        self.queue.start()

    async def process(self, key):
        assert key not in self.active, "one key in two workers"
        self.active.add(key)
        try:
            self.runs.append((key, round(asyncio.get_running_loop().time(), 3)))
            if self.gate is not None:
                await self.gate.wait()
            answer = self.answers.get(key, Next())
            if isinstance(answer, BaseException):
                raise answer
            return answer
        finally:
            self.active.discard(key)

    @property
    def order(self):
        return [key for key, _ in self.runs]


@pytest.fixture
async def worker():
    made = Worker()
    yield made
    await made.queue.drain(1.0)


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_key_added_many_times_runs_once(worker):
    for _ in range(5):
        worker.queue.add("a")
    await settle()
    assert worker.order == ["a"]


async def test_an_event_for_a_busy_key_runs_it_again_afterwards(worker):
    worker.gate = asyncio.Event()
    worker.queue.add("a")
    await settle()
    worker.queue.add("a")
    worker.queue.add("a")
    await settle()
    assert worker.order == ["a"]
    worker.gate.set()
    await settle()
    assert worker.order == ["a", "a"]


async def test_what_users_changed_goes_before_resyncs():
    worker = Worker(workers=1)
    worker.gate = asyncio.Event()
    worker.queue.add("busy")
    await settle()
    for key in ("calm-1", "calm-2"):
        worker.queue.add(key, urgent=False)
    worker.queue.add("urgent")
    worker.queue.add("calm-2", urgent=True)
    worker.gate.set()
    await settle()
    assert worker.order == ["busy", "urgent", "calm-2", "calm-1"]
    await worker.queue.drain(1.0)


async def test_a_failure_backs_off_and_a_new_event_drops_the_back_off(worker):
    worker.answers["a"] = Next(after=600.0, failed=True)
    worker.queue.add("a")
    await asyncio.sleep(1.0)
    worker.answers["a"] = Next()
    worker.queue.add("a")
    await settle()
    assert worker.runs == [("a", 0.0), ("a", 1.0)]
    await asyncio.sleep(1000.0)
    assert len(worker.runs) == 2


async def test_a_servers_retry_after_outlasts_new_events(worker):
    worker.answers["a"] = Next(after=30.0, failed=True, floor=30.0)
    worker.queue.add("a")
    await asyncio.sleep(5.0)
    worker.answers["a"] = Next()
    worker.queue.add("a")
    await asyncio.sleep(60.0)
    assert worker.runs == [("a", 0.0), ("a", 30.0)]


async def test_a_success_is_due_again_when_it_says(worker):
    worker.answers["a"] = Next(after=3600.0)
    worker.queue.add("a")
    await asyncio.sleep(3601.0)
    assert worker.runs == [("a", 0.0), ("a", 3600.0)]


async def test_an_unexpected_error_is_retried_and_hurts_nobody_else(worker):
    worker.answers["bad"] = RuntimeError("boom")
    worker.queue.add("bad")
    worker.queue.add("good")
    await asyncio.sleep(10.0)
    assert worker.order.count("bad") >= 2
    assert worker.order.count("good") == 1
    assert worker.queue.problem() is None


async def test_a_pass_that_hangs_is_cancelled_and_retried():
    worker = Worker(bound=10.0)
    worker.gate = asyncio.Event()
    worker.queue.add("a")
    await asyncio.sleep(10.5)
    worker.gate.set()
    await asyncio.sleep(5.0)
    assert len(worker.runs) == 2
    await worker.queue.drain(1.0)


async def test_draining_lets_a_running_pass_end_and_starts_nothing_new(worker):
    worker.gate = asyncio.Event()
    worker.queue.add("a")
    await settle()
    drained = asyncio.create_task(worker.queue.drain(20.0))
    await settle()
    worker.queue.add("b")
    worker.gate.set()
    await drained
    assert worker.order == ["a"]


async def test_draining_does_not_wait_for_ever():
    worker = Worker()
    worker.gate = asyncio.Event()
    worker.queue.add("a")
    await settle()
    await worker.queue.drain(2.0)
    assert asyncio.get_running_loop().time() == pytest.approx(2.0, abs=0.1)


async def test_later_gathers_calls_and_never_postpones(worker):
    worker.queue.add_later("a", 2.0)
    await asyncio.sleep(1.0)
    worker.queue.add_later("a", 2.0)
    await asyncio.sleep(5.0)
    assert worker.runs == [("a", 2.0)]


async def test_later_said_during_a_pass_outlives_it(worker):
    worker.gate = asyncio.Event()
    worker.answers["a"] = Next(after=3600.0)
    worker.queue.add("a")
    await settle()
    worker.queue.add_later("a", 2.0)
    worker.gate.set()
    await asyncio.sleep(10.0)
    assert worker.runs == [("a", 0.0), ("a", 2.0)]
    await asyncio.sleep(3600.0)
    assert worker.runs[2:] == [("a", 3602.0)]


async def test_later_said_during_a_pass_does_not_postpone_what_is_due_sooner(worker):
    worker.gate = asyncio.Event()
    worker.answers["a"] = Next(after=5.0)
    worker.queue.add("a")
    await settle()
    worker.queue.add_later("a", 60.0)
    worker.gate.set()
    await asyncio.sleep(9.0)
    assert worker.runs == [("a", 0.0), ("a", 5.0)]


async def test_later_said_during_a_pass_respects_a_retry_after(worker):
    worker.gate = asyncio.Event()
    worker.answers["a"] = Next(after=30.0, failed=True, floor=30.0)
    worker.queue.add("a")
    await settle()
    worker.queue.add_later("a", 2.0)
    worker.gate.set()
    await asyncio.sleep(45.0)
    assert worker.runs == [("a", 0.0), ("a", 30.0)]


def test_the_back_off_doubles_up_to_ten_minutes():
    ceilings = [backoff(n, uniform=lambda _low, high: high) for n in (1, 2, 3, 9, 10, 500)]
    assert ceilings == [2.0, 4.0, 8.0, 512.0, MAX_DELAY, MAX_DELAY]
    assert backoff(3, uniform=lambda low, _high: low) == 0.0


def needy(**needs):
    """A worker whose keys need others."""
    return Worker(workers=3, needs=needs.get)


async def test_a_key_lets_the_one_it_needs_go_first():
    worker = needy(client="server")
    worker.gate = asyncio.Event()
    worker.queue.add("client")
    worker.queue.add("server")
    await settle()
    assert worker.order == ["server"]
    worker.gate.set()
    await settle()
    assert worker.order == ["server", "client"]
    await worker.queue.drain(1.0)


async def test_a_key_waits_for_nobody_who_is_not_about_to_run():
    worker = needy(client="server")
    worker.queue.add("client")
    await settle()
    worker.answers["server"] = Next(after=100.0, failed=True)
    worker.queue.add("server")
    await asyncio.sleep(1.0)
    worker.queue.add("client")
    await settle()
    assert worker.order == ["client", "server", "client"]
    await worker.queue.drain(1.0)


async def test_a_resync_of_what_a_key_needs_holds_nobody_up():
    worker = needy(client="server")
    worker.gate = asyncio.Event()
    worker.queue.add("server", urgent=False)
    await settle()
    worker.queue.add("client")
    await settle()
    assert worker.order == ["server", "client"]
    worker.gate.set()
    await worker.queue.drain(1.0)


async def test_a_pass_that_takes_long_holds_those_that_need_it_up_for_a_while_only():
    worker = needy(client="server")
    worker.gate = asyncio.Event()
    worker.queue.add("server")
    worker.queue.add("client")
    await asyncio.sleep(MAX_COURTESY + 1.0)
    assert worker.runs == [("server", 0.0), ("client", MAX_COURTESY)]
    worker.gate.set()
    await worker.queue.drain(1.0)


async def test_keys_that_need_each_other_all_run():
    worker = needy(a="b", b="c", c="a", selfish="selfish")
    for key in ("a", "b", "c", "selfish"):
        worker.queue.add(key)
    await settle()
    assert sorted(worker.order) == ["a", "b", "c", "selfish"]
    await worker.queue.drain(1.0)


async def test_one_that_is_changed_again_and_again_does_not_starve_those_that_need_it():
    worker = needy(client="server")
    worker.gate = asyncio.Event()
    worker.queue.add("server")
    worker.queue.add("client")
    await settle()
    worker.queue.add("server")
    worker.gate.set()
    await settle()
    assert worker.order == ["server", "server", "client"]
    await worker.queue.drain(1.0)


async def test_a_pass_that_meets_somebody_elses_cancellation_ends_no_worker(worker):
    # Such as one that waits for work that another pass shared, and whose pass took too long.
    worker.answers["a"] = asyncio.CancelledError()
    for _ in range(2):
        worker.queue.add("a")
        await settle()
    assert worker.order == ["a", "a"]
    assert worker.queue.problem() is None


async def test_a_worker_that_has_ended_is_a_problem(worker):
    worker.queue._tasks[0].cancel()
    await settle()
    assert worker.queue.problem() == "1 of 2 workers have ended"


async def test_a_pass_that_outlives_its_cancellation_is_a_problem():
    loop, go_on = asyncio.get_running_loop(), asyncio.Event()

    async def stubborn(_key):
        while not go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go_on.wait()
        return Next()

    queue = WorkQueue(stubborn, workers=1, bound=300.0, clock=loop.time)
    queue.start()
    queue.add("a")
    await asyncio.sleep(350.0)
    assert queue.problem() is None
    await asyncio.sleep(11.0)
    assert queue.problem() == "a pass of a has not ended 361 seconds after it began"
    go_on.set()
    await settle()
    assert queue.problem() is None
    await queue.drain(1.0)


async def test_a_queue_that_ends_has_no_problem(worker):
    await worker.queue.drain(1.0)
    assert worker.queue.problem() is None


async def test_news_of_a_key_that_lets_another_one_go_first_does_not_bring_it_back():
    worker = needy(client="server")
    worker.gate = asyncio.Event()
    worker.queue.add("server")
    worker.queue.add("client")
    await settle()
    worker.queue.add("client")
    worker.queue.add_later("client", 1.0)
    await asyncio.sleep(5.0)
    assert worker.order == ["server"]
    worker.gate.set()
    await asyncio.sleep(MAX_COURTESY + 1.0)
    assert worker.runs == [("server", 0.0), ("client", 5.0)]
    await worker.queue.drain(1.0)
