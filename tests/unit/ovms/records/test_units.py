"""Units that the car chooses."""

from ovms.records.units import DistanceUnit


def test_letters_of_the_wire() -> None:
    assert [unit.value for unit in DistanceUnit] == ["K", "M"]
