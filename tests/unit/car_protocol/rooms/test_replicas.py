"""What a replica says to others, and does at their word."""

import asyncio
import gc

import pytest

from car_protocol.rooms.hub import Elsewhere
from car_protocol.rooms.replicas import MOST_QUESTIONS
from fakes.peers import app, batch, car
from fakes.rooms import vehicle
from ovms.bus.replicas import Address, Kept, ToCar, Unwritten, Written, read_word, to_car, to_peer, unwritten, written
from ovms.db.logins import StoredMessage
from ovms.identity import Role
from unit.car_protocol.rooms.replicas import NOW, WALL, Scene
from unit.ovms.bus.strategies import is_read

FAR = Address("there", 7)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_it_subscribes_to_the_channels_of_its_name_and_of_the_former_one(scene: Scene) -> None:
    assert list(scene.channels.listeners) == [b"ovms:replica:here"]
    for name, channels in (("newer", ["here", "newer"]), ("new", ["newer", "new"])):
        scene.replicas.renamed(name)
        assert list(scene.channels.listeners) == [b"ovms:replica:%s" % channel.encode() for channel in channels]
    assert scene.replicas.address(app()).replica == scene.replicas.name == "new"


# ---- peers


def test_every_peer_has_one_number(scene: Scene) -> None:
    peers = [app(), batch(), app()]
    addresses = [scene.replicas.address(peer) for peer in peers]
    assert addresses == [scene.replicas.address(peer) for peer in peers]
    assert {address.replica for address in addresses} == {"here"}
    assert len({address.peer for address in addresses}) == len(peers)


def test_a_message_reaches_the_peer_of_its_number_alone(scene: Scene) -> None:
    one, other = app(), app()
    address = scene.replicas.address(one)
    scene.replicas.address(other)
    scene.hear(to_peer(address.peer, b"c7,0,a b\xff"))
    assert (one.take(), other.take()) == ([b"c7,0,a b\xff"], [])


def test_a_peer_keeps_its_number_through_a_renaming(scene: Scene) -> None:
    asker = app()
    address = scene.replicas.address(asker)
    scene.replicas.renamed("new")
    scene.hear(to_peer(address.peer, b"c7,0,late"), name="here")
    scene.hear(to_peer(address.peer, b"c7,0,later"), name="new")
    assert asker.take() == [b"c7,0,late", b"c7,0,later"]


def test_a_message_for_a_peer_that_has_gone_is_for_nobody(scene: Scene) -> None:
    gone = app()
    number = scene.replicas.address(gone).peer
    del gone
    gc.collect()
    scene.hear(to_peer(number, b"c7,0,done"))
    successor = app()
    assert scene.replicas.address(successor).peer != number
    assert successor.take() == []


def test_a_message_goes_to_the_replica_of_its_peer(scene: Scene) -> None:
    scene.replicas.send(FAR, b"gDEMO,FRIENDS,1")
    assert scene.take() == [(b"ovms:replica:there", b"peer 7 gDEMO,FRIENDS,1")]


# ---- cars


def test_a_message_for_a_car_elsewhere_names_its_session_and_the_asker(scene: Scene) -> None:
    room, asker = scene.hub.room(vehicle(17)), app()
    room.elsewhere = Elsewhere(session=9, replica="there")
    scene.replicas.send_to_car(room, asker, b"C7,SYSTEM")
    [(channel, body)] = scene.take()
    assert channel == b"ovms:replica:there"
    assert read_word(body) == ToCar(9, 17, scene.replicas.address(asker), b"C7,SYSTEM")


def test_a_message_for_the_car_of_this_session_is_said_as_by_an_app(scene: Scene) -> None:
    room = scene.hub.room(vehicle(17))
    scene.hub.join_car(room, car(), NOW, epoch=9)
    scene.hear(to_car(9, 17, FAR, b"C7,SYSTEM"))
    [(vehicle_id, asker, message)] = scene.said
    assert (vehicle_id, asker.role, message) == ("DEMO", Role.APP, b"C7,SYSTEM")
    asker.send(b"c7,0,done", NOW)
    assert scene.take() == [(b"ovms:replica:there", b"peer 7 c7,0,done")]


def test_a_far_peer_neither_makes_wait_nor_can_be_closed(scene: Scene) -> None:
    scene.hub.join_car(scene.hub.room(vehicle(17)), car(), NOW, epoch=9)
    scene.hear(to_car(9, 17, FAR, b"C7"))
    [(_, asker, _)] = scene.said
    asyncio.run(asker.has_read())
    asker.close("it asks too much")
    assert scene.take() == []


@pytest.mark.parametrize(
    "body",
    [
        to_car(8, 17, FAR, b"A"),
        to_car(10, 17, FAR, b"EMC7"),
        to_car(9, 18, FAR, b"P"),
        to_car(9, 17, FAR, b""),
        to_peer(1 << 40, b"c7,0,done"),
        *written(1 << 40, 9, 57, "", []),
    ],
    ids=["an older session", "a newer session", "another vehicle", "no message", "no such peer", "no such question"],
)
def test_what_is_for_nobody_here_changes_nothing(scene: Scene, body: bytes) -> None:
    module = car()
    scene.hub.join_car(scene.hub.room(vehicle(17)), module, NOW, epoch=9)
    module.take()
    scene.hear(body)
    assert (scene.said, scene.take(), module.take()) == ([], [], [])


