"""The figures of a run, as a table for people and as JSON for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure."""

    name: str
    value: float
    unit: str
    target: float | None = None
    limit: float | None = None
    """What the parts that it cannot do without reach alone, measured in the same run."""
    limit_name: str = ""

    @property
    def fraction(self) -> float | None:
        """Of its limit."""
        return None if self.limit is None else self.value / self.limit


@dataclass(frozen=True, slots=True)
class Report:
    """A run."""

    machine: Mapping[str, str]
    figures: Sequence[Figure]
    notes: Mapping[str, float]
    seconds: float

    def table(self) -> str:
        """For people."""
        facts = "  ".join(f"{name} {value}" for name, value in self.machine.items())
        head = f"{'':34}{'measured':>12}  {'unit':14}{'target':>9}{'limit':>12}{'of limit':>10}"
        notes = "\n".join(f"  {name}: {value:,.2f}" for name, value in self.notes.items())
        return "\n".join([facts, "", head, *map(_line, self.figures), "", notes, f"  seconds in all: {self.seconds:.1f}"])

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        figures = [{**asdict(figure), "fraction": figure.fraction} for figure in self.figures]
        return {"machine": self.machine, "figures": figures, "notes": self.notes, "seconds": self.seconds}


def _line(figure: Figure) -> str:
    target = "" if figure.target is None else f"{figure.target:,.0f}"
    limit = "" if figure.limit is None else f"{figure.limit:,.0f}"
    fraction = "" if figure.fraction is None else f"{figure.fraction:.1%}"
    line = f"{figure.name:34}{figure.value:>12,.0f}  {figure.unit:14}{target:>9}{limit:>12}{fraction:>10}"
    return f"{line}  ({figure.limit_name})" if figure.limit_name else line
