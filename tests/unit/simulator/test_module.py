"""Which messages go out when."""

from simulator.controls import Controls
from simulator.journey import Journey, Phase
from simulator.module import Module
from simulator.route import LAKE_ZURICH, Route

ALL = b"FVSDLYWX"


def module() -> tuple[Module, Journey]:
    journey = Journey(Route(LAKE_ZURICH), 1, 0.0)
    return Module(journey, Controls()), journey


def codes(messages: list[bytes]) -> bytes:
    return b"".join(message[:1] for message in messages)


def test_a_login_is_followed_by_everything() -> None:
    car, _ = module()

    assert codes(car.logged_in(1.0)) == ALL


def test_everything_goes_out_when_more_are_watching_and_only_then() -> None:
    car, _ = module()
    car.logged_in(1.0)

    assert codes(car.receive(b"Z1", 2.0)) == ALL
    assert car.receive(b"Z1", 2.0) == []
    assert codes(car.receive(b"Z2", 2.0)) == ALL
    assert car.receive(b"Z0", 2.0) == []
    assert codes(car.receive(b"Z1", 2.0)) == ALL


def test_a_count_that_is_none_watches_nothing() -> None:
    car, _ = module()

    assert car.receive(b"Zx", 1.0) == car.receive(b"Z", 1.0) == []


def test_a_ping_is_answered() -> None:
    car, _ = module()

    assert car.receive(b"A", 1.0) == [b"a"]
    assert car.receive(b"a", 1.0) == []


def test_a_command_is_answered_and_shown() -> None:
    car, journey = module()

    messages = car.receive(b"C11", 1.0)

    assert messages[0] == b"c11,0,Charge started"
    assert codes(messages) == b"cSDL"
    assert b"charging" in messages[1]
    assert journey.moment().phase is Phase.CHARGING


def test_the_position_is_streamed_while_driving() -> None:
    car, journey = module()
    car.logged_in(0.0)
    seconds_with_a_position = 0
    for now in range(1, 1200):
        messages = car.tick(float(now))
        if journey.moment().phase is Phase.DRIVING:
            seconds_with_a_position += b"L" in codes(messages)

    assert seconds_with_a_position > 150


def test_a_change_of_phase_is_told_at_once() -> None:
    car, journey = module()
    car.logged_in(0.0)
    former = journey.moment().phase
    for now in range(1, 600):
        messages = car.tick(float(now))
        if (phase := journey.moment().phase) is not former:
            assert set(b"SDL") <= set(codes(messages))
            former = phase


def test_a_trip_is_recorded_until_it_is_acknowledged_also_without_a_connection() -> None:
    car, _ = module()
    for now in range(200):
        car.rest(float(now))

    records = [message for message in car.logged_in(200.0) if message.startswith(b"h")]
    assert records
    assert b"*-LOG-Trip,1," in records[0]

    for record in records:
        car.receive(b"h" + record[1:].split(b",")[0], 201.0)
    assert not [message for message in car.logged_in(202.0) if message.startswith(b"h")]
