"""What a replica learns of cars and apps elsewhere, over a real Valkey."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from car_protocol.rooms import follower
from car_protocol.rooms.follower import Follower, Learnt
from car_protocol.rooms.hub import Hub, Room
from car_protocol.rooms.lease import Lease
from car_protocol.rooms.publisher import Publisher, publish_head
from car_protocol.rooms.replicas import Replicas
from fakes.peers import app, car
from fakes.rooms import vehicle
from fixtures.cars import DEADLINE
from fixtures.names import DEMO, OTHER
from fixtures.waiting import until
from ovms.bus.channels import messages_channel, peers_channel, replica_channel
from ovms.bus.client import open_redis
from ovms.bus.presence import Connected, Presence
from ovms.bus.replicas import Kept, Unwritten, read_word, written
from ovms.bus.subscriptions import Listener, Subscriptions
from ovms.local.valkey import Valkey

NOW = 5000.0


class Here:
    """The replica `here`, and Redis as the replica `there` uses it."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.redis = client
        self.presence = Presence(client)
        self.subscriptions = Subscriptions(client)
        self.publisher = Publisher(client, Lease(), tick=0.001, limit=1 << 20, monotonic=time.monotonic)
        self.hub = Hub(publish_head, lambda room: self.follower.changed(room))
        self.replicas = Replicas(
            self.publisher,
            self.subscriptions,
            self.hub,
            say=lambda *_: None,
            pending=lambda _: {},
            monotonic=lambda: NOW,
        )
        self.replicas.renamed("here")
        self.forwarded: list[tuple[str, bytes]] = []
        self.missed: list[str] = []
        self.follower = Follower(
            client,
            self.subscriptions,
            self.hub,
            self.replicas,
            forward=lambda room, message, _: self.forwarded.append((room.vehicle_id, message)),
            missed=lambda room: self.missed.append(room.vehicle_id),
            monotonic=asyncio.get_running_loop().time,
            wall=time.time,
        )

    @property
    def room(self) -> Room:
        return self.hub.room(vehicle())

    async def known(self) -> Room:
        """The room, when it is known who is elsewhere and all that is said there is heard."""
        room = self.room
        await until(lambda: room.elsewhere.at and (room.car is not None or room.vehicle in self.follower._hears))
        return room

    async def there(self, session: int, apps: int = 0) -> None:
        """The replica `there` announces what it has connected of the vehicle."""
        await self.presence.announce("there", {DEMO: Connected(session, apps, 0)})

    async def subscribers(self, channel: str) -> int:
        [(_, count)] = await self.redis.pubsub_numsub(channel)
        return int(count)

    async def answer_questions(self, session: int, number: int, *kept: Kept) -> list[Unwritten]:
        """Let the replica `there` answer what it has not written; returns what it is asked."""
        asked: list[Unwritten] = []
        confirmed: list[bool] = []

        def heard(body: bytes) -> None:
            word = read_word(body)
            assert isinstance(word, Unwritten)
            asked.append(word)
            for body in written(word.question, session, number, "token", kept):
                self.publisher.publish_on(replica_channel(word.replica).encode(), body)

        channel = replica_channel("there").encode()
        self.subscriptions.hear(channel, Listener(heard, lambda: confirmed.append(True)))
        await until(lambda: confirmed)
        return asked


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Here]:
    client = open_redis(url, socket_timeout=None)
    here = Here(client)
    tasks = [asyncio.create_task(part.run()) for part in (here.subscriptions, here.publisher, here.follower)]
    try:
        yield here
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await client.aclose()


@pytest.fixture
async def here(redis_url: str) -> AsyncIterator[Here]:
    async with running(redis_url) as here:
        for replica in ("here", "there"):
            await here.presence.begin_replica(replica)
        yield here


# ---- who is elsewhere


async def test_watchers_are_told_that_a_car_elsewhere_comes_and_goes(here: Here) -> None:
    watching = app()
    here.hub.join_watcher(here.room, watching, NOW)
    await here.known()
    await here.there(5)
    await until(lambda: watching.sent == [b"Z1"])
    await here.there(0)
    await until(lambda: watching.sent == [b"Z1", b"Z0"])


