"""Which vehicles are remembered, and for how long."""

import pytest

from car_protocol.logins.known import LIFETIME, KnownVehicles
from ovms.db.logins import Vehicle


def vehicle(vehicle_id: str, password: bytes = b"sealed") -> Vehicle:
    return Vehicle(1, vehicle_id, password, "key", "")


def known(*vehicle_ids: str, capacity: int = 10, now: float = 0.0) -> KnownVehicles:
    vehicles = KnownVehicles(capacity)
    for vehicle_id in vehicle_ids:
        vehicles.keep(vehicle_id, vehicle(vehicle_id), now)
    return vehicles


def test_a_vehicle_is_found_as_it_was() -> None:
    vehicles = known("DEMO")
    assert vehicles.find("DEMO", 1.0) == vehicle("DEMO")
    assert vehicles.find("OTHER", 1.0) is None


@pytest.mark.parametrize(("age", "is_found"), [(0, True), (LIFETIME - 1, True), (LIFETIME, False)])
def test_after_a_day_it_counts_no_more(age: float, is_found: bool) -> None:
    assert (known("DEMO", now=5.0).find("DEMO", 5.0 + age) is not None) == is_found


def test_the_one_whose_login_is_longest_ago_makes_room() -> None:
    vehicles = known("A", "B", "C", capacity=3)
    vehicles.keep("A", vehicle("A"), 1.0)
    vehicles.refresh(["B"], {"B": vehicle("B")}, 2.0)
    vehicles.keep("D", vehicle("D"), 3.0)
    assert [name for name in "ABCD" if vehicles.find(name, 4.0)] == ["A", "C", "D"]
    assert len(vehicles) == 3


def test_none_is_remembered_where_there_is_no_room() -> None:
    assert len(known("A", "B", capacity=0)) == 0


def test_a_look_up_refreshes_and_removes_and_adds_nothing() -> None:
    vehicles = known("A", "B")
    vehicles.refresh(["A", "B", "C"], {"A": vehicle("A", b"new"), "C": vehicle("C")}, LIFETIME - 1)
    found = vehicles.find("A", LIFETIME)
    assert found is not None
    assert found.password == b"new"
    assert len(vehicles) == 1


def test_those_that_were_found_half_a_lifetime_ago_are_to_be_asked_for_again() -> None:
    vehicles = known("A", "B", "C")
    vehicles.keep("D", vehicle("D"), 1.0)
    assert vehicles.ageing(LIFETIME / 2, 10) == ["A", "B", "C"]
    assert vehicles.ageing(LIFETIME / 2, 2) == ["A", "B"]
    assert vehicles.ageing(LIFETIME / 2 - 1, 10) == []
