"""One registration through anything that may happen, step by step; the oracle watches.

A seed draws the steps of a journey here; Hypothesis draws them in `test_state_machine`.
"""

import base64
import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta

from entra_emulator.directory import applications, service_principals
from fhir_app_operator.api import names
from tests.protocol.calls import Fault, Late, Zombie
from tests.protocol.operators import RESYNC
from tests.protocol.playing import DAY, HOUR, SWEEP
from tests.protocol.starts import CERTIFICATE, SPECS, with_service
from tests.protocol.virtual_time import VirtualLoop
from tests.protocol.world import CLOCK, World, captured_logs

NAME = "service"
STEPS = 12
FAULTS = (*Fault, Zombie(1), Zombie(4), Zombie(15), Zombie(Late.SETTLED))
DELAYS = (1, 10, 60, 600, 3 * 3600, 30 * 3600, 80 * 3600)
"""Seconds that pass at once."""
SIDES = ("graph", "kube", "token")


class Journey:
    """A world in which the steps are taken, one after the other, by whoever calls.

    Args:
        seed: of the product's own jitter.
        lag: how far the directory's reads are behind.
    """

    def __init__(self, seed=0, lag=timedelta(seconds=3)):
        start = with_service()
        random.seed(seed)
        self._loop = CLOCK.loop = VirtualLoop(start.now)
        self._stack = ExitStack()
        self.logs = self._stack.enter_context(captured_logs())
        self.steps = []
        self.world = World(start)
        self.world.cloud.directory.store.lag = lag
        self._loop.run_until_complete(self._begin())

    async def _begin(self):
        self.world.start_operator()

    def _do(self, coroutine):
        return self._loop.run_until_complete(coroutine)

    def close(self):
        self._stack.close()
        self._do(self.world.stop_second())
        self._do(self.world.operator.stop())
        self._do(self._loop.shutdown_asyncgens())
        self._loop.close()

    @property
    def violations(self):
        return self.world.oracle.violations

    def result(self):
        """Return what came of it so far."""
        return Travelled(self.violations, self.steps, self.world.calls.history)

    @property
    def is_there(self):
        body = self.world.registration(NAME)
        return body is not None and "deletionTimestamp" not in body["metadata"]

    # ---- steps: each is legal at any time; what makes no sense then does nothing

    def wait(self, seconds):
        """Time passes."""
        self._do(self.world.rest(timedelta(seconds=seconds)))

    def fault(self, calls, fault):
        """The call after so many others is struck."""
        self.world.calls.plan[len(self.world.calls.history) + calls] = fault

    def kill(self):
        """The process dies between two calls."""
        self.world.operator.process.die()

    def outage(self, side, seconds):
        """One of the services answers 503 for a while."""
        self.world.calls.outages.add(side)
        self.wait(min(seconds, 6 * 3600))
        self.world.calls.outages.discard(side)

    def second_operator(self, seconds):
        """A second operator works for a while beside the first."""
        self._do(self.world.start_second())
        self.wait(seconds)
        self._do(self.world.stop_second())

    def edit_spec(self, number):
        """The spec changes; also back to what it was."""
        if self.is_there:
            role = ("globalReader", "globalWriter", "globalExporter")[number % 3]
            self.world.edit(NAME, displayName=f"Client {number % 4}", appRoles=[role])

    def edit_lifetime(self, hours):
        """Credentials are to live for another time."""
        if self.is_there:
            secret = {"duration": f"{hours}h", "overlap": "24h"}
            self.world.edit(NAME, credential={"certificate": None, "clientSecret": secret})

    def use_certificate(self):
        """The client is to prove itself by a certificate."""
        if self.is_there:
            self.world.edit(NAME, credential=CERTIFICATE)

    def rotate(self):
        """A person asks for a new credential."""
        if self.is_there:
            wanted = {names.ROTATE_REQUESTED_ANNOTATION: self.world.time()}
            self.world.annotate(NAME, **wanted)

    def delete_secret(self):
        """A person deletes the Secret."""
        if self.world.secret(NAME):
            self.world.delete_secret(NAME)

    def empty_secret(self):
        """A person takes the value out of the Secret."""
        if self.world.secret(NAME):
            gone = dict.fromkeys(("AZURE_CLIENT_SECRET", "tls.key"))
            self.world.edit_secret(NAME, gone)

    def add_key(self):
        """A person puts a key of their own into the Secret."""
        if self.world.secret(NAME):
            value = base64.b64encode(b"mine").decode()
            self.world.patch_secret(NAME, {"data": {"MINE": value}})

    def wipe_notes(self):
        """A person wipes the annotations of the Secret."""
        if self.world.secret(NAME):
            self.world.break_secret(NAME)
            self.world.patch_secret(NAME, {"metadata": {"annotations": None}})

    def wipe_status(self):
        """A person wipes the status, but not while only that tells what lies in the bin."""
        if self.is_there and self.world.live_applications(NAME):
            self.world.wipe_status(NAME)

    def remove_finalizer(self):
        """A person takes the finalizer off."""
        if self.is_there:
            self.world.patch(NAME, {"metadata": {"finalizers": []}})

    def remove_credentials(self):
        """A person removes our client secrets from the application."""
        self.world.break_secret(NAME)
        self.world.change_application(NAME, lambda _document: {"passwordCredentials": []})

    def rename_application(self):
        """A person renames the application."""
        self.world.change_application(NAME, lambda _document: {"displayName": "Mine"})

    def delete_application(self):
        """A person deletes the application; it goes to the bin, from which only its id leads."""
        status = (self.world.registration(NAME) or {}).get("status") or {}
        if "objectId" not in status:
            return
        for entity in self.world.live_applications(NAME):
            self.world.break_secret(NAME)
            self.world.oracle.deleted_by_people.add(entity.id)
            applications.delete(self.world.cloud.directory, entity)

    def delete_principal(self):
        """A person deletes the service principal."""
        for entity in self.world.live_applications(NAME):
            for principal in self.world.cloud.principals(entity.document["appId"]):
                self.world.break_secret(NAME)
                service_principals.delete(self.world.cloud.directory, principal)

    def delete_registration(self):
        """The registration is deleted, if that can take its application along."""
        body = self.world.registration(NAME)
        if self.is_there and names.FINALIZER in body["metadata"].get("finalizers", ()):
            self.world.delete(NAME)

    def register(self):
        """It is created again under its name."""
        if self.world.registration(NAME) is None:
            self.world.register(NAME, **SPECS["service"])

    # ---- the end

    def heal(self):
        """Faults stop; the world must become as declared, and stay so without a write."""
        self._do(self._heal())

    async def _heal(self):
        world, oracle = self.world, self.world.oracle
        await world.stop_second()
        world.calls.plan.clear()
        world.calls.outages.clear()
        world.calls.land(Late.SETTLED)
        await world.restart()
        await world.rest(HOUR / 6)  # what people did just now must show
        if self.is_there:
            # A fresh credential, so that no renewal falls into the time of rest.
            asked = (names.RECONCILE_REQUESTED_ANNOTATION, names.ROTATE_REQUESTED_ANNOTATION)
            world.annotate(NAME, **dict.fromkeys(asked, world.time()))
        if not await world.until(self._is_right, SWEEP):
            oracle.fail("L1", f"not as declared after {SWEEP}")
        await world.until(lambda: not oracle.leaks(), SWEEP)
        await world.rest(RESYNC * 1.1)
        oracle.check_leaks()
        await world.restart()
        quiet = len(world.calls.history)
        await world.rest(DAY / 2)
        oracle.check_idle(world.calls.history[quiet:])
        oracle.check_canary(self.logs)

    def _is_right(self):
        world = self.world
        body = world.registration(NAME)
        if body is None:
            return not world.live_applications(NAME)
        return (
            self.is_there
            and world.is_ready(NAME)
            and world.is_usable(body)
            and world.is_settled(NAME)
            and len(world.live_applications(NAME)) == 1
        )


