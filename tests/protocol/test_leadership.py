"""Losing and regaining leadership, at every call of a renewal: no write of an old leader starts."""

import random
from datetime import timedelta

import pytest

from tests.protocol import virtual_time
from tests.protocol.calls import Fault, Zombie
from tests.protocol.election import SETTLING, ElectedWorld
from tests.protocol.playing import HOUR
from tests.protocol.scenarios import RENEW
from tests.protocol.world import CLOCK, captured_logs


def play(plan=None, cut_at=None):
    """A renewal with two operators; before call `cut_at` the leader loses touch with the Lease."""
    start = RENEW.start()
    random.seed(0)
    return virtual_time.run(_play(start, plan or {}, cut_at), start.now, CLOCK)[0]


async def _play(start, plan, cut_at):
    with captured_logs():
        world = ElectedWorld(start, plan)
        heal = []

        def cut(number):
            if number == cut_at:
                heal.append(world.cut_leader())

        world.calls.on_call = cut
        world.start_operators()
        if not await world.until(lambda: RENEW.goal(world), HOUR):
            world.oracle.fail("L1", "nobody renewed the credential")
        calls = len(world.calls.history)
        await world.rest(timedelta(seconds=30))
        for each in heal:
            each()
        await world.rest(SETTLING)
        if not RENEW.goal(world) or world.leader is None:
            world.oracle.fail("L1", "nobody leads, or it did not stay as it should be")
        world.oracle.check_counts(RENEW.issues, 1)
        await world.stop()
        return world, calls


def clean():
    world, calls = play()
    assert world.oracle.violations == []
    return world, calls


def test_one_of_two_renews_and_the_other_stands_by():
    world, calls = clean()
    assert {entry.process for entry in world.calls.history} == {1}
    assert calls > 20


@pytest.mark.parametrize("half", [0, 1])
def test_a_leader_that_loses_the_lease_at_any_call_starts_no_further_write(half):
    _, calls = clean()
    took_over = 0
    for number in range(half, calls, 2):
        world, _ = play(cut_at=number)
        assert world.oracle.violations == [], f"cut at {number}\n{story(world)}"
        took_over += any(entry.process != 1 for entry in world.calls.history)
    assert took_over > calls / 4


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Zombie(1), Zombie(12)], ids=repr)
def test_a_leader_that_dies_at_any_call_is_replaced(fault):
    world, calls = clean()
    for entry in world.calls.history[:calls]:
        found, _ = play({entry.number: fault})
        assert found.oracle.violations == [], f"{fault} at {entry.number}\n{story(found)}"
        assert any(each.process == 2 for each in found.calls.history)


def story(world):
    lines = [str(violation) for violation in world.oracle.violations]
    return "\n".join([*lines, *(str(entry) for entry in world.calls.history)])
