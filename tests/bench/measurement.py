"""What a measurement is, and what it is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.load.fleet import Account
from bench.stack import Stack

Readings = Mapping[str, float]
"""What one run came to, by name."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done in a run, and how many runs there are."""

    runs: int
    runs_guarded: int
    """Of what may not drop, unless it is steady."""
    cars: int
    rounds: int
    watched_rounds: int
    record_rounds: int
    logins: int
    idle: int
    fleet: int
    fleet_seconds: float
    returning: int
    request_seconds: float
    latency_cars: int
    latency_seconds: float
    time_limit: float
    """Seconds that one run of one measurement may take."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a run takes place."""

    stack: Stack
    accounts: Sequence[Account]
    """Cars for this run."""


def _none(size: Size) -> int:
    return 0


def _car_protocol(stack: Stack) -> int:
    return stack.car_protocols[0]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One thing to measure.

    Args:
        name: what it is called on the command line.
        take: measures once; sent to another process, so a function of a module.
        cars: how many it needs; they have never been there before, unless it takes old ones.
        replicas: how many of car-protocol run meanwhile.
        in_new_process: whether car-protocol must not have worked before.
        is_steady: whether one run is much like the other, so that the short form has only one.
        profiled: the process that a profile is of; None: of a limit there is none.
    """

    name: str
    take: Callable[[Scene, Size], Readings]
    cars: Callable[[Size], int] = field(default=_none)
    takes_old_cars: bool = False
    replicas: int = 1
    in_new_process: bool = False
    is_steady: bool = False
    profiled: Callable[[Stack], int] | None = field(default=_car_protocol)


@dataclass(frozen=True, slots=True)
class Reading:
    """One name in what a measurement returns."""

    measurement: str
    name: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the report: what is measured, what is asked of it, and what it is compared with.

    Args:
        limit: what no server could pass, or what came before, measured in the same run.
        goal_of_limit: the part of it that is asked for.
        is_guarded: whether the short form fails where its part of the limit has become much worse.
        of_runs: makes one figure of those of all runs.
    """

    title: str
    of: Reading
    unit: str
    goal: float | None = None
    limit: Reading | None = None
    limit_title: str = ""
    goal_of_limit: float | None = None
    is_less_better: bool = False
    is_guarded: bool = False
    of_runs: Callable[[Sequence[float]], float] = field(default=median)
