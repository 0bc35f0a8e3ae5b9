"""The number of each message that a car's session publishes."""

import pytest

from car_protocol.actions.state import LONGEST_STORED
from car_protocol.routing import ROUTES
from fakes.peers import car
from unit.car_protocol.actions.scenes import NOW, Scene

MESSAGES = {
    "state": b"S75",
    "state that is too long to store": b"D" + b"x" * LONGEST_STORED,
    "token": b"ETkey",
    "encrypted state": b"EML0123456789",
    "notification": b"PIhello",
    "answer that nobody asked for": b"c7,0,done",
}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def send(scene: Scene, message: bytes) -> None:
    ROUTES[scene.car.role][message[0]](scene.server, scene.room, scene.car, message, NOW)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
def test_every_published_message_has_the_next_number(scene: Scene, message: bytes) -> None:
    send(scene, b"V1")
    send(scene, message)
    send(scene, b"V2")
    assert scene.room.message_number == len(scene.published) == 3


def test_a_stored_state_has_the_number_of_its_publication(scene: Scene) -> None:
    for message in MESSAGES.values():
        send(scene, message)
    pending = scene.server.recorder.pending(scene.room.vehicle)
    numbers = {chr(code): kept.number for code, kept in pending.items()}
    names = [message[2:3] if message[:2] == b"EM" else message[:1] for _, message in scene.published]
    assert numbers == {code: names.index(code.encode()) + 1 for code in "SL"}


def test_each_session_begins_with_number_1(scene: Scene) -> None:
    send(scene, b"S75")
    scene.server.hub.join_car(scene.room, car(), NOW, epoch=scene.room.epoch + 1)
    send(scene, b"S76")
    kept = scene.server.recorder.pending(scene.room.vehicle)[ord("S")]
    assert (kept.message, kept.epoch, kept.number) == (b"S76", 2, 1)
