"""The one point that every call of an operator to the outside passes: counted, logged, struck.

A plan says which calls are struck, by their number. What a call does is a plain function of the
world, so an effect can be left out, done before the process dies, or done long after.
"""

from dataclasses import dataclass, field
from enum import Enum


class Crash(BaseException):
    """The process is gone: SIGKILL, as far as its code can tell."""


class NoAnswer(Exception):
    """The effect may have happened; the process lives and got no answer."""


class Answered(Exception):
    """Something on the way answered with that HTTP status."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Babbled(Exception):
    """What befalls a call says all that there is to know of it, request and answer; `how` it does.

    The way to the outside knows the request, and makes of it what a careless library would.
    """

    def __init__(self, how, answer):
        super().__init__(how)
        self.how = how
        self.answer = answer


class Babble(Enum):
    """An effect, and then words that quote request and answer, secrets and all."""

    FORESEEN = "an error of the transport"
    UNFORESEEN = "an error that nobody expects"
    CHAINED = "one that came of another"
    REFUSAL = "an answer that refuses"

    def __repr__(self):
        return self.name


class Fault(Enum):
    """What befalls one call."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    LOST = "answer lost"
    ERROR_AFTER = "503 after the effect"
    THROTTLED = "429"
    """No effect, and an order to wait."""

    def __repr__(self):
        return self.name


class Late(Enum):
    """A moment after the story's end."""

    SETTLED = "when all is as it should be"
    SWEPT = "when what nobody holds is gone, too"

    def __repr__(self):
        return f"Late.{self.name}"


@dataclass(frozen=True)
class Zombie:
    """The process dies, and its call takes effect just before the `after`-th later call."""

    after: int | Late


@dataclass(frozen=True)
class Call:
    """What is about to happen. `side` is graph, kube or token."""

    side: str
    method: str
    target: str
    writes: bool
    body: object = field(default=None, compare=False, repr=False)

    def __str__(self):
        return f"{self.side} {self.method} {self.target}"


@dataclass
class Entry:
    """A call of the history."""

    number: int
    at: float
    process: int
    call: Call
    fault: object = None
    landed_at: int | None = None
    answer: object = field(default=None, repr=False)

    def __str__(self):
        struck = f"  <- {self.fault}" if self.fault else ""
        landed = f"  (landed before {self.landed_at})" if self.landed_at is not None else ""
        return f"{self.number:4} {self.at:12.2f} p{self.process} {self.call}{struck}{landed}"


class Process:
    """One life of an operator. Dead processes send nothing."""

    def __init__(self, number):
        self.number = number
        self.alive = True
        self.died = None
        """Set to a callback that is told of the death."""

    def die(self):
        self.alive = False
        if self.died is not None:
            self.died()


class Calls:
    """Counts calls, strikes those that the plan names, tells `witness` of every effect.

    Args:
        plan: faults by call number, from 0.
        time: tells the time, for the history.
        before, after: called with the entry around every effect.
    """

    def __init__(self, plan, time, before, after):
        self.plan = dict(plan)
        self.history = []
        self.landings = []
        self.on_call = lambda _number: None
        """Called with the number of each call before it is made."""
        self.outages = set()
        """Sides that answer 503 and do nothing."""
        self._time = time
        self._before = before
        self._after = after

    @property
    def pending(self):
        """Whether a fault or a landing is still to come."""
        count = len(self.history)
        due = any(isinstance(moment, int) for moment, *_ in self.landings)
        return due or any(number >= count for number in self.plan)

    def take(self, process, call, effect):
        """Pass `call` on to the world; return what `effect()` returns.

        Raises:
            Crash: the process is dead, or dies here.
            NoAnswer, Answered: as planned.
        """
        if not process.alive:
            raise Crash
        number = len(self.history)
        self.on_call(number)
        self.land(number)
        entry = Entry(number, self._time(), process.number, call, self.plan.get(number))
        self.history.append(entry)
        fault = entry.fault
        if fault is Fault.CRASH_BEFORE or isinstance(fault, Zombie):
            if isinstance(fault, Zombie):
                late = isinstance(fault.after, Late)
                moment = fault.after if late else number + fault.after
                self.landings.append((moment, entry, effect))
            process.die()
            raise Crash
        if fault is Fault.THROTTLED:
            raise Answered(429)
        if call.side in self.outages:
            raise Answered(503)
        answer = self._effect(entry, effect)
        if isinstance(fault, Babble):
            raise Babbled(fault, answer)
        if fault is Fault.CRASH_AFTER:
            process.die()
            raise Crash
        if fault is Fault.LOST:
            raise NoAnswer
        if fault is Fault.ERROR_AFTER:
            raise Answered(503)
        return answer

    def land(self, moment):
        """Let land what was to land by then, a call number or a `Late` moment; and how many did.

        Whatever was to land before some call lands at any late moment.
        """
        late = isinstance(moment, Late)
        due = [
            each
            for each in self.landings
            if each[0] == moment or (isinstance(each[0], int) and (late or each[0] <= moment))
        ]
        self.landings = [each for each in self.landings if each not in due]
        for _, entry, effect in due:
            entry.landed_at = len(self.history)
            self._effect(entry, effect)
        return len(due)

    def _effect(self, entry, effect):
        self._before(entry)
        entry.answer = effect()
        self._after(entry)
        return entry.answer