def _drawn(random_, journey):
    """Draw one step; return its name and arguments."""
    pick = random_.choice
    steps = [
        *[("wait", pick(DELAYS))] * 6,
        *[("fault", random_.randrange(30), pick(FAULTS))] * 8,
        *[("rotate",)] * 2,
        ("kill",),
        ("outage", pick(SIDES), pick(DELAYS)),
        ("second_operator", pick(DELAYS)),
        ("edit_spec", random_.randrange(12)),
        ("edit_lifetime", pick((240, 480))),
        ("delete_secret",),
        ("empty_secret",),
        ("add_key",),
        ("wipe_notes",),
        ("wipe_status",),
        ("remove_finalizer",),
        ("remove_credentials",),
        ("rename_application",),
        ("delete_application",),
        ("delete_principal",),
        ("delete_registration",),
        *[("register",)] * (1 if journey.is_there else 6),
    ]
    return pick(steps)


@dataclass
class Travelled:
    """What came of a journey."""

    violations: list
    steps: list
    history: list = field(repr=False)

    def story(self):
        lines = [str(violation) for violation in self.violations]
        last = max((violation.number for violation in self.violations), default=0)
        return "\n".join([*lines, *map(str, self.steps), *map(str, self.history[: last + 3])])


def journey(seed, steps=STEPS):
    """Take the journey of that seed; return what came of it."""
    random_ = random.Random(seed)
    travel = Journey(seed, timedelta(seconds=random_.choice((0, 3, 10, 60))))
    try:
        for _ in range(steps):
            step, *arguments = _drawn(random_, travel)
            travel.steps.append((len(travel.world.calls.history), step, *arguments))
            getattr(travel, step)(*arguments)
            if travel.violations:
                break
        else:
            travel.heal()
        return travel.result()
    finally:
        travel.close()
