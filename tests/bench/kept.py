"""The guard: what part of its limit each guarded figure reached when `kept.json` was written, and which have become much worse.

Parts of limits that were measured in the same run say little of the machine and much of the code; and what has become worse is
measured again before it is believed, since whoever else works on the machine makes figures worse, never better.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.report import Line, Report

KEPT: Final = Path(__file__).with_name("kept.json")
TRIES: Final = 3
WORST: Final = 0.6
"""The part of what was kept that must be left."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A figure that has become much worse."""

    measurement: str
    title: str
    kept: float
    found: float

    def __str__(self) -> str:
        return f"{self.title}: {self.found:.1%} of its limit, where it was {self.kept:.1%}"


def keep(report: Report, path: Path = KEPT) -> None:
    """Write what later runs are compared with."""
    path.write_text(json.dumps(_fractions(report), indent=2) + "\n")


def read(path: Path = KEPT) -> Mapping[str, float]:
    """What was kept, by measurement."""
    kept: Mapping[str, float] = json.loads(path.read_text())
    return kept


def drops(report: Report, kept: Mapping[str, float]) -> Sequence[Drop]:
    """What has become much worse."""
    return [
        Drop(line.figure.of.measurement, line.figure.title.strip(), kept[line.figure.of.measurement], line.fraction)
        for line in _guarded(report)
        if line.fraction is not None and _is_drop(line, kept[line.figure.of.measurement], line.fraction)
    ]


def confirmed(
    report: Report, kept: Mapping[str, float], again: Callable[[Sequence[str]], Report], *, tries: int = TRIES
) -> Sequence[Drop]:
    """What has become much worse, and is so each time that it is measured again."""
    found = drops(report, kept)
    for _ in range(tries - 1):
        if not found:
            break
        print("measured again:", *found, sep="\n  ", file=sys.stderr)
        found = drops(again([drop.measurement for drop in found]), kept)
    return found


def _is_drop(line: Line, kept: float, found: float) -> bool:
    return found > kept / WORST if line.figure.is_less_better else found < kept * WORST


def _fractions(report: Report) -> dict[str, float]:
    return {line.figure.of.measurement: round(line.fraction, 4) for line in _guarded(report) if line.fraction is not None}


def _guarded(report: Report) -> list[Line]:
    return [line for line in report.lines() if line.figure.is_guarded]
