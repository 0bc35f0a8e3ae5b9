"""`python -m chaos [--seed N] [--seconds S] [--seeds K]`: faults drawn from seeds, and what they do to the invariants."""

import argparse
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from chaos.checks import KNOWN_FAULTS, Violation
from chaos.regressions import regressions
from chaos.run import Result, Setting, run

MOST_SHOWN = 10


def main() -> int:
    """Exit status 0 where every invariant held in every run, else 1."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed; a random one without it")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--seconds", type=float, default=45.0, help="of faults, in each run")
    parser.add_argument("--replicas", type=int, default=3, help="of car-protocol")
    parser.add_argument("--gateways", type=int, default=2, help="of api-gateway")
    parser.add_argument("--regressions", action="store_true", help="run the seeds that once found something")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep the logs of the services here")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all that was started is stopped
    first = random.SystemRandom().randrange(1_000_000) if arguments.seed is None else arguments.seed
    runs = [(seed, arguments.seconds) for seed in range(first, first + arguments.seeds)]
    if arguments.regressions:
        runs = [(known.seed, known.seconds) for known in regressions()]
    failed = []
    for seed, seconds in runs:
        print(f"seed {seed}, {seconds:g} s of faults", flush=True)
        setting = Setting(seconds, arguments.replicas, arguments.gateways, keep=arguments.keep)
        if not report(run(seed, setting, lambda line: print(line, flush=True))):
            failed.append(seed)
    print(f"{len(runs) - len(failed)} of {len(runs)} seeds passed" + (f"; failed: {failed}" if failed else ""), flush=True)
    return 1 if failed else 0


def report(result: Result) -> bool:
    """Print what came of a run; whether every invariant held."""
    print("  " + ", ".join(f"{name} {number:g}" for name, number in result.figures.items()))
    show("VIOLATED", result.violations)
    show("KNOWN, and not counted", result.known)
    print(f"seed {result.seed}: {'FAILED' if result.violations else 'passed'}", flush=True)
    return not result.violations


def show(what: str, violations: Sequence[Violation]) -> None:
    """Print some violations of each invariant."""
    for invariant, count in Counter(violation.invariant for violation in violations).items():
        reason = f": {KNOWN_FAULTS[invariant]}" if invariant in KNOWN_FAULTS else ""
        print(f"{what}: {invariant} ({count}){reason}")
        shown = [violation.detail for violation in violations if violation.invariant == invariant]
        print("".join(f"  {detail}\n" for detail in shown[:MOST_SHOWN]), end="")


if __name__ == "__main__":
    sys.exit(main())
