"""Commands and their answers: who hears which."""

import pytest

from car_protocol.actions.commands import MOST_OPEN, answer, command
from car_protocol.actions.sealed import from_app
from car_protocol.rooms.replicas import FarPeer
from fakes.peers import FakePeer, app
from fakes.servers import FakeArchive, FakeTrail
from ovms.bus.replicas import Address
from ovms.protocol.commands import MOST_TO_A_CAR
from unit.car_protocol.actions.scenes import NOW, Scene

ENDS = 60.0


@pytest.fixture
def scene() -> Scene:
    return Scene()


def ask(scene: Scene, asker: FakePeer, message: bytes, now: float = NOW) -> None:
    command(scene.server, scene.room, asker, message, now)


def reply(scene: Scene, *messages: bytes, now: float = NOW) -> None:
    for message in messages:
        answer(scene.server, scene.room, scene.car, message, now)


def given(scene: Scene) -> list[tuple[int, int | None]]:
    assert isinstance(scene.server.trail, FakeTrail)
    return scene.server.trail.given


# ---- to the car


@pytest.mark.parametrize("asker", ["app", "batch"])
@pytest.mark.parametrize("message", [b"C7,stat", b"C7", b"C41,*100#", b"C7,a,b,\r\n\x00\xff", b"C65535", b"C007,x"])
def test_a_command_goes_to_the_car_as_it_is_and_to_nobody_else(scene: Scene, asker: str, message: bytes) -> None:
    ask(scene, getattr(scene, asker), message)
    assert scene.take() == {"car": [message]}
    assert scene.published == []


def test_the_trail_is_told_the_number_by_the_replica_of_the_app(scene: Scene) -> None:
    for message in (b"C20,918273", b"C7,secret", b"C32", b"Cx"):
        ask(scene, scene.app, message)
    from_app(scene.server, scene.room, scene.app, b"EMCc2VhbGVk", NOW)
    from_app(scene.server, scene.room, scene.app, b"EMZc2VhbGVk", NOW)
    here = [(scene.room.vehicle, 20), (scene.room.vehicle, 7), (scene.room.vehicle, None)]
    assert given(scene) == here
    command(scene.server, scene.room, FarPeer(scene.server.replicas, Address("there", 1)), b"C20,1", NOW)
    assert given(scene) == here
    scene.move_car()
    ask(scene, scene.app, b"C22,1")
    from_app(scene.server, scene.room, scene.app, b"EMCc2VhbGVk", NOW)
    assert given(scene) == [*here, (scene.room.vehicle, 22), (scene.room.vehicle, None)]


@pytest.mark.parametrize("message", [b"C", b"C,", b"Cx", b"C7x", b"C-7", b"C123456", b"C 7", b"C\xd9\xa1"])
def test_what_is_no_command_is_ignored(scene: Scene, message: bytes) -> None:
    ask(scene, scene.app, message)
    assert scene.take() == {}
    assert scene.ignored == 1
    assert scene.room.commands == []


def test_the_asker_is_told_that_the_car_is_not_connected(scene: Scene) -> None:
    scene.leave(scene.car)
    ask(scene, scene.app, b"C7,stat")
    assert scene.take() == {"app": [b"c7,1,Vehicle is not connected"]}
    assert scene.room.commands == []


def test_a_command_fits_the_car_s_buffer_or_the_asker_is_told(scene: Scene) -> None:
    longest = b"C7," + b"x" * (MOST_TO_A_CAR - 3)
    ask(scene, scene.app, longest)
    assert scene.take() == {"car": [longest]}
    ask(scene, scene.app, longest + b"x")
    assert scene.take() == {"app": [b"c7,1,Command is too long"]}
    assert len(scene.room.commands) == 1


def test_a_command_for_a_car_elsewhere_is_sent_there(scene: Scene) -> None:
    scene.move_car()
    ask(scene, scene.app, b"C7,stat")
    assert scene.take() == {}
    [(channel, body)] = scene.told_elsewhere
    assert channel.endswith(b":there")
    assert body.endswith(b" C7,stat")
    assert scene.room.commands == []


@pytest.mark.parametrize(
    ("message", "asked"), [(b"C30", (30, b"")), (b"C31,2026-08-01", (31, b"2026-08-01")), (b"C32,*-LOG,", (32, b"*-LOG,"))]
)
@pytest.mark.parametrize("has_car", [True, False])
def test_traffic_and_history_are_answered_here(scene: Scene, message: bytes, asked: object, has_car: bool) -> None:
    if not has_car:
        scene.leave(scene.car)
    ask(scene, scene.app, message)
    assert scene.take() == {}
    assert isinstance(scene.server.archive, FakeArchive)
    assert scene.server.archive.asked == [asked]


# ---- and back


