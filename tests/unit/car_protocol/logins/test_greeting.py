"""What greets an app: the order of the stored messages, and their age."""

import pytest

from car_protocol.logins.desk import NEVER, greeting
from fakes.peers import car
from fakes.rooms import room
from ovms.db.logins import StoredMessage

WALL = 1_700_000_000.0


def stored(*messages: bytes, ages: float = 10) -> dict[int, StoredMessage]:
    return {message[0]: StoredMessage(message, WALL - ages) for message in messages}


def test_firmware_and_status_come_first_then_the_rest_by_code_then_the_age() -> None:
    kept = stored(b"W4", b"x9", b"D2", b"S1", b"L3", b"Fwhat", b"VC1")
    demo = room()
    demo.car = car()
    assert greeting(demo, kept, WALL) == [b"Z1", b"Fwhat", b"S1", b"D2", b"L3", b"VC1", b"W4", b"x9", b"T10"]


def test_a_car_that_never_sent_anything_has_the_age_of_the_reference() -> None:
    assert greeting(room(), {}, WALL) == [b"Z0", b"T3020399"]
    assert NEVER == 3020399


@pytest.mark.parametrize(("age", "told"), [(0, b"T0"), (0.9, b"T0"), (59.9, b"T59"), (-5, b"T0"), (10**7, b"T10000000")])
def test_the_age_is_whole_seconds_and_never_negative(age: float, told: bytes) -> None:
    assert greeting(room(), stored(b"S1", ages=age), WALL)[-1] == told


def test_the_age_is_that_of_the_newest_message() -> None:
    kept = stored(b"S1", ages=100) | stored(b"D2", ages=7)
    assert greeting(room(), kept, WALL)[-1] == b"T7"


def test_the_name_of_the_paranoid_key_comes_once_before_the_first_sealed_message() -> None:
    demo = room()
    demo.paranoid_token = "token"
    kept = {code: StoredMessage(b"%cdata" % code, WALL, is_sealed=code in b"DL") for code in b"FDLV"}
    assert greeting(demo, kept, WALL) == [b"Z0", b"Fdata", b"ETtoken", b"EMDdata", b"EMLdata", b"Vdata", b"T0"]
