"""Which plans there are for a scenario: every call with every fault, every landing, all pairs."""

from itertools import islice

from tests.protocol.calls import Fault, Zombie


def singles(run, *faults):
    """Each fault, or each of `faults`, at each call that the fault-free `run` made."""
    for entry in run.history[: run.calls]:
        for fault in faults or Fault:
            yield {entry.number: fault}


def landings(run, play):
    """The write of a dead process lands before each later call, and when all is settled.

    How many later calls there are is found by playing the plan with the latest landing.
    """
    for entry in run.history[: run.calls]:
        if not entry.call.writes:
            continue
        late = {entry.number: Zombie(None)}
        yield late
        later = play(late).calls - entry.number
        for after in range(1, later):
            yield {entry.number: Zombie(after)}


def pairs(run, play):
    """Each fault at each call, and a second one at each call that follows the first."""
    for first in singles(run):
        number = next(iter(first))
        for second in range(number + 1, play(first).calls):
            for fault in Fault:
                yield first | {second: fault}


def sample(plans, every, offset=0):
    """Each `every`-th plan."""
    return islice(plans, offset, None, every)