@pytest.mark.parametrize("asker", ["app", "batch"])
@pytest.mark.parametrize("message", [b"c7,0,hello", b"c7,1,no", b"c7,0", b"c7,2,", b"c7,0,0,5,x"])
def test_an_answer_goes_to_the_asker_alone_and_ends_the_command(scene: Scene, asker: str, message: bytes) -> None:
    ask(scene, getattr(scene, asker), b"C7,stat")
    scene.take()
    reply(scene, message)
    assert scene.take() == {asker: [message]}
    assert scene.published == []
    reply(scene, message)
    assert scene.take() == {"app": [message], "batch": [message]}


@pytest.mark.parametrize("message", [b"c7,0,hello", b"c", b"cx", b"c7", b"c7,x", b"c1,0,0,3,feature"])
def test_an_answer_that_nobody_asked_for_goes_to_all_here_and_elsewhere(scene: Scene, message: bytes) -> None:
    ask(scene, scene.app, b"C11,other")
    scene.take()
    reply(scene, message)
    assert scene.take() == {"app": [message], "batch": [message]}
    assert scene.published == [("DEMO", message)]
    assert len(scene.room.commands) == 1


def test_the_oldest_of_a_number_is_answered_first_and_numbers_are_apart(scene: Scene) -> None:
    ask(scene, scene.app, b"C7,first")
    ask(scene, scene.batch, b"C7,second")
    ask(scene, scene.batch, b"C41,other")
    scene.take()
    reply(scene, b"c41,0,other", b"c7,0,first", b"c7,0,second")
    assert scene.take() == {"app": [b"c7,0,first"], "batch": [b"c41,0,other", b"c7,0,second"]}
    assert scene.room.commands == []


@pytest.mark.parametrize("number", [1, 3])
def test_features_and_parameters_are_many_answers(scene: Scene, number: int) -> None:
    rows = [b"c%d,0,%d,3,%d" % (number, index, index) for index in range(3)]
    for asker in (scene.app, scene.batch):
        ask(scene, asker, b"C%d" % number)
    scene.take()
    reply(scene, *rows, *rows)
    assert scene.take() == {"app": rows, "batch": rows}
    assert scene.room.commands == []


@pytest.mark.parametrize(
    "last", [b"c1,1,failed", b"c1,0", b"c1,0,text", b"c1,0,0,0", b"c1,0,0,1,x", b"c1,0,9,3,x", b"c1,2,0,3,x"]
)
def test_many_answers_end_with_the_last_or_with_an_error(scene: Scene, last: bytes) -> None:
    ask(scene, scene.app, b"C1")
    scene.take()
    reply(scene, b"c1,0,0,3,x", last)
    assert scene.take() == {"app": [b"c1,0,0,3,x", last]}
    assert scene.room.commands == []


def test_the_answer_of_an_asker_who_has_left_is_for_nobody(scene: Scene) -> None:
    gone = app()
    ask(scene, gone, b"C7,stat")
    scene.leave(gone)
    reply(scene, b"c7,0,secret")
    assert scene.take() == {}


# ---- the end of a command


@pytest.mark.parametrize(("late", "heard"), [(ENDS - 0.01, {"app"}), (ENDS, {"app", "batch"}), (3 * ENDS, {"app", "batch"})])
def test_a_command_ends_after_its_time_and_a_late_answer_is_one_that_nobody_asked_for(
    scene: Scene, late: float, heard: set[str]
) -> None:
    assert scene.server.settings.timeout_command == ENDS
    ask(scene, scene.app, b"C7,stat")
    scene.take()
    reply(scene, b"c7,0,late", now=NOW + late)
    assert scene.take().keys() == heard
    assert scene.room.commands == []


def test_one_that_has_ended_does_not_stand_in_the_way(scene: Scene) -> None:
    ask(scene, scene.app, b"C7,first")
    ask(scene, scene.batch, b"C7,second", now=NOW + 30)
    scene.take()
    reply(scene, b"c7,0,second", now=NOW + ENDS + 1)
    assert scene.take() == {"batch": [b"c7,0,second"]}


def test_one_of_many_answers_may_come_after_the_end(scene: Scene) -> None:
    """Its time is counted from the question: who answers for minutes is heard by all from then on."""
    ask(scene, scene.app, b"C1")
    scene.take()
    reply(scene, b"c1,0,0,3,x")
    reply(scene, b"c1,0,1,3,x", now=NOW + ENDS)
    assert scene.take() == {"app": [b"c1,0,0,3,x", b"c1,0,1,3,x"], "batch": [b"c1,0,1,3,x"]}


def test_so_many_are_remembered_and_no_more(scene: Scene) -> None:
    ask(scene, scene.app, b"C7,oldest")
    for _ in range(MOST_OPEN):
        ask(scene, scene.batch, b"C7,x")
    assert len(scene.room.commands) == MOST_OPEN
    scene.take()
    reply(scene, b"c7,0,x")
    assert scene.take() == {"batch": [b"c7,0,x"]}
