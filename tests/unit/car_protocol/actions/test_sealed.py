"""Paranoid mode: the server forwards and keeps what it cannot read."""

import pytest

from car_protocol.actions.commands import answer, command
from car_protocol.actions.sealed import LONGEST_TOKEN, from_app, from_car
from car_protocol.actions.state import store_and_forward
from ovms.protocol.commands import MOST_TO_A_CAR
from unit.car_protocol.actions.scenes import NOW, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


def car_says(scene: Scene, *messages: bytes) -> None:
    for message in messages:
        from_car(scene.server, scene.room, scene.car, message, NOW)


def app_says(scene: Scene, message: bytes) -> None:
    from_app(scene.server, scene.room, scene.app, message, NOW)


# ---- the name of the key


@pytest.mark.parametrize(
    ("message", "token"),
    [
        (b"ETtoken", "token"),
        (b"ETa,b c", "a,b c"),
        (b"ET" + b"x" * LONGEST_TOKEN, "x" * LONGEST_TOKEN),
        (b"ET\xff\x00a", "\N{REPLACEMENT CHARACTER}a"),
    ],
)
def test_a_token_is_kept_and_told_to_all(scene: Scene, message: bytes, token: str) -> None:
    car_says(scene, message)
    assert scene.room.paranoid_token == token
    assert scene.server.recorder.pending_token(scene.room.vehicle) == token
    assert scene.take() == {"app": [message], "batch": [message]}
    assert scene.published == [("DEMO", message)]


# ---- what a car seals


def test_a_state_is_kept_under_its_code_and_its_key_and_sent_on_as_it_came(scene: Scene) -> None:
    car_says(scene, b"ETone", b"EMSc2VhbGVk", b"ETtwo", b"EMDc2VhbGVk")
    kept = scene.server.recorder.pending(scene.room.vehicle)
    assert {chr(code): (one.message, one.sealed_with) for code, one in kept.items()} == {
        "S": (b"Sc2VhbGVk", "one"),
        "D": (b"Dc2VhbGVk", "two"),
    }
    heard = [b"ETone", b"EMSc2VhbGVk", b"T0", b"ETtwo", b"EMDc2VhbGVk", b"T0"]
    assert scene.take() == {"app": heard, "batch": heard}
    assert [message for _, message in scene.published] == [message for message in heard if message != b"T0"]


def test_a_sealed_firmware_is_followed_by_the_server_s_version(scene: Scene) -> None:
    car_says(scene, b"EMFc2VhbGVk")
    assert scene.take()["app"] == [b"EMFc2VhbGVk", b"f9.9", b"T0"]


def test_a_sealed_state_replaces_one_in_clear_and_the_other_way_round(scene: Scene) -> None:
    store_and_forward(scene.server, scene.room, scene.car, b"Sclear", NOW)
    car_says(scene, b"EMSc2VhbGVk")
    assert scene.waiting() == {"S": b"Sc2VhbGVk"}
    store_and_forward(scene.server, scene.room, scene.car, b"Sclear", NOW)
    assert scene.waiting() == {"S": b"Sclear"}


@pytest.mark.parametrize("code", "AaCEGHPTZfghp")
def test_what_is_sealed_and_no_state_is_neither_kept_nor_told_nor_answered(scene: Scene, code: str) -> None:
    car_says(scene, b"EM" + code.encode() + b"c2VhbGVk")
    assert (scene.take(), scene.waiting(), scene.published) == ({}, {}, [])
    assert scene.ignored == 1


@pytest.mark.parametrize("message", [b"E", b"EM", b"EMS", b"EMc", b"ET", b"ET" + b"x" * (LONGEST_TOKEN + 1), b"EX", b"nope"])
def test_what_is_malformed_is_ignored(scene: Scene, message: bytes) -> None:
    car_says(scene, message)
    assert (scene.take(), scene.waiting(), scene.published, scene.room.paranoid_token) == ({}, {}, [], "")
    assert scene.ignored == 1


# ---- commands


def test_a_sealed_answer_goes_to_the_oldest_who_asked_whatever_he_asked(scene: Scene) -> None:
    app_says(scene, b"EMCc2VhbGVk")
    command(scene.server, scene.room, scene.batch, b"C7,x", NOW)
    assert scene.take() == {"car": [b"EMCc2VhbGVk", b"C7,x"]}
    car_says(scene, b"EMcb25l", b"EMcdHdv")
    assert scene.take() == {"app": [b"EMcb25l"], "batch": [b"EMcdHdv"]}
    car_says(scene, b"EMcdGhyZWU")
    assert scene.take() == {"app": [b"EMcdGhyZWU"], "batch": [b"EMcdGhyZWU"]}


def test_an_answer_in_clear_does_not_answer_a_sealed_command(scene: Scene) -> None:
    app_says(scene, b"EMCc2VhbGVk")
    scene.take()
    answer(scene.server, scene.room, scene.car, b"c7,0,hello", NOW)
    assert scene.take() == {"app": [b"c7,0,hello"], "batch": [b"c7,0,hello"]}
    car_says(scene, b"EMcb25l")
    assert scene.take() == {"app": [b"EMcb25l"]}


@pytest.mark.parametrize("message", [b"EMxc2VhbGVk", b"EMC1", b"EMC" + b"x" * (MOST_TO_A_CAR - 3)])
def test_what_an_app_seals_goes_to_the_car_as_it_came(scene: Scene, message: bytes) -> None:
    app_says(scene, message)
    assert scene.take() == {"car": [message]}
    assert len(scene.room.commands) == (message[2:3] == b"C")


@pytest.mark.parametrize("message", [b"E", b"EM", b"EMC", b"ETtoken", b"EMC" + b"x" * (MOST_TO_A_CAR - 2)])
def test_what_an_app_may_not_say_goes_nowhere(scene: Scene, message: bytes) -> None:
    """A module reboots at an `EM` without a message; a token is the car's to name."""
    app_says(scene, message)
    assert (scene.take(), scene.room.commands, scene.ignored) == ({}, [], 1)


def test_without_a_car_the_asker_hears_nothing(scene: Scene) -> None:
    """An answer in clear would be none to him."""
    scene.leave(scene.car)
    app_says(scene, b"EMCc2VhbGVk")
    assert (scene.take(), scene.told_elsewhere, scene.room.commands) == ({}, [], [])


def test_it_is_sent_to_a_car_elsewhere(scene: Scene) -> None:
    scene.move_car()
    app_says(scene, b"EMCc2VhbGVk")
    assert scene.take() == {}
    assert [body.rpartition(b" ")[2] for _, body in scene.told_elsewhere] == [b"EMCc2VhbGVk"]
