"""`python -m fuzz [--seconds N] [--corpus DIRECTORY] [TARGET …]`: fuzz, and print the inputs that something is wrong with.

`python -m fuzz --replay FILE TARGET` tries one input again.
"""

import argparse
import signal
import sys
from pathlib import Path

from fuzz.run import Outcome, run, shares
from fuzz.targets import WEIGHTS, load


def main() -> int:
    """Exit status 0 where nothing was found, else 1."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(WEIGHTS)}; all without any")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument(
        "--corpus", type=Path, metavar="DIRECTORY", help="keep here what reaches something new, and go on from it"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="give the targets this input, no more")
    arguments = parser.parse_args()
    names = arguments.targets or list(WEIGHTS)
    if unknown := set(names) - set(WEIGHTS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if arguments.replay is not None:
        for name in names:
            load(name)(arguments.replay.read_bytes())
        return 0
    outcomes = [_report(run(name, seconds, arguments.corpus)) for name, seconds in shares(arguments.seconds, names).items()]
    unclean = [outcome.name for outcome in outcomes if not outcome.is_clean]
    print(f"{sum(outcome.executions for outcome in outcomes)} executions, found in: {', '.join(unclean) or 'nothing'}")
    return 1 if unclean else 0


def _report(outcome: Outcome) -> Outcome:
    print(f"{outcome.name:16} {outcome.seconds:6.0f} s {outcome.executions:10} executions", flush=True)
    if not outcome.is_clean:
        print(f"{outcome.output}\nfound in {outcome.name}: {outcome.finding!r}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
