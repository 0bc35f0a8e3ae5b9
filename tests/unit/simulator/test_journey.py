"""Properties of every life that the car can live."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.records import RECORDS, decode, encode
from simulator.controls import Controls
from simulator.journey import Journey, Moment, Phase
from simulator.route import LAKE_ZURICH, Route
from simulator.telemetry import RECORDS as MAKERS

ROUTE = Route(LAKE_ZURICH)
DAY = 600.0

seeds = st.integers(0, 2**32)
steps = st.lists(st.floats(0.01, 60.0), min_size=1, max_size=60)


def moments(seed: int, times: list[float], *, charge_at: frozenset[int] = frozenset()) -> list[Moment]:
    journey, now, seen = Journey(ROUTE, seed, 0.0), 0.0, []
    for number, step in enumerate(times):
        now += step
        journey.advance(now)
        if number in charge_at:
            journey.start_charging()
        elif number - 1 in charge_at:
            journey.stop_charging()
        seen.append(journey.moment())
    return seen


@given(seed=seeds, times=steps, charge_at=st.frozensets(st.integers(0, 60)))
def test_what_holds_at_every_moment(seed: int, times: list[float], charge_at: frozenset[int]) -> None:
    former = None
    for moment in moments(seed, times, charge_at=charge_at):
        assert 0 <= moment.soc <= 100
        assert moment.trip >= 0
        assert moment.speed >= 0
        assert moment.left >= 0
        assert (moment.speed > 0) <= (moment.phase is Phase.DRIVING)
        assert (moment.charged > 0) <= (moment.phase is Phase.CHARGING)
        assert former is None or (moment.odometer >= former.odometer and moment.clock >= former.clock)
        former = moment


@given(seed=seeds, times=steps)
def test_the_car_does_the_same_however_often_it_is_asked(seed: int, times: list[float]) -> None:
    asked_often = moments(seed, times)[-1]
    once = Journey(ROUTE, seed, 0.0)
    once.advance(sum(times))

    assert once.moment().phase is asked_often.phase
    assert once.moment().soc == pytest.approx(asked_often.soc)
    assert once.moment().odometer == pytest.approx(asked_often.odometer)


@given(seed=seeds)
def test_a_day_has_everything(seed: int) -> None:
    journey, phases, trips = Journey(ROUTE, seed, 0.0), set(), []
    for now in range(int(DAY) * 2):
        trips += journey.advance(float(now))
        phases.add(journey.moment().phase)

    assert phases == set(Phase)
    assert len(trips) > 3
    assert all(trip.trip > 1 and trip.speed == pytest.approx(0, abs=0.01) for trip in trips)


@given(seed=seeds, now=st.floats(0, DAY), locked=st.booleans(), valet=st.booleans())
def test_every_record_is_read_back_as_it_was_meant(seed: int, now: float, locked: bool, valet: bool) -> None:
    journey = Journey(ROUTE, seed, 0.0)
    journey.advance(now)

    for code, make in MAKERS.items():
        record = make(journey.moment(), Controls(locked=locked, valet=valet))
        assert decode(RECORDS[code], encode(record)) == record
        assert encode(record).isascii()


def test_a_clock_that_goes_back_changes_nothing() -> None:
    journey = Journey(ROUTE, 1, 0.0)
    journey.advance(100.0)
    before = journey.moment()

    assert journey.advance(50.0) == []
    assert journey.moment() == before


def test_a_full_car_that_is_told_to_charge_is_done_at_once() -> None:
    journey = Journey(ROUTE, 1, 0.0)
    while journey.moment().phase is not Phase.CHARGING:
        journey.advance(journey._now + 1)
    while journey.moment().phase is Phase.CHARGING:
        journey.advance(journey._now + 1)

    journey.start_charging()
    journey.advance(journey._now)

    assert journey.moment().phase is Phase.PARKED
    assert journey.moment().soc == pytest.approx(90)
    assert replace(journey.moment(), soc=0).charge_ended == 0
