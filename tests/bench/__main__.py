"""`python -m bench`: measure, and print the figures. Exit status 1: something could not be measured; 3: see --guard."""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import kept, profiler
from bench.errors import BenchError
from bench.report import Report
from bench.run import FULL, SHORT, Plan, measure
from bench.table import MEASUREMENTS, chosen
from ovms.local.errors import LocalError

MUCH_WORSE: Final = 3

_NAMES: Final = [measurement.name for measurement in MEASUREMENTS]


def main() -> int:
    """Measure as asked."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.keep and not arguments.short:
        parser.error("what is kept is compared with the short form: --keep needs --short")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all that was started is stopped
    plan = _plan(arguments)
    try:
        if plan.profile is not None:
            profiler.check(plan.profile)
        return _run(plan, arguments)
    except (BenchError, LocalError, OSError) as error:
        print(f"bench: {error or type(error).__name__}", file=sys.stderr)
        return 1


def names(text: str) -> list[str]:
    """Names of measurements with commas between.

    Raises:
        ArgumentTypeError: there is no such measurement.
    """
    found = [name.strip() for name in text.split(",")]
    if unknown := set(found) - set(_NAMES):
        raise argparse.ArgumentTypeError(
            f"no measurement is called {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}"
        )
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", type=names, default=[], metavar="A,B", help=f"measure only some of {', '.join(_NAMES)}")
    parser.add_argument("--short", action="store_true", help="a small run of less than a minute, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    parser.add_argument("--charts", type=Path, metavar="DIRECTORY", help="draw them here, as PNG")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="profile each measurement: FILE.svg, .json, .txt or .md")
    guard = parser.add_mutually_exclusive_group()
    guard.add_argument("--guard", action="store_true", help="fail where much less of a limit is reached than was kept")
    guard.add_argument("--keep", action="store_true", help="keep which part of its limit each figure reaches; with --short")
    return parser


def _plan(arguments: argparse.Namespace) -> Plan:
    """What is profiled is measured once, since a profile is of one run."""
    size, runs = SHORT if arguments.short else FULL, 1 if arguments.profile else None
    return Plan(size, chosen(arguments.only), profile=arguments.profile, runs_of_each=runs)


def _run(plan: Plan, arguments: argparse.Namespace) -> int:
    draw = _drawing() if arguments.charts is not None else None
    report = measure(plan)
    print(report.table(), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    if draw is not None:
        draw(report, arguments.charts)
    if arguments.keep:
        kept.keep(report)
    return _guard(plan, report) if arguments.guard else 0


def _drawing() -> Callable[[Report, Path], None]:
    """What draws is installed for `make bench` alone."""
    from bench.charts import draw  # noqa: PLC0415

    return draw


def _guard(plan: Plan, report: Report) -> int:
    drops = kept.confirmed(report, kept.read(), lambda names: measure(Plan(plan.size, chosen(names))))
    for drop in drops:
        print(f"bench: much worse than was kept: {drop}", file=sys.stderr)
    return MUCH_WORSE if drops else 0


if __name__ == "__main__":
    sys.exit(main())
