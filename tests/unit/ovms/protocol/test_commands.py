"""Answers of cars to commands."""

import pytest

from ovms.protocol.commands import COMMAND, not_connected, read_answer


@pytest.mark.parametrize(
    ("message", "read"),
    [
        (b"c7,0,done", (7, True)),
        (b"c7,0,0,16,a text with numbers", (7, True)),
        (b"c1,0,0,16,a feature", (1, False)),
        (b"c3,0,14,16,a parameter", (3, False)),
        (b"c3,0,15,16,the last one", (3, True)),
        (b"c1,0,0,0,none", (1, True)),
        (b"c1,1,0,16", (1, True)),
        (b"c1,0", (1, True)),
        (b"c1,0,3", (1, True)),
        (b"c65535,999999999", (65535, True)),
        (b"c,0", None),
        (b"c7", None),
        (b"cx,0", None),
        (b"c123456,0", None),
        (b"C7,0", None),
    ],
)
def test_an_answer_has_a_number_and_may_be_followed_by_others(message: bytes, read: tuple[int, bool] | None) -> None:
    assert read_answer(message) == read


def test_the_answer_for_a_car_that_is_not_connected_is_a_last_one() -> None:
    assert not_connected(20) == b"c20,1,Vehicle is not connected"
    assert read_answer(not_connected(1)) == (1, True)
    assert COMMAND.match(b"C20,1,2\n")
    assert not COMMAND.match(b"C20 1")