async def test_what_was_so_before_somebody_came_is_known_and_told_to_nobody(here: Here) -> None:
    await here.there(5, 2)
    await here.presence.connect(DEMO, "one", 60)
    watching = app()
    here.hub.join_watcher(here.room, watching, NOW)
    room = await here.known()
    assert (room.elsewhere.session, room.elsewhere.replica, room.elsewhere.watching) == (5, "there", 3)
    assert watching.sent == []


async def test_what_is_connected_here_or_at_a_dead_replica_is_not_elsewhere(here: Here) -> None:
    await here.presence.announce("here", {DEMO: Connected(7, 4, 0)})
    await here.presence.announce("dead", {DEMO: Connected(9, 4, 0)})
    await here.there(5, 1)
    here.hub.join_watcher(here.room, app(), NOW)
    room = await here.known()
    assert (room.elsewhere.session, room.elsewhere.replica, room.elsewhere.watching) == (5, "there", 1)


async def test_the_car_is_told_how_many_watch_it_elsewhere_and_that_a_lease_has_ended(here: Here) -> None:
    module = car()
    here.hub.join_car(here.room, module, NOW, epoch=9)
    await here.known()
    await here.there(0, 2)
    await until(lambda: module.sent[-1] == b"Z2")
    await here.presence.connect(DEMO, "short", 0.3)
    await until(lambda: module.sent[-1] == b"Z3")
    await until(lambda: module.sent[-1] == b"Z2")


async def test_a_car_gives_way_to_a_newer_session_elsewhere(here: Here) -> None:
    module, watching = car(), app()
    here.hub.join_car(here.room, module, NOW, epoch=9)
    here.hub.join_watcher(here.room, watching, NOW)
    room = await here.known()
    watching.take()
    await here.there(8)
    await here.there(10)
    await until(lambda: module.closed)
    assert (watching.take(), room.car, room.elsewhere.session) == ([b"Z0", b"Z1"], None, 10)


async def test_a_malformed_body_changes_nothing(here: Here) -> None:
    here.hub.join_watcher(here.room, app(), NOW)
    room = await here.known()
    with capture_logs() as logs:
        await here.redis.publish(peers_channel(DEMO), b"nonsense")
        await until(lambda: logs)
    await here.there(5)
    await until(lambda: room.elsewhere.session == 5)


# ---- what a car elsewhere says


async def test_what_a_car_elsewhere_says_is_passed_on(here: Here) -> None:
    here.hub.join_watcher(here.room, app(), NOW)
    await here.known()
    for body in (b"5-1 S1", b"5-2 ", b"malformed", b"5-3 \x00\xff"):
        await here.redis.publish(messages_channel(DEMO), body)
    await here.redis.publish(messages_channel(OTHER), b"6-1 S2")
    await until(lambda: len(here.forwarded) == 2)
    assert here.forwarded == [("DEMO", b"S1"), ("DEMO", b"\x00\xff")]


async def test_what_was_dropped_of_a_car_elsewhere_is_made_up_for_once_it_is_known_where_it_is(here: Here) -> None:
    here.hub.join_watcher(here.room, app(), NOW)
    await here.known()
    for body in (b"5-1 ", b"5-2 S1"):
        await here.redis.publish(messages_channel(DEMO), body)
    await until(lambda: here.forwarded)
    assert here.missed == []
    await here.there(5)
    await until(lambda: here.missed)
    await here.redis.publish(messages_channel(DEMO), b"5-3 ")
    await until(lambda: here.missed == ["DEMO", "DEMO"])


async def test_a_car_that_is_here_is_not_heard_over_redis_and_is_again_when_it_has_gone(here: Here) -> None:
    module = car()
    here.hub.join_watcher(here.room, app(), NOW)
    room = await here.known()
    here.hub.join_car(room, module, NOW, epoch=9)
    await here.redis.publish(messages_channel(DEMO), b"5-1 S1")
    while await here.subscribers(messages_channel(DEMO)):
        pass
    assert (await here.subscribers(peers_channel(DEMO)), here.forwarded) == (1, [])
    here.hub.leave(room, module, NOW)
    await here.known()
    await here.redis.publish(messages_channel(DEMO), b"5-2 S2")
    await until(lambda: here.forwarded == [("DEMO", b"S2")])
    assert here.missed == []


