"""Which of the connections in Redis are at other replicas."""

from typing import Any, cast

import pytest
import redis.asyncio

from car_protocol.rooms.follower import Follower
from ovms.bus.presence import Connected, Present
from unit.car_protocol.rooms.replicas import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def follower(scene: Scene) -> Follower:
    client = redis.asyncio.Redis()  # not connected
    unused = cast("Any", None)
    return Follower(client, unused, unused, scene.replicas, forward=unused, missed=unused, monotonic=unused, wall=unused)


def test_of_two_replicas_with_one_session_the_greater_name_has_it(follower: Follower) -> None:
    replicas = {"zebra": Connected(7, 1, 0), "ant": Connected(7, 2, 0), "zoo": Connected(6, 0, 0)}
    elsewhere = follower.elsewhere(Present(replicas))
    assert (elsewhere.session, elsewhere.replica, elsewhere.outranks, elsewhere.apps) == (7, "zebra", True, 3)
    elsewhere = follower.elsewhere(Present({"ant": Connected(7, 0, 0)}))
    assert (elsewhere.session, elsewhere.replica, elsewhere.outranks) == (7, "ant", False)


def test_what_this_replica_had_announced_under_a_former_name_is_not_elsewhere(follower: Follower, scene: Scene) -> None:
    scene.replicas.renamed("after")
    elsewhere = follower.elsewhere(Present({"here": Connected(7, 1, 0), "after": Connected(7, 1, 0)}))
    assert (elsewhere.session, elsewhere.apps) == (0, 0)
