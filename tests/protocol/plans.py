"""Which plans there are for a scenario: every call with every fault, every landing, all pairs."""

from itertools import islice

from tests.protocol.calls import Babble, Fault, Late, Zombie


def singles(run, *faults):
    """Each fault, or each of `faults`, at each call that the fault-free `run` made."""
    for entry in run.history[: run.calls]:
        for fault in faults or Fault:
            # A crash after a call without effect is the same as the one before it.
            if entry.call.writes or fault is not Fault.CRASH_AFTER:
                yield {entry.number: fault}


def babbles(history, turn=None):
    """Each call ends in words that quote it: each in all of their forms, or in one by turns."""
    forms = list(Babble)
    for entry in history:
        for how in forms if turn is None else [forms[(entry.number + turn) % len(forms)]]:
            yield {entry.number: how}


def landings(run, play):
    """The write of a dead process lands before each later call, and at each late moment.

    Before each later call that could tell: before any other it is as if it came a little later.

    How many later calls there are is found by playing the plan with the latest landing.
    """
    for entry in run.history[: run.calls]:
        if not entry.call.writes:
            continue
        late = {entry.number: Zombie(Late.SETTLED)}
        after = play(late)
        yield late
        yield {entry.number: Zombie(Late.SWEPT)}
        for later in after.history[entry.number + 1 : after.calls]:
            if _meets(entry.call, later.call):
                yield {entry.number: Zombie(later.number - entry.number)}


def _meets(write, later):
    """Whether it makes a difference to `later` that `write` took effect before it."""
    if write.side != "kube" or later.side != "kube":
        return write.side != "kube" and later.side != "kube"
    kinds = ("/secrets", "/fhirappregistrations", "/entratenants", "/events")
    return any(kind in write.target and kind in later.target for kind in kinds)


def telling(run):
    """A few plans that find most of what can be wrong: none, late landings, crashes."""
    yield {}
    for late in Late:
        for entry in run.history[: run.calls]:
            if entry.call.writes:
                yield {entry.number: Zombie(late)}
    yield from singles(run, Fault.CRASH_AFTER)


def pairs(run, play, every=1):
    """Each fault at each call, and a second one at each call that follows the first.

    Args:
        run: without faults.
        play: plays a plan.
        every: takes only each so-many-th first fault, and of its second ones as few.
    """
    for first in islice(singles(run), 0, None, every):
        seconds = singles(play(first))
        following = (each for each in seconds if min(each) > min(first))
        for second in islice(following, 0, None, every):
            yield first | second
