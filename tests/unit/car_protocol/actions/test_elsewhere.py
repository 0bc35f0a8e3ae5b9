"""What a car at another replica says, and what apps there say to the car here."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from car_protocol.actions.commands import answer
from car_protocol.actions.elsewhere import forward
from car_protocol.actions.notification import notify_as_watcher
from car_protocol.rooms.hub import Unheard
from ovms.bus.replicas import Address, ToCar, ToPeer, read_word, to_car, to_peer
from unit.car_protocol.actions.scenes import NOW, Scene

FAR = Address("far", 7)


@pytest.fixture
def scene() -> Scene:
    """The car is at the replica `there`, an app and a batch client are here."""
    scene = Scene()
    scene.move_car()
    scene.publisher.bodies.clear()
    return scene


def say(scene: Scene, *messages: bytes) -> None:
    for message in messages:
        forward(scene.server, scene.room, message, NOW)


# ---- the car is elsewhere


@pytest.mark.parametrize("message", [b"S75,K", b"D", b"x\x00\xff\r", b"Z9", b"T5", b"EMDsealed", b"EM\xff\x00"])
def test_a_state_is_sent_on_with_its_age(scene: Scene, message: bytes) -> None:
    say(scene, message)
    assert scene.take() == {"app": [message, b"T0"], "batch": [message, b"T0"]}


def test_the_firmware_is_followed_by_the_version_of_this_server(scene: Scene) -> None:
    say(scene, b"F3.3.004,VIN")
    assert scene.app.take() == [b"F3.3.004,VIN", b"f9.9", b"T0"]


@pytest.mark.parametrize("message", [b"PAalert", b"P", b"c7,0,done", b"EMcsealed", b"EMPsealed"])
def test_what_is_no_state_is_sent_on_as_it_is(scene: Scene, message: bytes) -> None:
    say(scene, message)
    assert scene.take() == {"app": [message], "batch": [message]}


def test_the_name_of_a_key_is_sent_on_and_known_from_then_on(scene: Scene) -> None:
    say(scene, b"ETt\xffken\0")
    assert scene.take() == {"app": [b"ETt\xffken\0"], "batch": [b"ETt\xffken\0"]}
    assert scene.room.paranoid_token == "t�ken"


def test_nothing_of_it_is_kept_or_published_here(scene: Scene) -> None:
    say(scene, b"S1", b"PAalert", b"ETtoken", b"EMDsealed", b"c7,0,done")
    assert (scene.waiting(), scene.published, scene.told_elsewhere, scene.rows()) == ({}, [], [], [])
    assert scene.server.recorder.pending_token(scene.room.vehicle) is None


def test_who_is_yet_to_be_told_what_was_before_does_not_hear_states_now(scene: Scene) -> None:
    unheard = scene.room.learning[scene.app] = Unheard(since=0.0)
    say(scene, b"S1", b"PAalert", b"F1", b"ETtoken")
    assert scene.take() == {
        "app": [b"PAalert", b"ETtoken"],
        "batch": [b"S1", b"T0", b"PAalert", b"F1", b"f9.9", b"T0", b"ETtoken"],
    }
    assert unheard.messages == [b"S1", b"T0", b"F1", b"f9.9", b"T0"]


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=4) | st.sampled_from([b"E", b"EM", b"ET", b"EMD"]))
def test_any_bytes_are_sent_on(message: bytes) -> None:
    scene = Scene()
    scene.move_car()
    say(scene, message)
    assert scene.app.take()[0] == message


# ---- apps elsewhere


def hear(scene: Scene, body: bytes) -> None:
    """Another replica tells this one."""
    listeners = scene.server.replicas._subscriptions.listeners  # type: ignore[attr-defined]
    listeners[b"ovms:replica:here"].heard(body)


def test_a_command_of_an_app_elsewhere_goes_to_the_car_and_its_answer_back() -> None:
    scene = Scene()
    hear(scene, to_car(1, scene.room.vehicle, FAR, b"C7,SYSTEM"))
    assert scene.take() == {"car": [b"C7,SYSTEM"]}
    answer(scene.server, scene.room, scene.car, b"c7,0,done", scene.server.loop.time())
    assert scene.told_elsewhere == [(b"ovms:replica:far", to_peer(7, b"c7,0,done"))]
    assert scene.take() == {}


def test_a_notification_of_an_app_elsewhere_reaches_the_watchers_and_is_kept_and_published_there() -> None:
    scene = Scene()
    hear(scene, to_car(1, scene.room.vehicle, FAR, b"PAhello"))
    assert scene.take() == {"app": [b"PAhello"], "batch": [b"PAhello"]}
    assert (scene.published, scene.notifications()) == ([], [])


def test_a_notification_of_an_app_here_is_sent_to_the_replica_of_the_car(scene: Scene) -> None:
    notify_as_watcher(scene.server, scene.room, scene.app, b"PAhello", NOW)
    [(channel, body)] = scene.told_elsewhere
    sent = read_word(body)
    assert isinstance(sent, ToCar)
    assert (channel, sent.session, sent.message) == (b"ovms:replica:there", scene.room.elsewhere.session, b"PAhello")
    assert scene.take() == {"app": [b"PAhello"], "batch": [b"PAhello"]}
    assert (scene.published, scene.publisher.outside_sessions) == ([], [("DEMO", b"PAhello")])
    assert scene.notifications() == [b"Ahello"]


def test_a_car_that_has_just_gone_is_answered_for() -> None:
    scene = Scene()
    scene.leave(scene.car)
    hear(scene, to_car(1, scene.room.vehicle, FAR, b"C7,SYSTEM"))
    hear(scene, to_car(1, scene.room.vehicle, FAR, b"T5"))
    [(channel, body)] = scene.told_elsewhere
    assert (channel, read_word(body)) == (b"ovms:replica:far", ToPeer(7, b"c7,1,Vehicle is not connected"))


def test_a_command_for_a_car_that_has_gone_on_is_sent_after_it_and_its_answer_comes_back(scene: Scene) -> None:
    hear(scene, to_car(1, scene.room.vehicle, FAR, b"C7,SYSTEM"))
    [(channel, body)] = scene.told_elsewhere
    if channel == b"ovms:replica:far":
        return  # refused, and the asker is told so
    sent_on = read_word(body)
    assert isinstance(sent_on, ToCar)
    if sent_on.sender != FAR:
        hear(scene, to_peer(sent_on.sender.peer, b"c7,0,done"))
        assert scene.told_elsewhere[1:] == [(b"ovms:replica:far", to_peer(7, b"c7,0,done"))]
