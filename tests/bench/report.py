"""The figures of some runs, as a table for people and as JSON for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.measurement import Figure, Reading, Readings

Runs = Mapping[str, Sequence[Readings]]
"""What every run came to, by measurement."""


@dataclass(frozen=True, slots=True)
class Line:
    """A figure, and all that was measured of it."""

    figure: Figure
    values: Sequence[float]
    """Of each run."""
    limits: Sequence[float]
    """Of each run; empty where there is no limit, or it was not measured."""

    @property
    def value(self) -> float:
        """Of all runs."""
        return self.figure.of_runs(self.values)

    @property
    def limit(self) -> float | None:
        """Of all runs."""
        return median(self.limits) if self.limits else None

    @property
    def fractions(self) -> Sequence[float]:
        """Of the limit that was measured next to it."""
        if len(self.limits) == len(self.values):
            return [value / limit for value, limit in zip(self.values, self.limits, strict=True)]
        return [] if self.limit is None else [value / self.limit for value in self.values]

    @property
    def fraction(self) -> float | None:
        """Of all runs."""
        return median(self.fractions) if self.fractions else None

    @property
    def meets_goal(self) -> bool | None:
        """None: it has none."""
        return self._meets(self.value, self.figure.goal)

    @property
    def meets_goal_of_limit(self) -> bool | None:
        """None: it has none."""
        return self._meets(self.fraction, self.figure.goal_of_limit)

    def _meets(self, value: float | None, goal: float | None) -> bool | None:
        if value is None or goal is None:
            return None
        return value <= goal if self.figure.is_less_better else value >= goal


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured."""

    machine: Mapping[str, str]
    figures: Sequence[Figure]
    runs: Runs
    seconds: float

    def lines(self) -> Sequence[Line]:
        """The figures of what was measured."""
        figures = (figure for figure in self.figures if self._values(figure.of))
        return [Line(figure, self._values(figure.of), self._values(figure.limit)) for figure in figures]

    def _values(self, reading: Reading | None) -> list[float]:
        return [readings[reading.name] for readings in self.runs.get(reading.measurement, ())] if reading else []

    def table(self) -> str:
        """For people."""
        facts = "  ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join(
            [facts, "", _HEAD, *map(_line, self.lines()), "", *self._notes(), f"seconds in all: {self.seconds:.0f}"]
        )

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        figures = [_as_json(line) for line in self.lines()]
        return {"machine": self.machine, "figures": figures, "runs": self.runs, "seconds": self.seconds}

    def _notes(self) -> list[str]:
        """What else the measurements have found, the median of each."""
        shown = {reading for figure in self.figures for reading in (figure.of, figure.limit) if reading}
        notes = []
        for name, runs in self.runs.items():
            others = [other for other in runs[0] if Reading(name, other) not in shown]
            texts = [f"{other} {_number(median(readings[other] for readings in runs))}" for other in others]
            notes += [f"{name}: {'; '.join(texts)}"] if texts else []
        return notes


_HEAD = f"{'':34}{'median':>9}  {'lowest … highest':>19}  {'unit':12}{'goal':>8}   {'limit':>9}{'of limit':>10}{'goal':>6}"


def _line(line: Line) -> str:
    figure = line.figure
    spread = f"{_number(min(line.values))} … {_number(max(line.values))}"
    text = f"{figure.title:34}{_number(line.value):>9}  {spread:>19}  {figure.unit:12}"
    text += f"{_number(figure.goal):>8} {_mark(line.meets_goal)} "
    fraction = "" if line.fraction is None else f"{line.fraction:.1%}"
    goal = "" if figure.goal_of_limit is None else f"{figure.goal_of_limit:.0%}"
    text += f"{_number(line.limit):>9}{fraction:>10}{goal:>6} {_mark(line.meets_goal_of_limit)}"
    return f"{text} {figure.limit_title if line.limits else ''}".rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _mark(is_met: bool | None) -> str:
    return {None: " ", True: "✓", False: "✗"}[is_met]


def _as_json(line: Line) -> dict[str, Any]:
    return {
        "name": line.figure.title.strip(),
        "measurement": line.figure.of.measurement,
        "unit": line.figure.unit,
        "value": line.value,
        "values": line.values,
        "goal": line.figure.goal,
        "meets goal": line.meets_goal,
        "limit": line.limit,
        "limit name": line.figure.limit_title if line.limits else None,
        "fraction": line.fraction,
        "fractions": line.fractions,
        "goal of limit": line.figure.goal_of_limit,
        "meets goal of limit": line.meets_goal_of_limit,
    }
