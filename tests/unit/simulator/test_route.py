"""The loop that the car drives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.route import LAKE_ZURICH, Place, Route, distance

ROUTE = Route(LAKE_ZURICH)


def test_distance_of_a_degree_of_latitude() -> None:
    assert distance(Place(47, 8, 0), Place(48, 8, 0)) == pytest.approx(111.19, abs=0.01)


def test_a_round_ends_where_it_began() -> None:
    assert ROUTE.position(ROUTE.length) == ROUTE.position(0.0)
    assert ROUTE.position(0.0).place == LAKE_ZURICH[0]


@given(along=st.floats(0, 1e5))
def test_every_position_is_by_the_lake(along: float) -> None:
    position = ROUTE.position(along)

    assert 47.2 <= position.place.latitude <= 47.37
    assert 8.53 <= position.place.longitude <= 8.82
    assert 400 <= position.place.altitude <= 440
    assert 0 <= position.heading < 360


@given(along=st.floats(0, 1e4), places=st.integers(1, 60))
def test_the_next_places_are_ahead(along: float, places: int) -> None:
    ahead = ROUTE.distance_to(along, places)

    assert 0 < ahead <= ROUTE.length * (1 + places // len(LAKE_ZURICH))
    there = ROUTE.position(along + ahead).place
    assert min(distance(there, place) for place in LAKE_ZURICH) < 0.001
