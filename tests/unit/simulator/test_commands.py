"""Answers to commands, and what they change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.commands import answer
from simulator.controls import Controls
from simulator.journey import Journey, Phase
from simulator.route import LAKE_ZURICH, Route


def journey() -> Journey:
    return Journey(Route(LAKE_ZURICH), 1, 0.0)


def test_features_are_listed_one_a_message() -> None:
    controls = Controls()
    assert answer("2,9,30", controls, journey()) == [b"c2,0,Feature set"]

    listed = answer("1", controls, journey())

    assert len(listed) == 16
    assert listed[0] == b"c1,0,0,16,0"
    assert listed[9] == b"c1,0,9,16,30"


def test_parameters_are_listed_one_a_message() -> None:
    controls = Controls()
    answer("4,8,DEMO", controls, journey())

    assert answer("3", controls, journey())[8] == b"c3,0,8,24,DEMO"


def test_a_shell_command_is_repeated_with_its_commas() -> None:
    assert answer("7,stat,now", Controls(), journey()) == [b"c7,0,The demo car heard: stat,now"]


def test_charging_starts_and_stops() -> None:
    car = journey()

    assert answer("11", Controls(), car) == [b"c11,0,Charge started"]
    assert car.moment().phase is Phase.CHARGING
    assert answer("12", Controls(), car) == [b"c12,0,Charge stopped"]
    assert car.moment().phase is Phase.PARKED


def test_locks_modes_and_limits() -> None:
    controls = Controls()
    for command in ("22,1234", "21,1234", "16,3,16"):
        answer(command, controls, journey())

    assert controls == Controls(locked=False, valet=True, charge_mode=3, charge_limit=16)


@pytest.mark.parametrize(
    "command",
    [
        "10,2",
        "10",
        "10,x",
        "15,0",
        "15,1000",
        "16,0",
        "2,99,1",
        "2,-1,1",
        "2,1",
        "4,24,x",
        "17,2,0",
        "17,1,1440",
        "17",
        "26,2",
        "26",
    ],
)
def test_what_is_impossible_fails_and_changes_nothing(command: str) -> None:
    controls = Controls()

    assert answer(command, controls, journey()) == [f"c{command.split(',', maxsplit=1)[0]},1,Invalid argument".encode()]
    assert controls == Controls()


@pytest.mark.parametrize("command", ["42,*100#", "50", "999", ""])
def test_what_is_unknown_is_not_supported(command: str) -> None:
    assert answer(command, Controls(), journey()) == [f"c{command.split(',', maxsplit=1)[0]},2".encode()]


@given(command=st.text(max_size=20))
def test_every_command_is_answered(command: str) -> None:
    answers = answer(command, Controls(), journey())

    assert answers
    assert all(said.startswith(f"c{command.split(',', maxsplit=1)[0]},".encode()) for said in answers)
