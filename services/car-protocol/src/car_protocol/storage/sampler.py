"""Chooses the states that are kept beside the newest one, so that there is a track of a car and a history of its battery.

Asked for every position and status of every car, and nearly always with the same answer: too soon. What comes later is kept
where something has changed, or where nothing was kept for long. What a car seals never comes here.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from ovms.db.writer import SampleRow
from ovms.records import DistanceUnit
from ovms.records.tokens import read_number

LOCATION: Final = ord("L")
STATE: Final = ord("S")
SAMPLED: Final = frozenset({LOCATION, STATE})
"""The codes of messages that are sampled."""

STATE_EVERY: Final = 60.0
UNCHANGED_EVERY: Final = 3600.0
MOVED: Final = 0.0001
"""Degrees, some ten metres: receivers are no more exact."""
LONGEST: Final = 1024
"""No module sends as much."""
MOST_REMEMBERED: Final = 100_000
"""Last samples: two a vehicle, of more vehicles than can be connected."""

_NO_FIX: Final = "0"
_UNITS: Final = {unit.value.encode(): unit.value for unit in DistanceUnit}

Position = tuple[float, float]


class Sample(NamedTuple):
    """The last sample of a vehicle and code."""

    not_before: float
    """When it is worth to look again."""
    at: float
    what: Position | int


class Sampler:
    """Makes rows of samples.

    Args:
        put: takes the rows.
        wall: makes Unix time of the time of a message.
        days: for which they are kept; 0: none is.
        interval: the least seconds between two positions of a vehicle.
    """

    def __init__(self, put: Callable[[SampleRow], None], wall: Callable[[float], float], *, days: int, interval: float) -> None:
        self._put = put
        self._wall = wall
        self._kept_for = days * 86_400
        self._every = {LOCATION: interval, STATE: max(interval, STATE_EVERY)}
        self._last: dict[int, Sample] = {}
        self._units: dict[int, str] = {}

    def see(self, vehicle: int, message: bytes, now: float) -> None:
        """Keep a message of one of the codes that are sampled, if it is time."""
        if message[0] == STATE:
            self._note_units(vehicle, message)
        key = vehicle << 8 | message[0]
        last = self._last.get(key)
        if last is not None and now < last.not_before:
            return
        if self._kept_for and len(message) <= LONGEST and (what := _what(message)) is not None:
            self._look(key, message, what, last, now)

    def _look(self, key: int, message: bytes, what: Position | int, last: Sample | None, now: float) -> None:
        not_before = now + self._every[message[0]]
        if last is not None and now - last.at < UNCHANGED_EVERY and not _differs(last.what, what):
            self._last[key] = Sample(not_before, last.at, last.what)
            return
        if last is None and len(self._last) >= MOST_REMEMBERED:
            del self._last[next(iter(self._last))]
        self._last[key] = Sample(not_before, now, what)
        wall, vehicle = self._wall(now), key >> 8
        self._put(SampleRow(vehicle, chr(message[0]), wall, message[1:], wall + self._kept_for, self._units.get(vehicle)))

    def _note_units(self, vehicle: int, message: bytes) -> None:
        """Note what a car measures in: positions have speeds and distances, and do not say it."""
        units = _UNITS.get(message.split(b",", 2)[1] if b"," in message else b"")
        if units is None or self._units.get(vehicle) == units:
            return
        if vehicle not in self._units and len(self._units) >= MOST_REMEMBERED:
            del self._units[next(iter(self._units))]
        self._units[vehicle] = units


def _what(message: bytes) -> Position | int | None:
    """What has to differ from the last sample; None where there is nothing to keep."""
    return read_position(message) if message[0] == LOCATION else hash(message)


def read_position(message: bytes) -> Position | None:
    """Where a location message says that the car is; None where its receiver does not know."""
    latitude, longitude, _, _, is_fixed, *_ = (*message[1:].decode("utf-8", "replace").split(",", 5), "", "", "", "", "")
    north, east = read_number(latitude), read_number(longitude)
    if is_fixed == _NO_FIX or north is None or east is None or abs(north) > 90 or abs(east) > 180:
        return None
    return north, east


def _differs(kept: Position | int, seen: Position | int) -> bool:
    if isinstance(kept, int) or isinstance(seen, int):
        return kept != seen
    return abs(kept[0] - seen[0]) > MOVED or abs(kept[1] - seen[1]) > MOVED
