"""Faults of receivers are left out of tracks; what can be driven stays, also across the equator and Greenwich."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.v1.history.track.plausible import MOST_PENDING, Plausible, can_drive
from api_gateway.v1.history.track.points import Point

AT = datetime(2026, 11, 22, 19, 12, 23, tzinfo=UTC)
LONDON, NEARBY = (51.505, -0.12), (51.51, -0.12)

Places = list[tuple[float, float]]


def track(places: Places, seconds: float = 5.0) -> list[Point]:
    return [Point(AT + timedelta(seconds=seconds * n), *place) for n, place in enumerate(places)]


def plausible(points: list[Point]) -> Places:
    judge = Plausible()
    return [(point.latitude, point.longitude) for point in [*judge.add(points), *judge.end()]]


@pytest.mark.parametrize(
    "faults",
    [
        [(0, -0.12), (0, 51.505)],
        [(51.505, 0), (0, 51.505)],
        [(0, 0)],
        [(48.0, 11.0)],
        [(0, -0.12), (48.0, 11.0), (0, 0)],
    ],
)
def test_points_that_nobody_can_have_driven_are_left_out(faults: Places) -> None:
    for places in ([LONDON, *faults, NEARBY], [LONDON, NEARBY, *faults], [*faults, LONDON, NEARBY]):
        expected = [place for place in places if place not in faults or can_drive(*track([LONDON, place]))]
        assert plausible(track(places)) == expected
    assert [place for place in plausible(track([LONDON, *faults, NEARBY])) if 0 in place and abs(place[0]) < 1] == []


@pytest.mark.parametrize("hours", [0.1, 20])
def test_a_zero_axis_is_a_fault_however_long_the_car_stood(hours: float) -> None:
    points = track([LONDON, (0.0, -0.12), LONDON, NEARBY], seconds=hours * 3600)
    assert (0.0, -0.12) not in plausible(points)


@pytest.mark.parametrize(
    "crossing",
    [
        [(51.478, 0.0004), (51.478, 0.0), (51.478, -0.0004)],
        [(0.0004, 32.5), (0.0, 32.5), (-0.0004, 32.5)],
    ],
)
def test_a_real_crossing_stays(crossing: Places) -> None:
    assert plausible(track(crossing)) == crossing


def test_a_car_that_was_carried_away_goes_on_where_it_is() -> None:
    places = [LONDON, NEARBY, (48.0, 11.0), (48.001, 11.0)]
    assert plausible(track(places)) == places


def test_a_lone_point_stays_unless_it_is_a_fault() -> None:
    assert plausible(track([LONDON])) == [LONDON]
    assert plausible(track([(0.0, 0.0)])) == plausible(track([(0.0, 51.5)])) == plausible([]) == []


def test_what_waits_is_bounded() -> None:
    judge = Plausible()
    assert list(judge.add(track([(float(n % 80), float(n)) for n in range(1, 179, 2)]))) == []
    assert len(judge._pending) == MOST_PENDING


PLACES = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), max_size=12)


@given(PLACES, st.integers(0, 12))
def test_pieces_make_no_difference_and_neighbours_can_be_driven(places: Places, cut: int) -> None:
    points = track(places)
    judge = Plausible()
    in_pieces = [*judge.add(points[:cut]), *judge.add(points[cut:]), *judge.end()]
    assert [(point.latitude, point.longitude) for point in in_pieces] == plausible(points)
    assert [point for point in points if point in in_pieces] == in_pieces
