"""Seeds that once found something."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("regressions.txt")


@dataclass(frozen=True, slots=True)
class Regression:
    """A seed, how long its run is, and whether the tests repeat it every time."""

    seed: int
    seconds: float
    is_short: bool


def regressions() -> list[Regression]:
    """All of them, in the order in which they were found."""
    lines = (line.partition("#")[0].split() for line in FILE.read_text().splitlines())
    return [Regression(int(fields[0]), float(fields[1]), "short" in fields[2:]) for fields in lines if fields]
