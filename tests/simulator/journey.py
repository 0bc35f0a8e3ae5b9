"""The life of a car, again and again: it drives, parks, and charges when it has to. Pure: time in, moments out.

Time is the demonstration's, in seconds. Each phase has a pace at which the car's own time passes, so that a day of the car is
over in some minutes. Within a phase everything is a formula of the time since it began: however often it is asked, the car has
done the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Final

from simulator.route import Position, Route

CAPACITY: Final = 40.0  # kWh
USED: Final = 0.19  # kWh a km
RECOVERED: Final = 0.03
CHARGE_POWER: Final = 11.0  # kW into the battery
CHARGE_BELOW: Final = 50.0  # %: the longest drive takes 20
CHARGE_TO: Final = 90.0
MEAN_SPEED: Final = 42.0  # km/h; at its fastest the car goes twice that
STRETCH: Final = 4.0  # km from one stop in the traffic to the next
LONGEST: Final = 9  # places of the route
MASS: Final = 1700.0  # kg
FIRST_SOC: Final = 78.0
FIRST_ODOMETER: Final = 23_456.0


class Phase(Enum):
    """What the car does."""

    DRIVING = auto()
    PARKED = auto()
    CHARGING = auto()


PACES: Final[Mapping[Phase, float]] = {Phase.DRIVING: 30.0, Phase.PARKED: 300.0, Phase.CHARGING: 90.0}
"""Seconds of the car's life that pass in a second of the demonstration."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The car at one time. Distances are km, energies kWh, times seconds of the car's life."""

    phase: Phase
    clock: float
    """Since the journey began."""
    since: float
    """Since the phase began."""
    left: float
    """Until the phase ends."""
    soc: float
    odometer: float
    trip: float
    """Driven on this trip, or on the last one."""
    position: Position
    speed: float = 0.0
    power: float = 0.0
    """kW out of the battery; negative charges."""
    charged: float = 0.0
    """Energy into the battery since the phase began."""
    charge_ended: float | None = None
    """Seconds since the last charge ended, where there was one."""

    @property
    def energy_used(self) -> float:
        """On this trip."""
        return self.trip * USED

    @property
    def energy_recovered(self) -> float:
        """On this trip."""
        return self.trip * RECOVERED


@dataclass(frozen=True, slots=True)
class Stage:
    """A phase from its beginning to its end: `began` and `lasts` are seconds of the demonstration, the rest as in `Moment`."""

    phase: Phase
    began: float
    lasts: float
    clock: float
    soc: float
    odometer: float
    trip_from: float
    """What the odometer said when the trip began."""
    distance: float = 0.0
    charge_ended_at: float | None = None


class Journey:
    """A car that goes its ways.

    Args:
        route: where it drives.
        seed: of all that is left to chance: how far it drives and how long it stays.
        now: when it begins.
    """

    def __init__(self, route: Route, seed: int, now: float) -> None:
        self._route = route
        self._chance = Random(seed)
        self._now = now
        self._stage = Stage(Phase.PARKED, now, 5.0, 8 * 3600.0, FIRST_SOC, FIRST_ODOMETER, FIRST_ODOMETER)

    def advance(self, now: float) -> list[Moment]:
        """Go on to `now`; returns the last moments of the trips that ended on the way. A clock that went back stands still."""
        ended = []
        self._now = max(now, self._now)
        while self._now >= (end := self._stage.began + self._stage.lasts):
            last = self._moment(end)
            if last.phase is Phase.DRIVING:
                ended.append(last)
            self._begin(self._following(last), end, last)
        return ended

    def moment(self) -> Moment:
        """The car at the time that it was advanced to."""
        return self._moment(self._now)

    def start_charging(self) -> None:
        """Stop and charge, as if somebody had plugged it in."""
        self._interrupt(Phase.CHARGING)

    def stop_charging(self) -> None:
        """End a charge; a car that does not charge goes on with what it does."""
        if self._stage.phase is Phase.CHARGING:
            self._interrupt(Phase.PARKED)

    # ---- what comes next

    def _interrupt(self, phase: Phase) -> None:
        if self._stage.phase is not phase:
            self._begin(phase, self._now, self._moment(self._now))

    def _following(self, last: Moment) -> Phase:
        if last.phase is Phase.PARKED:
            return Phase.CHARGING if last.soc < CHARGE_BELOW else Phase.DRIVING
        return Phase.PARKED

    def _begin(self, phase: Phase, when: float, last: Moment) -> None:
        distance = self._next_distance(last) if phase is Phase.DRIVING else 0.0
        self._stage = Stage(
            phase,
            when,
            self._duration(phase, last, distance) / PACES[phase],
            last.clock,
            last.soc,
            last.odometer,
            last.odometer if phase is Phase.DRIVING else self._stage.trip_from,
            distance,
            last.clock if last.phase is Phase.CHARGING else self._stage.charge_ended_at,
        )

    def _next_distance(self, last: Moment) -> float:
        places = self._chance.randint(3, LONGEST)
        return self._route.distance_to(last.odometer - FIRST_ODOMETER, places)

    def _duration(self, phase: Phase, last: Moment, distance: float) -> float:
        """Seconds of the car's life."""
        if phase is Phase.DRIVING:
            return distance / MEAN_SPEED * 3600
        if phase is Phase.CHARGING:
            return max(0.0, CHARGE_TO - last.soc) / 100 * CAPACITY / CHARGE_POWER * 3600
        return self._chance.uniform(1.0, 3.5) * 3600

    # ---- what is now

    def _moment(self, now: float) -> Moment:
        stage = self._stage
        pace = PACES[stage.phase]
        elapsed = min(now - stage.began, stage.lasts)
        share = elapsed / stage.lasts if stage.lasts > 0 else 1.0
        driven = _covered(share, stage.distance)
        charged = CHARGE_POWER * elapsed * pace / 3600 if stage.phase is Phase.CHARGING else 0.0
        gained = charged - driven * (USED - RECOVERED)
        speed, power = self._motion(share)
        clock = stage.clock + elapsed * pace
        return Moment(
            phase=stage.phase,
            clock=clock,
            since=elapsed * pace,
            left=(stage.lasts - elapsed) * pace,
            soc=stage.soc + 100 * gained / CAPACITY,
            odometer=stage.odometer + driven,
            trip=stage.odometer + driven - stage.trip_from,
            position=self._route.position(stage.odometer + driven - FIRST_ODOMETER),
            speed=speed,
            power=power,
            charged=charged,
            charge_ended=None if stage.charge_ended_at is None else clock - stage.charge_ended_at,
        )

    def _motion(self, share: float) -> tuple[float, float]:
        """Speed in km/h and power in kW."""
        stage = self._stage
        if stage.phase is not Phase.DRIVING:
            return 0.0, -CHARGE_POWER if stage.phase is Phase.CHARGING else 0.0
        turns = math.tau * _stretches(stage.distance)
        speed = MEAN_SPEED * (1 - math.cos(turns * share))
        seconds = stage.lasts * PACES[stage.phase]
        acceleration = MEAN_SPEED / 3.6 * turns / seconds * math.sin(turns * share)
        return speed, speed * (USED - RECOVERED) + MASS * acceleration * speed / 3.6 / 1000


def _stretches(distance: float) -> int:
    return max(1, round(distance / STRETCH))


def _covered(share: float, distance: float) -> float:
    """Kilometres after a share of the time: from standstill to standstill once a stretch, and never back."""
    turns = math.tau * _stretches(distance)
    return distance * (share - math.sin(turns * share) / turns)
