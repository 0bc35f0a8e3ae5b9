"""Messages `g` of cars and `G` of apps and batch clients."""

from typing import cast

import pytest

from car_protocol.actions.groups import subscribe, update
from car_protocol.rooms.groups import LONGEST_NAME, LONGEST_UPDATE
from fakes.servers import FakeChannels
from ovms.bus.groups import Ask, Update, read_group
from unit.car_protocol.actions.scenes import NOW, Scene

CHANNEL = b"ovms:group:FRIENDS"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_subscribers_get_an_update_with_the_vehicle_and_the_group_in_upper_case(scene: Scene) -> None:
    subscribe(scene.server, scene.room, scene.app, b"Gfriends,1", NOW)
    update(scene.server, scene.room, scene.car, b"gFriends,75.5,a,b\xff", NOW)
    assert scene.take() == {"app": [b"gDEMO,FRIENDS,75.5,a,b\xff"]}
    # Other replicas get updates from the moment the channel is subscribed to (rooms/test_groups.py).
    assert [body for channel, body in scene.told_elsewhere if channel == CHANNEL] == []
    channels = cast("FakeChannels", scene.server.groups._subscriptions)
    channels.listeners[CHANNEL].subscribed()
    published, asked = (read_group(body) for channel, body in scene.told_elsewhere if channel == CHANNEL)
    assert published == Update("here", b"gDEMO,FRIENDS,75.5,a,b\xff")
    assert isinstance(asked, Ask)
    assert (scene.published, scene.waiting()) == ([], {})


def test_a_batch_client_gets_what_is_there_and_nothing_later(scene: Scene) -> None:
    update(scene.server, scene.room, scene.car, b"gfriends,1", NOW)
    subscribe(scene.server, scene.room, scene.batch, b"Gfriends", NOW)
    assert scene.take() == {"batch": [b"gDEMO,FRIENDS,1"]}
    update(scene.server, scene.room, scene.car, b"gfriends,2", NOW)
    assert scene.take() == {}


@pytest.mark.parametrize(
    "message", [b"g", b"gfriends", b"g" + b"n" * (LONGEST_NAME + 1) + b",1", b"gfriends,".ljust(LONGEST_UPDATE + 1, b"x")]
)
def test_what_is_no_update_is_ignored(scene: Scene, message: bytes) -> None:
    update(scene.server, scene.room, scene.car, message, NOW)
    assert (scene.ignored, scene.told_elsewhere) == (1, [])


def test_a_name_may_be_long_but_not_longer(scene: Scene) -> None:
    name = b"n" * LONGEST_NAME
    subscribe(scene.server, scene.room, scene.app, b"G" + name, NOW)
    subscribe(scene.server, scene.room, scene.app, b"G" + name + b"n", NOW)
    update(scene.server, scene.room, scene.car, b"g" + name + b",1", NOW)
    assert scene.take() == {"app": [b"gDEMO," + name.upper() + b",1"]}
    assert scene.ignored == 1


def test_an_update_has_1_kib(scene: Scene) -> None:
    subscribe(scene.server, scene.room, scene.app, b"Gfriends", NOW)
    longest = b"gfriends,".ljust(LONGEST_UPDATE, b"x")
    update(scene.server, scene.room, scene.car, longest, NOW)
    assert scene.take() == {"app": [b"gDEMO,FRIENDS," + longest.partition(b",")[2]]}
