"""All pairs and as many seeds as there is time for: `python -m tests.protocol.soak`.

Prints what was played and what broke, with what it takes to play it again; exits 1 if anything
did. Ctrl-C ends it early and shows what was played by then.
"""

import argparse
import itertools
import multiprocessing
import random
import signal
import sys
import time
import warnings
from collections import Counter

from jwt.warnings import InsecureKeyLengthWarning
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.protocol import plans
from tests.protocol.canary import listen
from tests.protocol.journeys import journey
from tests.protocol.lives import LIVES
from tests.protocol.mutants import MUTANTS
from tests.protocol.playing import run
from tests.protocol.scenarios import CREATE, RENEW, SCENARIOS

PAIRED = [each.name for each in (*CREATE, RENEW)]
_CHUNK = 20
_SHOWN = 10


def play(task):
    """Play one task, (kind, scenario, plan or seed); return it and its violations as text."""
    kind, name, what = task
    if kind == "canary":
        heard, _ = listen(LIVES[name], what)
        return task, [f"S7: {leak} was told" for leak in heard.leaks()]
    found = journey(what) if kind == "seeds" else run(SCENARIOS[name], what)
    return task, [str(each) for each in found.violations]


def enumerate_plans(job):
    """All plans of a kind for a scenario; runs in a worker, since pairs need runs of their own."""
    kind, name = job
    if kind == "canary":
        return [(kind, name, plan) for plan in plans.babbles(listen(LIVES[name])[1])]
    scenario = SCENARIOS[name]
    clean = run(scenario)
    if kind == "singles":
        found = plans.singles(clean)
    elif kind == "landings":
        found = plans.landings(clean, lambda plan: run(scenario, plan))
    else:
        found = plans.pairs(clean, lambda plan: run(scenario, plan))
    return [(kind, name, plan) for plan in found]


def tasks(pool, kinds, first_seed):
    """Everything there is to play: plans in random order between the seeds, which never end."""
    jobs = [
        (kind, name)
        for kind in kinds
        if kind != "seeds"
        for name in {"pairs": PAIRED, "canary": LIVES}.get(kind, SCENARIOS)
    ]
    found = [task for part in pool.imap_unordered(enumerate_plans, jobs) for task in part]
    random.Random(0).shuffle(found)
    seeds = (("seeds", "journeys", seed) for seed in itertools.count(first_seed))
    if "seeds" not in kinds:
        return found, iter(found)
    return found, _alternating(iter(found), seeds)


def _alternating(ones, others):
    for one in ones:
        yield one
        yield next(others)
    yield from others


def soak(minutes, kinds, jobs, first_seed):
    """Play for that long; return counts of plans, runs and failures by (kind, scenario)."""
    known, runs, failures = Counter(), Counter(), []
    end = time.monotonic() + minutes * 60
    with multiprocessing.get_context("fork").Pool(jobs, _leave_ctrl_c_alone) as pool, _bar() as bar:
        showing = bar.add_task("enumerating plans", total=None, red=0)
        try:
            found, every = tasks(pool, kinds, first_seed)
            known.update((kind, name) for kind, name, _ in found)
            total = None if "seeds" in kinds else len(found)
            bar.update(showing, description="runs", total=total)
            while chunk := list(itertools.islice(every, _CHUNK * jobs)):
                if time.monotonic() >= end:
                    break
                for task, violations in pool.imap_unordered(play, chunk):
                    runs[task[:2]] += 1
                    if violations:
                        failures.append((task, violations))
                        bar.console.print(_told(task, violations), markup=False)
                    bar.update(showing, advance=1, red=len(failures))
        except KeyboardInterrupt:
            pool.terminate()
    return known, runs, failures


def _leave_ctrl_c_alone():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _bar():
    columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    red = TextColumn("{task.fields[red]} with violations")
    return Progress(*columns, red, console=Console(stderr=True))


def mutations():
    """Print what a few plans find in the product without each piece of the protocol."""
    table = Table("without", "story", "plans", "red", "by which rules")
    for name, mutant in MUTANTS.items():
        story = SCENARIOS[mutant.scenario]
        rules, red = Counter(), 0
        every = list(plans.telling(run(story)))
        for plan in every:
            broken = {violation.rule for violation in run(story, plan, mutant.parts).violations}
            rules.update(broken)
            red += bool(broken & mutant.rules)
        found = ", ".join(f"{rule} {count}" for rule, count in rules.most_common())
        table.add_row(name, story.name, str(len(every)), str(red), found)
    Console(width=120).print(table)


def report(known, runs, failures):
    """Print the table, and the failures with what plays them again."""
    console = Console(width=120)
    table = Table("what", "scenario", "plans", "runs", "violations")
    broken = Counter(task[:2] for task, _ in failures)
    for key in sorted(known.keys() | runs.keys()):
        of = str(known[key]) if key in known else "endless"
        table.add_row(*key, of, str(runs[key]), str(broken[key]))
    total = sum(runs.values())
    table.add_row("all", "", str(sum(known.values())), str(total), str(len(failures)))
    console.print(table)
    for failure in failures[:_SHOWN]:
        console.print(_told(*failure), markup=False)


def _told(task, violations):
    kind, name, what = task
    return f"{kind} {name} {what!r}: {violations[0]}"


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.protocol.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--kinds", nargs="+", default=["pairs", "seeds"],
        choices=["singles", "landings", "pairs", "seeds", "canary"],
    )  # fmt: skip
    parser.add_argument("--mutations", action="store_true", help="what the suite would miss")
    given = parser.parse_args()
    warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # see `cloud.make_key_pair`
    if given.mutations:
        mutations()
        return 0
    known, runs, failures = soak(given.minutes, given.kinds, given.jobs, given.first_seed)
    report(known, runs, failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