async def test_what_a_car_has_said_here_is_not_heard_again_when_it_has_gone(here: Here) -> None:
    module = car()
    here.hub.join_watcher(here.room, app(), NOW)
    room = await here.known()
    here.hub.join_car(room, module, NOW, epoch=9)
    here.publisher.publish(room, b"S1")
    here.hub.leave(room, module, NOW)
    here.publisher.publish(room, b"S2")
    await here.known()
    await here.redis.publish(messages_channel(DEMO), b"5-3 S3")
    await until(lambda: here.forwarded)
    assert here.forwarded == [("DEMO", b"S3")]


async def test_others_are_heard_also_where_nothing_of_ours_comes_back(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "ECHO_WITHIN", 0.05)
    module = car()
    here.hub.join_watcher(here.room, app(), NOW)
    room = await here.known()
    here.hub.join_car(room, module, NOW, epoch=9)
    here.subscriptions.leave(replica_channel("here").encode())
    here.hub.leave(room, module, NOW)
    await here.known()
    await here.redis.publish(messages_channel(DEMO), b"5-3 S3")
    await until(lambda: here.forwarded == [("DEMO", b"S3")])


async def test_nothing_is_subscribed_to_where_nobody_is_left(here: Here) -> None:
    module, watching = car(), app()
    room = here.room
    here.hub.join_car(room, module, NOW, epoch=9)
    here.hub.join_watcher(room, watching, NOW)
    await here.known()
    here.hub.leave(room, module, NOW)
    await here.known()
    here.hub.leave(room, watching, NOW)
    while await here.redis.pubsub_channels("ovms:{*"):
        pass
    follower = here.follower
    parts = (follower._rooms, follower._heard, follower._hears, follower._learning, follower._may_have_missed)
    assert not any((*parts, follower._echoes))


async def test_who_comes_back_to_a_new_room_is_heard_there_alone(here: Here) -> None:
    first, second = app(), app()
    former = here.room
    here.hub.join_watcher(former, first, NOW)
    await here.known()
    here.hub.leave(former, first, NOW)
    here.hub.join_watcher(here.room, second, NOW)
    assert here.room is not former
    await here.known()
    await here.there(5)
    await until(lambda: second.sent == [b"Z1"])
    assert (first.sent, former.elsewhere.session) == ([], 0)


# ---- what came before


class Pupil:
    """Keeps what it learns."""

    def __init__(self, here: Here) -> None:
        self.learnt: list[Learnt] = []
        here.hub.join_watcher(here.room, app(), NOW)
        here.follower.learn(here.room, self.learnt.append)

    async def lesson(self) -> Learnt:
        await until(lambda: self.learnt)
        [learnt] = self.learnt
        return learnt


async def test_of_a_car_that_is_nowhere_all_is_stored_until_now(here: Here) -> None:
    learnt = await Pupil(here).lesson()
    assert learnt.written is None
    assert abs(learnt.session / 1000 - time.time()) < DEADLINE
    [claim] = await here.presence.claim("there", [(DEMO, 0)])
    assert claim.epoch > learnt.session


async def test_the_replica_of_a_car_is_asked_what_it_has_not_written(here: Here) -> None:
    kept = Kept(b"S1", 1700000000.5, None, 5, 6)
    asked = await here.answer_questions(5, 7, kept)
    await here.there(5)
    learnt = await Pupil(here).lesson()
    assert (learnt.session, learnt.number) == (5, 7)
    assert learnt.written is not None
    assert (learnt.written.paranoid_token, learnt.written.messages) == ("token", (kept,))
    assert [(question.vehicle, question.replica) for question in asked] == [(1, "here")]


async def test_all_of_a_session_that_has_ended_before_the_answer_is_stored_or_in_the_answer(here: Here) -> None:
    await here.answer_questions(0, 0)
    await here.there(5)
    learnt = await Pupil(here).lesson()
    assert (learnt.session, learnt.number, learnt.written is not None) == (5, math.inf, True)


async def test_the_replica_that_had_the_car_last_is_asked_too(here: Here) -> None:
    asked = await here.answer_questions(0, 0)
    [claim] = await here.presence.claim("there", [(DEMO, 0)])
    await here.there(0)
    learnt = await Pupil(here).lesson()
    assert (learnt.session >= claim.epoch - 1, learnt.written is not None, len(asked)) == (True, True, 1)


async def test_a_replica_that_had_the_car_and_has_ended_is_not_asked(here: Here) -> None:
    await here.presence.claim("there", [(DEMO, 0)])
    await here.presence.clear_replica("there")
    assert (await Pupil(here).lesson()).written is None