@pytest.mark.parametrize(("session", "number"), [(8, 17), (10, 17), (9, 18)], ids=["older", "newer", "another vehicle"])
def test_a_command_for_another_session_is_answered_and_reaches_no_car(scene: Scene, session: int, number: int) -> None:
    module = car()
    scene.hub.join_car(scene.hub.room(vehicle(17)), module, NOW, epoch=9)
    module.take()
    scene.hear(to_car(session, number, FAR, b"C7,SYSTEM"))
    assert (scene.said, module.take()) == ([], [])
    assert scene.take() == [(b"ovms:replica:there", b"peer 7 c7,1,Vehicle is not connected")]


@pytest.mark.parametrize("body", [b"", b"car 9 17", b"nonsense 1 2 3", b"peer x c7"])
def test_what_is_malformed_is_refused(scene: Scene, body: bytes) -> None:
    assert not is_read(scene.hear, body)
    assert (scene.said, scene.take()) == ([], [])


# ---- what is not written yet


def test_the_answer_reaches_who_asked_once(scene: Scene) -> None:
    told: list[Written] = []
    scene.replicas.ask_for_unwritten("there", 17, told.append)
    [(channel, body)] = scene.take()
    asked = read_word(body)
    assert isinstance(asked, Unwritten)
    assert (channel, asked.vehicle, asked.replica) == (b"ovms:replica:there", 17, "here")
    for _ in range(2):
        scene.hear(*written(asked.question, 9, 57, "token", [Kept(b"S1", WALL - 1, None, 9, 56)]))
    assert told == [Written(asked.question, 9, 57, "token", (Kept(b"S1", WALL - 1, None, 9, 56),))]


def test_the_parts_of_a_long_answer_reach_who_asked_as_one(scene: Scene) -> None:
    told: list[Written] = []
    scene.replicas.ask_for_unwritten("there", 17, told.append)
    [asked] = [read_word(body) for _, body in scene.take()]
    assert isinstance(asked, Unwritten)
    kept = [Kept(b"%c" % code + b"x" * 60_000, WALL, None, 9, code) for code in range(65, 75)]
    first, *others = written(asked.question, 9, 80, "token", kept)
    assert others
    for part in others:
        scene.hear(part)
    assert told == []
    scene.hear(first)
    assert [(one.session, one.number, sorted(one.messages)) for one in told] == [(9, 80, kept)]


def test_questions_are_told_apart(scene: Scene) -> None:
    told: list[str] = []
    for vehicle_key, name in ((17, "one"), (18, "other")):
        scene.replicas.ask_for_unwritten("there", vehicle_key, lambda _, name=name: told.append(name))
    [one, other] = [read_word(body) for _, body in scene.take()]
    assert isinstance(one, Unwritten)
    assert isinstance(other, Unwritten)
    scene.hear(*written(other.question, 0, 0, None, []))
    scene.hear(*written(one.question, 0, 0, None, []))
    assert told == ["other", "one"]


def test_the_oldest_question_is_forgotten_where_there_are_too_many(scene: Scene) -> None:
    told: list[Written] = []
    for _ in range(MOST_QUESTIONS + 1):
        scene.replicas.ask_for_unwritten("dead", 17, told.append)
    asked = [read_word(body) for _, body in scene.take()]
    for question in (asked[0], asked[1], asked[-1]):
        assert isinstance(question, Unwritten)
        scene.hear(*written(question.question, 0, 0, None, []))
    assert len(told) == 2


def test_it_tells_what_waits_here_to_be_written(scene: Scene) -> None:
    room = scene.hub.room(vehicle(17))
    room.paranoid_token = "token"
    scene.hub.join_car(room, car(), NOW, epoch=9)
    room.message_number = 57
    scene.pending[17] = {
        ord("S"): StoredMessage(b"S\xff", WALL - 2, None, 9, 55),
        ord("D"): StoredMessage(b"Dsealed", WALL - 1, "token", 9, 57),
    }
    scene.hear(unwritten(17, "there", 43))
    [(channel, body)] = scene.take()
    assert channel == b"ovms:replica:there"
    kept = (Kept(b"S\xff", WALL - 2, None, 9, 55), Kept(b"Dsealed", WALL - 1, "token", 9, 57))
    assert read_word(body) == Written(43, 9, 57, "token", kept)


def test_of_a_car_that_has_disconnected_it_tells_what_waits_and_no_position(scene: Scene) -> None:
    room, module = scene.hub.room(vehicle(17)), car()
    scene.hub.join_watcher(room, app(), NOW)
    scene.hub.join_car(room, module, NOW, epoch=9)
    room.message_number = 57
    scene.hub.leave(room, module, NOW)
    scene.pending[17] = {ord("S"): StoredMessage(b"S1", WALL, None, 9, 57)}
    scene.hear(unwritten(17, "there", 43))
    [(_, body)] = scene.take()
    assert read_word(body) == Written(43, 0, 0, "", (Kept(b"S1", WALL, None, 9, 57),))


def test_of_a_vehicle_that_nobody_is_connected_to_it_knows_what_waits_and_no_key(scene: Scene) -> None:
    scene.pending[17] = {ord("S"): StoredMessage(b"S1", WALL, None, 9, 3)}
    scene.hear(unwritten(17, "there", 43))
    scene.hear(unwritten(18, "there", 44))
    assert [read_word(body) for _, body in scene.take()] == [
        Written(43, 0, 0, None, (Kept(b"S1", WALL, None, 9, 3),)),
        Written(44, 0, 0, None, ()),
    ]
