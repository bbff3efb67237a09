"""What happens in a run: where it starts, what people do, what must have come of it.

A run is the same for the same scenario, plan and seed.
"""

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from tests.protocol import virtual_time
from tests.protocol.calls import Zombie
from tests.protocol.operators import Parts
from tests.protocol.world import CLOCK, World, captured_logs

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SPECS = {
    "resource": {"type": "Resource", "resource": {"url": "https://fhir.clinic.example"}},
    "confidential": {
        "type": "Confidential",
        "fhirServerRef": {"name": "server"},
        "redirectUris": {"web": ["https://portal.clinic.example/callback"]},
        "credential": {"clientSecret": {"duration": "240h", "overlap": "24h"}},
    },
    "public": {
        "type": "Public",
        "fhirServerRef": {"name": "server"},
        "redirectUris": {"publicClient": ["http://localhost/callback"]},
    },
    "service": {
        "type": "Service",
        "fhirServerRef": {"name": "server"},
        "appRoles": ["globalReader"],
        "credential": {"clientSecret": {"duration": "240h", "overlap": "24h"}},
    },
}


@dataclass(frozen=True)
class Scenario:
    """One story.

    Args:
        name: what it is called in tests and tables.
        start: returns the snapshot to start from.
        act: what people do, at the start.
        goal: whether the world is as it must become.
        issues: how many credentials are issued without faults.
        within: how long it may take, once nothing goes wrong any more.
    """

    name: str
    start: Callable
    act: Callable = lambda _world: None
    goal: Callable = lambda _world: True
    issues: int = 0
    within: timedelta = HOUR


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


async def _play(scenario, start, plan, parts):
    with captured_logs() as logs:
        world = World(start, plan, parts)
        oracle = world.oracle
        world.start_operator()
        scenario.act(world)

        def done():
            return scenario.goal(world) and not world.calls.pending

        if not await world.until(done, scenario.within + HOUR) and not scenario.goal(world):
            oracle.fail("L1", "not as it should be, long after the last fault")
        calls = len(world.calls.history)
        world.calls.plan.clear()
        world.calls.land_all()
        if not await world.until(lambda: scenario.goal(world), scenario.within):
            oracle.fail("L1", "not as it should be, after a late landing")
        await world.rest(26 * HOUR)
        oracle.check_leaks()
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


# ---- where runs start


def _prepared(before, act, goal, rest=timedelta(0), within=HOUR):
    """A snapshot of what comes of `act` without faults, after some rest."""

    async def play(start):
        with captured_logs() as logs:
            world = World(start)
            world.start_operator()
            act(world)
            reached = await world.until(lambda: goal(world), within)
            assert reached, (logs[-5:], world.registrations())
            await world.rest(rest)
            await world.operator.stop()
            assert world.oracle.violations == []
            return world.snapshot()

    start = before() if before else None
    random.seed(0)
    return virtual_time.run(play(start), start.now if start else 0.0, CLOCK)[0]


@functools.cache
def with_tenant():
    """A tenant that is ready, in an allowed namespace."""
    path = "/apis/fhirapps.dev/v1alpha1/entratenants/default"
    ready = '"True"'
    return _prepared(
        None, lambda _world: None,
        lambda world: "conditions" in world.kube.objects[path]["status"] and ready,
    )  # fmt: skip


@functools.cache
def with_server():
    """And a FHIR server."""
    return _prepared(
        with_tenant, lambda world: world.register("server", **SPECS["resource"]),
        lambda world: world.is_ready("server"), rest=HOUR,
    )  # fmt: skip


@functools.cache
def with_service():
    """And a client that has been in use for two days."""
    return _prepared(
        with_server, lambda world: world.register("service", **SPECS["service"]),
        lambda world: world.is_ready("service"), rest=2 * DAY,
    )  # fmt: skip


@functools.cache
def before_renewal():
    """The same, shortly before its credential is renewed; when that is, is found out."""
    first = key_of(with_service())
    renewed = _prepared(
        with_service,
        lambda _world: None,
        lambda world: world.key_id("service") != first,
        within=10 * DAY,
    )
    rest = timedelta(seconds=renewed.now - with_service().now - 180)
    return _prepared(with_service, lambda _world: None, lambda _world: True, rest=rest)


def key_of(start):
    """The key id in the client's Secret."""
    secret = start.kube.objects["/api/v1/namespaces/clinic/secrets/service"]
    return secret["metadata"]["annotations"]["fhirapps.dev/key-id"]


# ---- the stories


def _create(kind):
    return Scenario(
        name=f"create {kind}",
        start=with_tenant if kind == "resource" else with_server,
        act=lambda world: world.register(_name(kind), **SPECS[kind]),
        goal=lambda world: world.is_ready(_name(kind)),
        issues=1 if kind in ("confidential", "service") else 0,
    )


def _name(kind):
    return "server" if kind == "resource" else kind


def _is_renewed(world):
    return world.is_ready("service") and world.key_id("service") != key_of(before_renewal())


RENEW = Scenario(name="renew", start=before_renewal, goal=_is_renewed, issues=1)
CREATE = {kind: _create(kind) for kind in SPECS}
SCENARIOS = {each.name: each for each in (*CREATE.values(), RENEW)}

__all__ = ["CREATE", "RENEW", "SCENARIOS", "Run", "Scenario", "Zombie", "run"]