async def test_this_replica_is_not_asked(here: Here) -> None:
    await here.presence.claim("here", [(DEMO, 0)])
    assert (await Pupil(here).lesson()).written is None


async def test_who_comes_later_learns_it_too(here: Here) -> None:
    await Pupil(here).lesson()
    assert (await Pupil(here).lesson()).written is None


@pytest.mark.parametrize("happens", ["the car comes", "nobody is left"])
async def test_nothing_is_left_to_learn_where_the_car_comes_or_nobody_is_left(here: Here, happens: str) -> None:
    learnt: list[Learnt] = []
    room, watching = here.room, app()
    here.hub.join_watcher(room, watching, NOW)
    here.follower.learn(room, learnt.append)
    if happens == "the car comes":
        here.hub.join_car(room, car(), NOW, epoch=9)
        assert learnt == [Learnt(8)]
    else:
        here.hub.leave(room, watching, NOW)
        assert learnt == [Learnt(-1)]


async def test_who_waits_no_more_is_not_told(here: Here) -> None:
    learnt: list[Learnt] = []
    room, watching = here.room, app()
    here.hub.join_watcher(room, watching, NOW)
    gone = learnt.append
    here.follower.learn(room, gone)
    here.follower.forget(room, gone)
    here.follower.forget(room, gone)
    assert (await Pupil(here).lesson()).written is None
    assert learnt == []


async def test_of_many_vehicles_some_are_asked_about_at_a_time(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "ASKED_AT_ONCE", 2)
    rooms = [here.hub.room(vehicle(key, f"CAR{key}")) for key in range(1, 6)]
    for room in rooms:
        here.hub.join_watcher(room, app(), NOW)
    await until(lambda: all(room.elsewhere.at for room in rooms))
    assert len({room.elsewhere.at for room in rooms}) > 1


# ---- Redis away


async def test_what_may_have_been_missed_of_a_car_elsewhere_is_made_up_for(here: Here) -> None:
    await here.there(5)
    here.hub.join_watcher(here.room, app(), NOW)
    await here.known()
    await until(lambda: here.missed == ["DEMO"])
    await here.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: here.missed == ["DEMO", "DEMO"])


async def test_what_a_replica_that_has_lost_its_lease_has_not_published_is_made_up_for(here: Here) -> None:
    here.hub.join_watcher(here.room, app(), NOW)
    await here.known()
    await here.there(5)
    await until(lambda: here.missed == ["DEMO"])
    await here.presence.clear_replica("there")
    await here.presence.begin_replica("another")
    await here.presence.announce("another", {DEMO: Connected(5, 0, 0)})
    await until(lambda: here.missed == ["DEMO", "DEMO"])
    await here.presence.announce("another", {DEMO: Connected(6, 0, 0)})
    await until(lambda: here.room.elsewhere.session == 6)
    assert here.missed == ["DEMO", "DEMO"]


async def test_of_a_car_that_is_nowhere_nothing_is_missed_until_it_comes(here: Here) -> None:
    here.hub.join_watcher(here.room, app(), NOW)
    room = await here.known()
    before = room.elsewhere.at
    await here.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: room.elsewhere.at > before)
    assert here.missed == []
    await here.there(5)
    await until(lambda: here.missed == ["DEMO"])
    assert not here.follower._may_have_missed


async def test_what_was_missed_is_made_up_for_where_redis_has_come_back_empty(here: Here) -> None:
    await here.there(5)
    here.hub.join_watcher(here.room, app(), NOW)
    room = await here.known()
    await until(lambda: here.missed == ["DEMO"])
    await here.redis.flushall()
    await here.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: room.elsewhere.session == 0)
    await here.presence.begin_replica("there")
    await here.there(5)
    await until(lambda: room.elsewhere.session == 5)
    await until(lambda: here.missed == ["DEMO", "DEMO"], 1)


async def test_redis_is_asked_when_it_is_back(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path)
    valkey.start()
    try:
        async with running(valkey.url) as here:
            here.hub.join_watcher(here.room, app(), NOW)
            room = await here.known()
            with capture_logs() as logs:
                valkey.kill()
                here.follower.learn(room, lambda _: None)
                await until(lambda: any(line.get("effect") == "remote presence is read later" for line in logs))
            valkey.start()
            await here.presence.begin_replica("there")
            await here.there(5)
            await until(lambda: room.elsewhere.session == 5)
    finally:
        valkey.stop()
