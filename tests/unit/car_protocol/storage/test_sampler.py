"""Which states are kept as samples: seldom, where something changed, and never what says nothing."""

import pytest

from car_protocol.storage import sampler as module
from car_protocol.storage.sampler import LONGEST, MOVED, STATE_EVERY, UNCHANGED_EVERY, Sampler, read_position
from ovms.db.writer import SampleRow

WALL_OFFSET = 1_700_000_000.0
INTERVAL = 5.0
DAY = 86_400


class Samples:
    """A sampler and what it has kept."""

    def __init__(self, *, days: int = 30) -> None:
        self.rows: list[SampleRow] = []
        self.sampler = Sampler(self.rows.append, lambda now: now + WALL_OFFSET, days=days, interval=INTERVAL)

    def see(self, message: bytes, now: float, vehicle: int = 1) -> None:
        self.sampler.see(vehicle, message, now)

    def times(self) -> list[float]:
        return [row.recorded_at - WALL_OFFSET for row in self.rows]


def location(north: float, east: float = 8.5, fixed: int = 1) -> bytes:
    return b"L%f,%f,90,408,%d,1,50" % (north, east, fixed)


def test_a_sample_is_the_message_its_time_and_its_end() -> None:
    samples = Samples(days=2)
    samples.see(location(47.0), 10.5, vehicle=7)
    (row,) = samples.rows
    assert row == SampleRow(7, "L", WALL_OFFSET + 10.5, location(47.0)[1:], WALL_OFFSET + 10.5 + 2 * DAY)


def test_a_sample_keeps_the_unit_of_its_time() -> None:
    samples = Samples()
    samples.see(location(47.0), 0.0)
    samples.see(b"S50,M,0", 1.0)
    samples.see(location(47.1), 10.0)
    samples.see(b"S50,K,0", 11.0)
    samples.see(location(47.2), 20.0)
    samples.see(b"S50,X,0", 21.0)
    samples.see(b"S50", 22.0)
    samples.see(location(47.3), 30.0)
    samples.see(location(47.3), 31.0, vehicle=2)
    assert [(row.vehicle, row.units) for row in samples.rows if row.code == "L"] == [
        (1, None),
        (1, "M"),
        (1, "K"),
        (1, "K"),
        (2, None),
    ]


def test_a_car_that_drives_is_sampled_once_an_interval() -> None:
    samples = Samples()
    for second in range(60):
        samples.see(location(47.0 + second * 0.001), float(second))
    assert samples.times() == [float(second) for second in range(0, 60, 5)]


def test_a_car_that_stands_is_sampled_seldom() -> None:
    samples = Samples()
    for minute in range(0, 181, 10):
        samples.see(location(47.0 + 0.4 * MOVED * (minute % 20 == 0)), minute * 60.0)
    assert samples.times() == [0.0, UNCHANGED_EVERY, 2 * UNCHANGED_EVERY, 3 * UNCHANGED_EVERY]


def test_a_slow_car_is_not_lost() -> None:
    """Each step is short, all of them together are not."""
    samples = Samples()
    for step in range(10):
        samples.see(location(47.0 + step * 0.4 * MOVED), step * INTERVAL)
    assert samples.times() == [0.0, 15.0, 30.0, 45.0]


@pytest.mark.parametrize("other", [location(47.0 + 2 * MOVED), location(47.0 - 2 * MOVED), location(47.0, 8.5 + 2 * MOVED)])
def test_it_may_move_in_any_direction(other: bytes) -> None:
    samples = Samples()
    samples.see(location(47.0), 0.0)
    samples.see(other, INTERVAL)
    assert len(samples.rows) == 2


def test_a_state_is_sampled_once_a_minute_and_where_it_has_changed() -> None:
    samples = Samples()
    for second in range(0, 300, 10):
        samples.see(b"S%d,K" % (80 - second // 150), float(second))
    assert samples.times() == [0.0, 180.0]
    assert samples.rows[1].data == b"79,K"
    assert INTERVAL < STATE_EVERY


def test_vehicles_and_codes_do_not_share_a_clock() -> None:
    samples = Samples()
    for vehicle in (1, 2):
        samples.see(location(47.0), 0.0, vehicle)
        samples.see(b"S80", 1.0, vehicle)
    assert [(row.vehicle, row.code) for row in samples.rows] == [(1, "L"), (1, "S"), (2, "L"), (2, "S")]


@pytest.mark.parametrize(
    "message",
    [
        location(47.0, fixed=0),
        b"L",
        b"L47.1",
        b"L,8.5,90,408,1",
        b"L47.1,east,90,408,1",
        b"Lnan,8.5,90,408,1",
        b"L91,8.5,90,408,1",
        b"L47.1,181,90,408,1",
        b"L\xff\xfe,8.5",
        location(47.0) + b"," + b"9" * LONGEST,
        b"S" + b"9" * LONGEST,
    ],
)
def test_what_says_nothing_or_too_much_is_not_kept(message: bytes) -> None:
    samples = Samples()
    samples.see(message, 0.0)
    samples.see(message, 2 * UNCHANGED_EVERY)
    assert samples.rows == []


@pytest.mark.parametrize(("message", "expected"), [(b"L47.1,8.5", (47.1, 8.5)), (b"L-47.1,-8.5,0,0,1,1", (-47.1, -8.5))])
def test_older_modules_send_fewer_fields(message: bytes, expected: tuple[float, float]) -> None:
    assert read_position(message) == expected


def test_nothing_is_kept_for_no_days() -> None:
    samples = Samples(days=0)
    samples.see(location(47.0), 0.0)
    samples.see(b"S80", 0.0)
    assert samples.rows == []


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    samples = Samples()
    for vehicle in range(5):
        samples.see(location(47.0), 0.0, vehicle)
    assert len(samples.sampler._last) == 2
    assert len(samples.rows) == 5
    samples.see(location(47.0), 1.0, 4)
    assert len(samples.rows) == 5
    for vehicle in range(5):
        samples.see(b"S80,K", 2.0, vehicle)
    assert len(samples.sampler._units) == 2
