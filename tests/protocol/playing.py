"""Plays a story with a plan of faults. The same story, plan and seed give the same run."""

import functools
import random
from dataclasses import dataclass, field
from datetime import timedelta

from tests.protocol import virtual_time
from tests.protocol.calls import Late
from tests.protocol.operators import RESYNC, Parts
from tests.protocol.world import CLOCK, World, captured_logs

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SWEEP = RESYNC * 1.1 + DAY + HOUR
"""Until what nobody holds is seen, was seen for the overlap, and is swept."""


@dataclass
class Run:
    """What came of a plan."""

    violations: list
    history: list = field(repr=False)
    calls: int
    """Calls until the goal was reached."""
    crashed_at: int | None = None

    def story(self):
        """The violations and the calls that led to them."""
        lines = [str(violation) for violation in self.violations]
        last = max((violation.number for violation in self.violations), default=0)
        return "\n".join([*lines, *(str(entry) for entry in self.history[: last + 3])])


def run(scenario, plan=(), parts=Parts, seed=0):
    """Play `scenario` with the faults of `plan`, {call number: fault}; return the Run."""
    start = scenario.start()
    random.seed(seed)
    result, _ = virtual_time.run(_play(scenario, start, dict(plan), parts), start.now, CLOCK)
    return result


@functools.cache
def unstruck(scenario):
    """The Run of `scenario` without faults, played once in a process."""
    return run(scenario)


async def _play(scenario, start, plan, parts):
    with captured_logs() as logs:
        world = World(start, plan, parts)
        oracle = world.oracle
        world.cloud.directory.store.lag = scenario.lag
        world.start_operator()
        await _act(world, scenario)

        def done():
            return scenario.goal(world) and not world.calls.pending

        within = scenario.within + HOUR + (scenario.crowded if len(plan) > 1 else timedelta(0))
        if not await world.until(done, within) and not scenario.goal(world):
            oracle.fail("L1", "not as it should be, long after the last fault")
        calls = len(world.calls.history)
        # Nothing is struck from here on, and to sign in every hour of some days takes long.
        world.cloud.issue_tokens_for(timedelta(days=30))
        world.calls.plan.clear()
        world.calls.land(Late.SETTLED)
        # Else it would be looked for all the time that is left.
        world.consent()
        await _come_to_rest(world, scenario)
        if world.calls.land(Late.SWEPT):
            await _come_to_rest(world, scenario)
        await world.restart()
        quiet = len(world.calls.history)
        await world.rest(DAY)
        if not scenario.goal(world):
            oracle.fail("L1", "it did not stay as it should be")
        oracle.check_idle(world.calls.history[quiet:])
        oracle.check_counts(scenario.issues, len(plan))
        oracle.check_canary(logs)
        await world.operator.stop()
        return Run(oracle.violations, world.calls.history, calls)


async def _come_to_rest(world, scenario):
    """Let the world become as it should be, without anything that nobody holds."""
    if not await world.until(lambda: scenario.goal(world), scenario.heals):
        world.oracle.fail("L1", "not as it should be, after a late landing")
    await world.until(lambda: not world.oracle.leaks(), SWEEP)
    await world.rest(RESYNC * 1.1)  # status, too, hears of it
    world.oracle.check_leaks()


async def _act(world, scenario):
    scenario.act(world)
    if scenario.then:
        condition, act = scenario.then
        if await world.until(lambda: condition(world), scenario.within + HOUR):
            act(world)


def prepared(before, act, goal, rest=timedelta(0), within=HOUR, *, judged=True):
    """Return a snapshot of what comes of `act` without faults, after some rest.

    Not `judged` is what signs in with something that the Secret does not hold.
    """

    async def play(start):
        with captured_logs() as logs:
            world = World(start)
            world.start_operator()
            act(world)
            reached = await world.until(lambda: goal(world), within)
            assert reached, (logs[-5:], world.registrations())
            await world.rest(rest)
            await world.operator.stop()
            assert not judged or world.oracle.violations == []
            return world.snapshot()

    start = before() if before else None
    random.seed(0)
    return virtual_time.run(play(start), start.now if start else 0.0, CLOCK)[0]
