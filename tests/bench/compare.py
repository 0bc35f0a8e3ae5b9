"""`python -m bench.compare BASE`: measures two revisions in turn, A B A B, and shows how the second differs from the first.

The load is this one in both cases. The services are those of the work tree, and those of the revision in a work tree of its
own; where the revision asks for other packages than are installed, with a `.venv` of its own, which takes minutes.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from bench.__main__ import names
from bench.errors import BenchError
from bench.machine import revision
from bench.measurement import Figure, Readings
from bench.report import Line, Report
from bench.run import FULL, SHORT, Plan, measure
from bench.table import MEASUREMENTS
from ovms.local.errors import LocalError

ROOT: Final = Path(__file__).parents[2]
TIMES: Final = 5
ENOUGH: Final = 4
"""Runs of each, with fewer of which it is no wonder that none of one is among those of the other."""
REQUIREMENTS: Final = "requirements/run.txt"


def main() -> int:
    """Exit status 0 where all could be measured, else 1."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with _work_tree(arguments.base) as base:
            former, present = _measure(base, arguments)
    except (BenchError, LocalError, OSError) as error:
        print(f"bench: {error or type(error).__name__}", file=sys.stderr)
        return 1
    print(_table(former, present))
    if arguments.json is not None:
        both = {"base": former.as_json(), "present": present.as_json()}
        arguments.json.write_text(json.dumps(both, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.compare", description=__doc__)
    parser.add_argument("base", help="a revision to compare with")
    parser.add_argument("--only", type=names, default=[], metavar="A,B", help="measure only these")
    parser.add_argument("--times", type=int, default=TIMES, metavar="N", help="runs of each")
    parser.add_argument("--short", action="store_true", help="small runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    return parser


@contextmanager
def _work_tree(base: str) -> Iterator[Path]:
    """That revision, while the block runs."""
    with TemporaryDirectory(prefix="ovms-bench-base-") as directory:
        tree = Path(directory, "tree")
        _git("worktree", "add", "--detach", "--quiet", str(tree), base)
        try:
            if (tree / REQUIREMENTS).read_bytes() != (ROOT / REQUIREMENTS).read_bytes():
                print("it asks for other packages: they are installed", file=sys.stderr)
                subprocess.run(["make", "--silent", ".venv/run.stamp"], cwd=tree, check=True)
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*words: str) -> None:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"git {words[0]}: {done.stderr.strip()}")


def _measure(base: Path, arguments: argparse.Namespace) -> tuple[Report, Report]:
    """Each run has a stack of its own, and so nothing of a former one."""
    size = SHORT if arguments.short else FULL
    measurements = [each for each in MEASUREMENTS if not arguments.only or each.name in arguments.only]
    reports: dict[Path, list[Report]] = {base: [], ROOT: []}
    for _ in range(arguments.times):
        for tree, of_tree in reports.items():
            print(f"-- {revision(tree)}", file=sys.stderr)
            of_tree.append(measure(Plan(size, measurements, tree=tree, runs_of_each=1)))
    return _together(reports[base]), _together(reports[ROOT])


def _together(reports: Sequence[Report]) -> Report:
    runs: dict[str, Sequence[Readings]] = {
        name: [readings for report in reports for readings in report.runs[name]] for name in reports[0].runs
    }
    return Report(reports[0].machine, reports[0].figures, runs, sum(report.seconds for report in reports))


def _table(former: Report, present: Report) -> str:
    """Both, with what lies between the lowest and the highest run, and the ratio of the second to the first."""
    lines: Mapping[Figure, Line] = {line.figure: line for line in former.lines()}
    head = f"{'':34}{former.machine['revision']:>32}{present.machine['revision']:>32}{'':14}{'ratio':>8}"
    body = [_line(lines[line.figure], line) for line in present.lines()]
    return "\n".join(["  ".join(f"{name} {value}" for name, value in present.machine.items()), "", head, *body])


def _line(former: Line, present: Line) -> str:
    ratio = median(present.values) / median(former.values)
    both = f"{_values(former):>32}{_values(present):>32}"
    return f"{present.figure.title:34}{both}  {present.figure.unit:12}{ratio:>8.2f}  {_judgement(former, present)}".rstrip()


def _values(line: Line) -> str:
    return f"{_number(line.value)} ({_number(min(line.values))} … {_number(max(line.values))})"


def _judgement(former: Line, present: Line) -> str:
    """Said only where no run of one is among those of the other."""
    if len(former.values) < ENOUGH or len(present.values) < ENOUGH:
        return ""
    if min(present.values) > max(former.values):
        return "worse" if present.figure.is_less_better else "better"
    if max(present.values) < min(former.values):
        return "better" if present.figure.is_less_better else "worse"
    return ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
