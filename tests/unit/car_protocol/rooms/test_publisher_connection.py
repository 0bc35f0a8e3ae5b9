"""When the publisher leaves its connection, which answers nothing unless it is told to."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from car_protocol.rooms import publisher as module
from car_protocol.rooms.hub import Room
from car_protocol.rooms.lease import Lease
from car_protocol.rooms.publisher import Publisher, publish_head
from fixtures.waiting import until
from ovms.bus.presence import REPLICA_LEASE
from ovms.db.logins import Vehicle
from ovms.identity import VehicleName


class MuteRedis:
    """A client, its pool and its only connection."""

    def __init__(self) -> None:
        self.connection_pool = self
        self.connections = 0
        self.is_connected = True
        self.sent: list[bytes] = []
        self.replies: asyncio.Queue[bytes] = asyncio.Queue()

    async def get_connection(self) -> "MuteRedis":
        self.connections += 1
        return self

    async def release(self, connection: "MuteRedis") -> None:
        """Nobody else wants it."""

    async def disconnect(self, *, nowait: bool) -> None:
        """It is gone."""

    async def send_command(self, *words: str) -> None:
        """That it is to be mute."""

    async def send_packed_command(self, command: bytes, check_health: bool) -> None:
        self.sent.append(command)

    async def read_response(self) -> bytes:
        return await self.replies.get()

    @property
    def questions(self) -> int:
        return sum(b"CLIENT" in command for command in self.sent)


@pytest.fixture
async def redis(monkeypatch: pytest.MonkeyPatch) -> MuteRedis:
    monkeypatch.setattr(module, "RETRY_AFTER", 0.0)
    return MuteRedis()


@pytest.fixture
def lease() -> Lease:
    return Lease()


@pytest.fixture
async def publisher(redis: MuteRedis, lease: Lease) -> AsyncIterator[Publisher]:
    made = Publisher(cast("Any", redis), lease, tick=0.0, limit=1 << 20, monotonic=time.monotonic)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.wait([task])


async def test_a_redis_that_replies_when_it_is_told_to_goes_on(
    redis: MuteRedis, publisher: Publisher, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_EVERY", 0.0)
    for number in range(1, 4):
        publisher.publish_on(b"channel", b"body")
        redis.replies.put_nowait(b"OK")
        await until(lambda number=number: redis.questions == number and redis.replies.empty())
    assert (redis.connections, publisher.published, publisher.dropped) == (1, 3, 0)


async def test_past_its_lease_nothing_is_published(redis: MuteRedis, publisher: Publisher, lease: Lease) -> None:
    redis.replies.put_nowait(b"OK")
    lease.renewed(time.monotonic() - REPLICA_LEASE)
    publisher.publish_on(b"channel", b"past")
    await until(lambda: publisher.dropped)
    lease.renewed(time.monotonic())
    publisher.publish_on(b"channel", b"news")
    await until(lambda: publisher.published)
    assert (publisher.published, publisher.dropped, redis.connections) == (1, 1, 1)
    assert b"past" not in b"".join(redis.sent)


async def test_it_is_not_told_to_at_every_write(redis: MuteRedis, publisher: Publisher) -> None:
    redis.replies.put_nowait(b"OK")
    for number in range(1, 4):
        publisher.publish_on(b"channel", b"body")
        await until(lambda number=number: publisher.published == number)
    assert redis.questions == 1


async def test_a_redis_that_hangs_is_left(redis: MuteRedis, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_TIMEOUT", 0.01)
    publisher.publish_on(b"channel", b"body")
    await until(lambda: redis.connections == 2)


async def test_nothing_is_sent_where_redis_py_would_connect_again(redis: MuteRedis, publisher: Publisher) -> None:
    await until(lambda: redis.connections == 1)
    redis.is_connected = False
    publisher.publish_on(b"channel", b"body")
    await until(lambda: redis.connections == 2)
    assert (redis.sent, publisher.dropped) == ([], 1)


# ---- who watches is told that something was dropped


def published(body: bytes) -> bytes:
    return publish_head(VehicleName("Demo", 7)) + b"%d\r\n%b\r\n" % (len(body), body)


@pytest.fixture
def room() -> Room:
    made = Room(Vehicle(7, "Demo", b"", "k1", ""), publish_head(VehicleName("Demo", 7)))
    made.epoch = 5
    return made


async def test_who_watches_is_told_once_of_what_a_redis_that_is_away_did_not_take(
    redis: MuteRedis, publisher: Publisher, room: Room
) -> None:
    await until(lambda: redis.connections == 1)
    redis.is_connected = False
    for message in (b"S1", b"S2"):
        publisher.publish(room, message)
    publisher.publish_on(b"ovms:replica:there", b"a question")
    await until(lambda: publisher.dropped == 3)
    redis.is_connected = True
    redis.replies.put_nowait(b"OK")
    await until(lambda: redis.sent)
    assert redis.sent[0] == published(b"5-2 ")
    publisher.publish(room, b"S3")
    await until(lambda: publisher.published)
    assert redis.sent[-1].endswith(b"$6\r\n5-3 S3\r\n")
    assert b"".join(redis.sent).count(b"5-2 ") == 1


async def test_who_watches_is_told_that_there_was_too_much(redis: MuteRedis, lease: Lease, room: Room) -> None:
    publisher = Publisher(cast("Any", redis), lease, tick=0.0, limit=0, monotonic=time.monotonic)
    redis.replies.put_nowait(b"OK")
    for message in (b"S1", b"S2"):
        publisher.publish(room, message)
    task = asyncio.create_task(publisher.run())
    await until(lambda: publisher.published)
    task.cancel()
    await asyncio.wait([task])
    assert redis.sent[0] == published(b"5-2 ") + published(b"5-1 S1")
    assert (publisher.published, publisher.dropped) == (1, 1)


async def test_he_is_told_of_it_also_where_that_fails_at_first(
    redis: MuteRedis, publisher: Publisher, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OSError, OSError])

    async def send(command: bytes, check_health: bool) -> None:
        if failure := next(failures, None):
            raise failure
        redis.sent.append(command)

    monkeypatch.setattr(redis, "send_packed_command", send)
    redis.replies.put_nowait(b"OK")
    publisher.publish(room, b"S1")
    await until(lambda: redis.sent)
    assert (redis.sent[0], redis.connections, publisher.dropped) == (published(b"5-1 "), 3, 1)


async def test_he_is_told_what_was_not_published_past_the_lease_once_there_is_one_again(
    redis: MuteRedis, publisher: Publisher, lease: Lease, room: Room
) -> None:
    redis.replies.put_nowait(b"OK")
    lease.renewed(time.monotonic() - REPLICA_LEASE)
    publisher.publish(room, b"S1")
    await until(lambda: publisher.dropped)
    assert published(b"5-1 ") not in redis.sent
    lease.renewed(time.monotonic())
    await until(lambda: published(b"5-1 ") in redis.sent)


async def test_a_message_that_is_dropped_takes_a_number(lease: Lease, room: Room) -> None:
    publisher = Publisher(cast("Any", MuteRedis()), lease, tick=0.0, limit=0, monotonic=time.monotonic)
    for _ in range(3):
        publisher.publish(room, b"S75")
    assert (publisher.dropped, room.message_number) == (2, 3)


async def test_a_message_outside_sessions_takes_no_number_and_makes_no_position(
    redis: MuteRedis, lease: Lease, room: Room
) -> None:
    publisher = Publisher(cast("Any", redis), lease, tick=0.0, limit=0, monotonic=time.monotonic)
    redis.replies.put_nowait(b"OK")
    for message in (b"PA1", b"PA2"):
        publisher.publish_outside_sessions(room, message)
    task = asyncio.create_task(publisher.run())
    await until(lambda: publisher.published)
    task.cancel()
    await asyncio.wait([task])
    assert (redis.sent[0], publisher.dropped, room.message_number) == (published(b"0-0 PA1"), 1, 0)
