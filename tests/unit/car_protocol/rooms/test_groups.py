"""Groups of cars here and elsewhere, and who hears them."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from car_protocol.rooms.groups import AGAIN, BYTES_A_SECOND, LONGEST_UPDATE, MOST_PER_PEER, REQUESTS_A_SECOND, Groups
from fakes.loops import FakeLoop
from fakes.peers import FakePeer, app, batch, car
from ovms.bus.groups import Ask, Update, ask, read_group, update
from ovms.bus.replicas import Address, to_peer
from unit.car_protocol.rooms.replicas import Scene
from unit.ovms.bus.strategies import is_read

GROUP, CHANNEL = b"FRIENDS", b"ovms:group:FRIENDS"
FAR = Address("there", 7)


class Grouped(Scene):
    """A replica with groups, and a clock that a test turns."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = FakeLoop()
        self.groups = Groups(cast("Any", self.loop), cast("Any", self.publisher), cast("Any", self.channels), self.replicas)

    def subscriber(self, group: bytes = GROUP) -> FakePeer:
        """An app that hears a group."""
        peer = app()
        self.groups.subscribe(peer, group)
        return peer

    def confirm(self, channel: bytes = CHANNEL) -> None:
        """Redis says that the channel is heard from now on."""
        self.channels.listeners[channel].subscribed()

    def wait(self, seconds: float = AGAIN) -> None:
        """Let time pass."""
        self.loop.advance(seconds)

    def fill(self, group: bytes = GROUP) -> None:
        """Use all that a group may send in a second."""
        for number in range(BYTES_A_SECOND // LONGEST_UPDATE):
            self.groups.update(car(), group, (b"gFULL%d,%b," % (number, group)).ljust(LONGEST_UPDATE, b"x"))
        self.take()

    def publish(self, body: bytes) -> None:
        """Somebody publishes on the group's channel."""
        self.channels.listeners[CHANNEL].heard(body)

    def words(self) -> list[Update | Ask]:
        """What has been published on the group's channel since the last call."""
        bodies = self.take()
        assert {channel for channel, _ in bodies} <= {CHANNEL}
        return [read_group(body) for _, body in bodies]


@pytest.fixture
def scene() -> Grouped:
    return Grouped()


# ---- updates of cars here


def test_updates_go_to_subscribers_here_and_elsewhere_at_once_and_in_order(scene: Grouped) -> None:
    watching, other = scene.subscriber(), scene.subscriber(b"OTHERS")
    scene.confirm()
    one, another = car(), car()
    updates = [b"gONE,FRIENDS,1", b"gOTHER,FRIENDS,1", b"gONE,FRIENDS,2", b"gONE,FRIENDS,3"]
    for message in updates:
        scene.groups.update(another if b"OTHER" in message else one, GROUP, message)
        assert watching.take() == [message]
    assert other.take() == []
    assert scene.words() == [Update("here", message) for message in updates]
    scene.wait()
    assert (watching.take(), scene.words()) == ([], [])


def test_updates_from_before_the_subscription_are_published_with_it(scene: Grouped) -> None:
    """A request of another replica for them would be missed before that."""
    module = car()
    for message in (b"gONE,FRIENDS,1", b"gONE,FRIENDS,2"):
        scene.groups.update(module, GROUP, message)
    assert scene.words() == []
    scene.confirm()
    assert scene.words() == [Update("here", b"gONE,FRIENDS,2")]
    scene.groups.update(module, GROUP, b"gONE,FRIENDS,3")
    assert scene.words() == [Update("here", b"gONE,FRIENDS,3")]


# ---- bounds


def test_a_group_past_its_rate_sends_the_newest_update_of_each_car_later(scene: Grouped) -> None:
    watching, one, another = scene.subscriber(), car(), car()
    scene.confirm()
    scene.fill()
    watching.take()
    for number in range(100):
        scene.groups.update(one, GROUP, b"gONE,FRIENDS,%d" % number)
    scene.groups.update(another, GROUP, b"gOTHER,FRIENDS,0")
    scene.groups.update(one, GROUP, b"gONE,FRIENDS,newest")
    assert (watching.take(), scene.words()) == ([], [])
    scene.wait()
    newest = [b"gONE,FRIENDS,newest", b"gOTHER,FRIENDS,0"]
    assert watching.take() == newest
    assert scene.words() == [Update("here", message) for message in newest]
    scene.groups.update(one, GROUP, b"gONE,FRIENDS,again")
    assert watching.take() == [b"gONE,FRIENDS,again"]


def test_a_subscriber_is_sent_no_more_of_a_group_than_its_rate_wherever_its_cars_are(scene: Grouped) -> None:
    watching, cars = scene.subscriber(), [car() for _ in range(20)]
    for _ in range(100):
        for number, module in enumerate(cars):
            scene.groups.update(module, GROUP, (b"gHERE%d,FRIENDS," % number).ljust(LONGEST_UPDATE, b"x"))
            scene.publish(update("there", (b"gFAR%d,FRIENDS," % number).ljust(LONGEST_UPDATE, b"x")))
        scene.wait(0.1)
    sent = watching.take()
    assert sum(map(len, sent)) <= 11 * BYTES_A_SECOND  # of ten seconds, and of the one that may be at once
    assert len({message.partition(b",")[0] for message in sent}) == 2 * len(cars)
    assert sum(len(message) for _, message in scene.take()) < 6 * BYTES_A_SECOND


def test_another_group_is_not_held_up(scene: Grouped) -> None:
    other = scene.subscriber(b"OTHERS")
    scene.fill()
    scene.groups.update(car(), b"OTHERS", b"gDEMO,OTHERS,1")
    assert other.take() == [b"gDEMO,OTHERS,1"]


def test_a_subscriber_that_is_behind_gets_the_newest_update_of_each_car_when_it_has_caught_up(scene: Grouped) -> None:
    slow, watching, one, another = scene.subscriber(), scene.subscriber(), car(), car()
    slow.is_behind = True
    updates = [b"gONE,FRIENDS,1", b"gOTHER,FRIENDS,1", b"gONE,FRIENDS,2"]
    for message in updates:
        scene.groups.update(another if b"OTHER" in message else one, GROUP, message)
    assert (slow.take(), watching.take()) == ([], updates)
    slow.is_behind = False
    scene.groups.caught_up(slow)
    assert slow.take() == [b"gONE,FRIENDS,2", b"gOTHER,FRIENDS,1"]
    scene.groups.caught_up(slow)
    assert slow.take() == []


def test_who_asks_again_and_again_is_not_answered_each_time(scene: Grouped) -> None:
    scene.groups.update(car(), GROUP, b"gDEMO,FRIENDS,1")
    polling, now = batch(), scene.loop.time()
    for _ in range(1000):
        scene.groups.ask(polling, GROUP, now)
    assert len(polling.take()) == MOST_PER_PEER
    scene.groups.ask(polling, GROUP, now + 1 / REQUESTS_A_SECOND)
    assert polling.take() == [b"gDEMO,FRIENDS,1"]


def test_who_asks_is_sent_the_newest_update_of_every_car_here_at_once(scene: Grouped) -> None:
    for module, sent in ((car(), b"gONE,FRIENDS,1"), (car(), b"gOTHER,FRIENDS,1")):
        scene.groups.update(module, GROUP, sent)
        scene.groups.update(module, b"OTHERS", b"of another group")
    polling = batch()
    scene.groups.ask(polling, GROUP, 0)
    assert sorted(polling.take()) == [b"gONE,FRIENDS,1", b"gOTHER,FRIENDS,1"]
    assert polling.take() == []


# ---- cars and apps elsewhere


def test_an_update_from_elsewhere_goes_to_subscribers_of_its_group(scene: Grouped) -> None:
    watching, other = scene.subscriber(), scene.subscriber(b"OTHERS")
    scene.publish(update("there", b"gFAR,FRIENDS,1"))
    assert (watching.take(), other.take(), scene.words()) == ([b"gFAR,FRIENDS,1"], [], [])


def test_what_this_replica_has_published_is_not_heard_twice(scene: Grouped) -> None:
    watching = scene.subscriber()
    scene.confirm()
    scene.groups.update(car(), GROUP, b"gDEMO,FRIENDS,1")
    watching.take()
    scene.publish(update("here", b"gDEMO,FRIENDS,1"))
    scene.publish(ask(Address("here", 1)))
    assert watching.take() == []
    assert scene.words() == [Update("here", b"gDEMO,FRIENDS,1")]


def test_who_asks_elsewhere_is_sent_the_updates_of_cars_here(scene: Grouped) -> None:
    scene.groups.update(car(), GROUP, b"gDEMO,FRIENDS,1")
    scene.groups.update(car(), b"OTHERS", b"gDEMO,OTHERS,1")
    scene.take()
    scene.publish(ask(FAR))
    assert scene.take() == [(b"ovms:replica:there", to_peer(7, b"gDEMO,FRIENDS,1"))]


def test_a_subscriber_asks_elsewhere_once_the_group_is_heard(scene: Grouped) -> None:
    watching = scene.subscriber()
    scene.groups.ask(watching, GROUP, 0)
    assert scene.words() == []
    scene.confirm()
    assert scene.words() == [Ask(scene.replicas.address(watching))]
    scene.groups.ask(watching, GROUP, 0)
    assert scene.words() == [Ask(scene.replicas.address(watching))]


def test_every_subscriber_asks_again_where_redis_was_away(scene: Grouped) -> None:
    watching = scene.subscriber()
    scene.confirm()
    assert scene.words() == []
    scene.confirm()
    assert scene.words() == [Ask(scene.replicas.address(watching))]


def test_who_is_no_subscriber_asks_elsewhere_at_once(scene: Grouped) -> None:
    polling = batch()
    scene.groups.ask(polling, GROUP, 0)
    assert scene.words() == [Ask(scene.replicas.address(polling))]
    assert scene.channels.listeners.keys() == {b"ovms:replica:here"}


@pytest.mark.parametrize("body", [b"", b"nonsense", b"update there", b"ask there x"])
def test_what_is_malformed_is_refused(scene: Grouped, body: bytes) -> None:
    watching = scene.subscriber()
    assert not is_read(scene.publish, body)
    assert watching.take() == []


# ---- coming and going


def test_a_group_is_heard_while_somebody_is_in_it(scene: Grouped) -> None:
    module, watching = car(), scene.subscriber()
    assert CHANNEL in scene.channels.listeners
    scene.groups.update(module, GROUP, b"gDEMO,FRIENDS,1")
    scene.groups.leave(watching)
    assert CHANNEL in scene.channels.listeners
    scene.groups.leave(module)
    assert CHANNEL not in scene.channels.listeners


def test_a_name_is_any_bytes(scene: Grouped) -> None:
    watching = scene.subscriber(b"\xff {}")
    scene.groups.update(car(), b"\xff {}", b"gDEMO,\xff {},1")
    assert watching.take() == [b"gDEMO,\xff {},1"]
    assert b"ovms:group:\xff {}" in scene.channels.listeners


def test_nothing_is_kept_of_who_has_left(scene: Grouped) -> None:
    module, watching = car(), scene.subscriber()
    scene.fill()
    watching.is_behind = True
    scene.groups.update(module, GROUP, b"gDEMO,FRIENDS,1")
    scene.wait()
    scene.groups.update(module, GROUP, b"gDEMO,FRIENDS,2")
    watching.take()
    for peer in list(scene.groups._of_peer):
        scene.groups.leave(peer)
    scene.wait()
    scene.groups.leave(watching)
    scene.take()
    polling = batch()
    scene.groups.ask(polling, GROUP, 0)
    assert polling.take() == []
    scene.groups.update(car(), GROUP, b"gOTHER,FRIENDS,1")
    assert watching.take() == []
    groups = scene.groups
    kept = [
        groups._updates,
        groups._subscribers,
        groups._of_peer,
        groups._asking,
        groups._rates,
        groups._pending,
        groups._behind,
    ]
    assert [len(part) for part in kept] == [1, 0, 1, 0, 1, 0, 0]
    groups.leave(polling)
    assert groups._requests == {}


def test_a_group_that_was_left_is_heard_anew_before_it_is_asked(scene: Grouped) -> None:
    watching = scene.subscriber()
    scene.confirm()
    scene.groups.leave(watching)
    again = scene.subscriber()
    scene.groups.ask(again, GROUP, 0)
    assert scene.words() == []
    scene.confirm()
    assert scene.words() == [Ask(scene.replicas.address(again))]


def test_who_leaves_before_the_group_is_heard_asks_nobody(scene: Grouped) -> None:
    stays, leaves = scene.subscriber(), scene.subscriber()
    scene.groups.ask(leaves, GROUP, 0)
    scene.groups.leave(leaves)
    scene.confirm()
    assert scene.words() == []
    assert stays.take() == []


def test_who_asks_again_before_the_group_is_heard_is_noted_once(scene: Grouped) -> None:
    watching = scene.subscriber()
    for _ in range(3):
        scene.groups.ask(watching, GROUP, 0)
    scene.confirm()
    assert scene.words() == [Ask(scene.replicas.address(watching))]


@pytest.mark.parametrize(
    "join",
    [lambda groups, peer, name: groups.subscribe(peer, name), lambda groups, peer, name: groups.update(peer, name, b"g")],
)
def test_one_is_in_so_many_groups_and_no_more(scene: Grouped, join: Callable[[Groups, FakePeer, bytes], None]) -> None:
    peer = app()
    for number in range(MOST_PER_PEER + 3):
        join(scene.groups, peer, b"G%d" % number)
    join(scene.groups, peer, b"G0")
    assert len(scene.channels.listeners) == MOST_PER_PEER + 1
    scene.groups.leave(peer)
    join(scene.groups, peer, b"G99")
    assert b"ovms:group:G99" in scene.channels.listeners
