"""Measures: several runs of everything that is asked for, what is compared in turn, so that what disturbs one disturbs both."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from bench.elsewhere import Elsewhere
from bench.load.fleet import Account, accounts
from bench.machine import facts
from bench.measurement import Measurement, Readings, Scene, Size
from bench.process import await_idle, raise_open_files
from bench.profiler import profiling
from bench.report import Report
from bench.stack import Stack, running_stack, with_replicas
from bench.table import FIGURES, MEASUREMENTS, guarded

FULL: Final = Size(
    runs=3,
    runs_guarded=3,
    cars=1000,
    rounds=25,
    watched_rounds=12,
    record_rounds=8,
    logins=5000,
    idle=5000,
    fleet=10_000,
    fleet_seconds=5.0,
    returning=5000,
    request_seconds=3.0,
    latency_cars=200,
    latency_seconds=3.0,
    time_limit=120.0,
)
SHORT: Final = Size(
    runs=1,
    runs_guarded=3,
    cars=400,
    rounds=10,
    watched_rounds=5,
    record_rounds=8,
    logins=400,
    idle=500,
    fleet=500,
    fleet_seconds=1.0,
    returning=300,
    request_seconds=0.4,
    latency_cars=50,
    latency_seconds=1.0,
    time_limit=60.0,
)
CORES: Final = 2
"""What the figures are asked for on; a machine with more gives no more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Args:
        tree: the work tree of the services; None: they are those that are installed here.
        profile: where a profile of each measurement goes.
        runs_of_each: None: as many as the size says.
    """

    size: Size
    measurements: Sequence[Measurement] = MEASUREMENTS
    tree: Path | None = None
    profile: Path | None = None
    runs_of_each: int | None = None

    def runs(self, measurement: Measurement) -> int:
        """How often this is measured."""
        if self.runs_of_each is not None:
            return self.runs_of_each
        is_repeated = measurement.name in guarded() and not measurement.is_steady
        return self.size.runs_guarded if is_repeated else self.size.runs


def measure(plan: Plan) -> Report:
    """Measure.

    Raises:
        BenchError: the server did something wrong.
        TimeoutError: a measurement took too long.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    raise_open_files()
    began, machine, runs = time.perf_counter(), facts(plan.tree), dict[str, list[Readings]]()
    fleet = _Fleet(plan)
    with Elsewhere(plan.size.time_limit) as elsewhere, running_stack(fleet.size, plan.tree) as stack:
        for measurement, scene in _scenes(plan, stack, fleet):
            await_idle([scene.stack.api_gateway, *scene.stack.car_protocols])  # which may still be clearing up
            with _profiling(plan, measurement, scene.stack):
                readings = elsewhere.call(measurement.take, scene, plan.size)
            runs.setdefault(measurement.name, []).append(readings)
            _tell(measurement.name, readings)
    return Report(machine, FIGURES, runs, time.perf_counter() - began)


class _Fleet:
    """Gives cars to runs."""

    def __init__(self, plan: Plan) -> None:
        self._size = plan.size
        self._next = max((one.cars(plan.size) for one in plan.measurements if one.takes_old_cars), default=0)
        new = sum(one.cars(plan.size) * plan.runs(one) for one in plan.measurements if not one.takes_old_cars)
        self.size = max(1, self._next + new)

    def cars(self, measurement: Measurement) -> Sequence[Account]:
        """Those of the next run."""
        count = measurement.cars(self._size)
        if measurement.takes_old_cars:
            return accounts(0, count)
        self._next += count
        return accounts(self._next - count, count)


def _scenes(plan: Plan, stack: Stack, fleet: _Fleet) -> Iterator[tuple[Measurement, Scene]]:
    """Every run of every measurement, where it takes place."""
    for (replicas, in_new_process), group in groupby(plan.measurements, _place):
        some = list(group)
        if in_new_process:
            for measurement in _in_turn(some, plan.runs):
                with with_replicas(stack, replicas) as new:
                    yield measurement, Scene(new, fleet.cars(measurement))
        else:
            with with_replicas(stack, replicas) as running:
                for measurement in _in_turn(some, plan.runs):
                    yield measurement, Scene(running, fleet.cars(measurement))


def _place(measurement: Measurement) -> tuple[int, bool]:
    return measurement.replicas, measurement.in_new_process


def _in_turn(measurements: Sequence[Measurement], runs: Callable[[Measurement], int]) -> Iterator[Measurement]:
    """The first run of each, then the second of each, and so on."""
    for number in range(max(map(runs, measurements))):
        yield from (measurement for measurement in measurements if number < runs(measurement))


def _profiling(plan: Plan, measurement: Measurement, stack: Stack) -> AbstractContextManager[None]:
    if plan.profile is None or measurement.profiled is None:
        return nullcontext()
    is_one_of_many = sum(one.profiled is not None for one in plan.measurements) > 1
    path = plan.profile.with_stem(f"{plan.profile.stem}-{measurement.name}") if is_one_of_many else plan.profile
    return profiling(measurement.profiled(stack), path)


def _tell(name: str, readings: Mapping[str, float]) -> None:
    """Since it takes minutes."""
    first, value = next(iter(readings.items()))
    print(f"{name}: {value:,.4g} {first}", file=sys.stderr, flush=True)
