"""Who comes in is told what was before, once and in order, wherever the car is; over a real PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from car_protocol.actions.elsewhere import forward
from car_protocol.logins import greeter as module
from car_protocol.logins.greeter import BATCH, Greeter
from car_protocol.rooms.follower import Answer, Learnt
from car_protocol.rooms.hub import Elsewhere, Room
from car_protocol.storage.recorder import Recorder
from car_protocol.wall_clock import WallClock
from fakes.peers import FakePeer, car
from fakes.rooms import hub, vehicle
from fakes.servers import make_server
from fakes.stores import FakeStore
from fixtures.cars import add_vehicles
from fixtures.waiting import until
from ovms.bus.replicas import Kept, Written
from ovms.db.engine import Pool
from ovms.db.writer import StateRow, write_states
from ovms.identity import Role

POSITION = 10
"""The number of the last message of the car before its replica answers."""


class Watcher(FakePeer):
    """An app, as the greeter sees it: what it is sent waits while it is held back."""

    def __init__(self) -> None:
        super().__init__(Role.APP)
        self._held: list[bytes] | None = None

    @property
    def is_held_back(self) -> bool:
        return self._held is not None

    def hold_back(self) -> None:
        self._held = []

    def release(self, greeting: Sequence[bytes]) -> None:
        held, self._held = self._held or [], None
        self.sent += [*greeting, *held]

    def send(self, message: bytes, now: float) -> None:
        (self.sent if self._held is None else self._held).append(message)


class FakeFollower:
    """Keeps who wants to learn of cars elsewhere."""

    def __init__(self) -> None:
        self.pupils: list[Answer] = []
        self.put_off = 0

    def learn(self, room: Room, answer: Answer) -> None:
        if answer not in self.pupils:
            self.pupils.append(answer)

    def forget(self, room: Room, answer: Answer) -> None:
        self.pupils.remove(answer)

    def may_have_missed(self, room: Room) -> None:
        self.put_off += 1

    def teach(self, learnt: Learnt) -> None:
        """Tell all who want to learn."""
        pupils, self.pupils = self.pupils, []
        for answer in pupils:
            answer(learnt)


class SlowPool:
    """Answers from the database as it was when it was asked, when a test lets it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.open = asyncio.Event()
        self.open.set()
        self.asked = 0
        self.is_away = False

    async def fetch(self, *arguments: Any) -> Any:
        self.asked += 1
        if self.is_away:
            raise ConnectionRefusedError
        rows = await self._pool.fetch(*arguments)
        await self.open.wait()
        return rows


class Scene:
    """A greeter at work, and the room of a vehicle in the database."""

    def __init__(self, pool: Pool, key: int) -> None:
        loop = asyncio.get_running_loop()
        self.pool, self.follower, self.hub = SlowPool(pool), FakeFollower(), hub()
        self.store = FakeStore()
        self.recorder = Recorder(
            self.store,
            monotonic=loop.time,
            clock=WallClock(loop.time, time.time),
            tick=0.0,
            limit=1 << 20,
            keeps_state_history=False,
            resumed=lambda: None,
        )
        self.greeter = Greeter(cast("Any", self.pool), self.recorder, cast("Any", self.follower))
        self.room = self.hub.room(vehicle(key))
        self._real_pool = pool
        self._server = make_server()

    def join(self) -> Watcher:
        """An app that has just been let in."""
        watcher = Watcher()
        self.hub.join_watcher(self.room, watcher, 0)
        self.greeter.expect(watcher, self.room)
        return watcher

    def car_is_here(self, epoch: int = 5) -> None:
        self.hub.join_car(self.room, car(), 0, epoch=epoch)

    def car_is_there(self, session: int = 5) -> None:
        self.hub.changed_elsewhere(self.room, Elsewhere(session, "there", at=self.room.elsewhere.at + 1), 0)

    def car_says(self, *messages: bytes) -> None:
        """It is heard from elsewhere."""
        for message in messages:
            forward(self._server, self.room, message, asyncio.get_running_loop().time())

    async def stored(self, *messages: bytes, epoch: int = 5, ago: float = 100, sealed_with: str | None = None) -> None:
        """PostgreSQL has these; those whose time is in the future were sent after the car's replica has answered."""
        at, number = time.time() - ago, POSITION + 1 if ago < 0 else 0
        rows = [
            StateRow(self.room.vehicle, chr(message[0]), message[1:], at, epoch, number, sealed_with) for message in messages
        ]
        await write_states(self._real_pool, rows)

    def written(self, *messages: bytes, epoch: int = 5, token: str | None = "", ago: float = 10) -> Learnt:
        """The car's replica answers that it has not written these yet."""
        at = time.time()
        kept = tuple(Kept(message, at - ago, None, epoch, POSITION) for message in messages)
        return Learnt(epoch, POSITION, Written(1, epoch, POSITION, token, kept))


@asynccontextmanager
async def working(scene: Scene) -> AsyncIterator[Scene]:
    task = asyncio.create_task(scene.greeter.run())
    try:
        yield scene
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def scene(pool: Pool, secret_keys: str) -> AsyncIterator[Scene]:
    [key] = await add_vehicles(pool, secret_keys, "DEMO")
    async with working(Scene(pool, key)) as scene:
        yield scene


async def hears(watcher: Watcher, *expected: bytes, within: float = 10) -> None:
    """It has been sent exactly these; ages are in tens of seconds."""
    await until(lambda: len(watcher.sent) >= len(expected), within)
    assert [_rounded(message) for message in watcher.take()] == list(expected)


def _rounded(message: bytes) -> bytes:
    return b"T%d" % (int(message[1:]) // 10 * 10) if message[:1] == b"T" and len(message) <= 4 else message


# ---- the car is here


async def test_what_is_stored_and_what_waits_then_what_came_meanwhile(scene: Scene) -> None:
    await scene.stored(b"S1", b"D1", b"F1")
    scene.car_is_here()
    scene.recorder.put_state(scene.room, b"S2", asyncio.get_running_loop().time() - 20)
    scene.pool.open.clear()
    watcher = scene.join()
    await until(lambda: scene.pool.asked)
    watcher.send(b"S3", 0)
    assert watcher.sent == []
    scene.pool.open.set()
    await hears(watcher, b"Z1", b"F1", b"S2", b"D1", b"T20", b"S3")


async def test_what_is_written_and_forgotten_before_the_database_answers_is_told(scene: Scene) -> None:
    scene.car_is_here()
    scene.recorder.put_state(scene.room, b"S2", asyncio.get_running_loop().time() - 20)
    watcher = scene.join()
    await scene.recorder.flush()
    await hears(watcher, b"Z1", b"S2", b"T20")


async def test_who_has_gone_is_greeted_no_more(scene: Scene) -> None:
    scene.car_is_here()
    gone, stays = scene.join(), scene.join()
    gone.is_gone = True
    await until(lambda: stays.sent)
    assert gone.sent == []


async def test_many_are_greeted_with_few_questions(scene: Scene) -> None:
    scene.car_is_here()
    watchers = [scene.join() for _ in range(BATCH + 1)]
    await until(lambda: all(watcher.sent for watcher in watchers))
    assert scene.pool.asked == 2


# ---- the car is elsewhere


@pytest.fixture
def found_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEARN_AT_LAST", 0.0)


async def test_nobody_is_greeted_before_it_is_known_what_he_hears(scene: Scene) -> None:
    scene.car_is_there()
    watcher = scene.join()
    assert (watcher.is_held_back, scene.room.is_known, scene.pool.asked) == (True, True, 0)
    scene.follower.teach(scene.written())
    await hears(watcher, b"Z1", b"T3020399")


async def test_what_is_not_written_is_newer_than_what_is_stored(scene: Scene) -> None:
    await scene.stored(b"S1", b"D1")
    scene.car_is_there()
    watcher = scene.join()
    scene.follower.teach(scene.written(b"S2", b"L2"))
    await hears(watcher, b"Z1", b"S2", b"D1", b"L2", b"T10")


async def test_what_was_heard_before_the_answer_is_in_it_and_what_comes_later_is_told_after_the_greeting(scene: Scene) -> None:
    scene.car_is_there()
    watcher = scene.join()
    scene.car_says(b"S1", b"S2")
    scene.follower.teach(scene.written(b"S2"))
    scene.car_says(b"S3")
    await hears(watcher, b"Z1", b"S2", b"T10", b"S3", b"T0")


async def test_what_was_stored_after_the_answer_is_heard_and_not_told_twice(scene: Scene) -> None:
    scene.car_is_there()
    await scene.stored(b"S1")
    watcher = scene.join()
    learnt = scene.written()
    await scene.stored(b"S2", ago=-1)
    await scene.stored(b"D2", epoch=6, ago=50)
    scene.follower.teach(learnt)
    await hears(watcher, b"Z1", b"T3020399")


async def test_of_a_car_that_is_nowhere_all_is_told_that_came_before(scene: Scene) -> None:
    await scene.stored(b"S1")
    await scene.stored(b"D2", epoch=9)
    watcher = scene.join()
    scene.follower.teach(Learnt(8))
    await hears(watcher, b"Z0", b"S1", b"T100")


async def test_what_its_next_session_says_is_heard_at_once(scene: Scene) -> None:
    await scene.stored(b"S1")
    watcher = scene.join()
    scene.follower.teach(Learnt(8))
    await hears(watcher, b"Z0", b"S1", b"T100")
    scene.car_is_there(9)
    scene.car_says(b"D1")  # before the greeter knows
    scene.greeter.greet_again(scene.room)
    scene.car_says(b"D2", b"D3")
    await hears(watcher, b"Z1", b"D1", b"T0", b"D2", b"T0", b"D3", b"T0")
    scene.follower.teach(scene.written(b"D3", b"V3", epoch=9))
    await hears(watcher, b"V3", b"T10")


async def test_so_it_is_where_that_has_begun_while_the_database_was_asked(scene: Scene) -> None:
    scene.pool.open.clear()
    watcher = scene.join()
    scene.follower.teach(Learnt(8))
    await until(lambda: scene.pool.asked)
    scene.car_is_there(9)
    scene.car_says(b"D1")
    scene.pool.open.set()
    await hears(watcher, b"Z1", b"T3020399", b"D1", b"T0", b"Z1")
    assert scene.room.learning == {}


@pytest.mark.parametrize(
    ("session", "changes"), [(0, [b"Z1"]), (8, [b"Z0", b"Z1"])], ids=["from nowhere", "after a session elsewhere"]
)
async def test_a_session_that_begins_before_an_answer_about_the_former_one_is_complete(
    scene: Scene, session: int, changes: list[bytes]
) -> None:
    """The answer neither contains what the session has sent nor lets its rows into the greeting."""
    await scene.stored(b"S1", b"V1", epoch=8)
    scene.car_is_there(session)
    watcher = scene.join()
    answer = scene.written(epoch=8)
    scene.car_is_there(9)
    scene.car_says(b"S2", b"V2")
    await scene.stored(b"S2", b"V2", epoch=9, ago=10)
    scene.follower.teach(answer)
    assert (watcher.sent, len(scene.follower.pupils)) == ([], 1)
    scene.follower.teach(scene.written(epoch=9))
    scene.car_says(b"S3")
    await hears(watcher, b"Z1", b"S2", b"V2", b"T10", *changes, b"S3", b"T0")
    assert scene.room.learning == {}


@pytest.mark.usefixtures("impatient")
async def test_such_a_session_is_complete_where_nobody_answers_in_time(scene: Scene) -> None:
    await scene.stored(b"S1", b"V1", epoch=8)
    watcher = scene.join()
    answer = scene.written(epoch=8)
    scene.car_is_there(9)
    scene.car_says(b"S2", b"V2")
    await scene.stored(b"S2", b"V2", epoch=9, ago=10)
    scene.follower.teach(answer)
    await hears(watcher, b"Z1", b"S2", b"V2", b"T10")


@pytest.mark.parametrize("ago", [-1, 10])
async def test_what_a_car_that_was_nowhere_had_said_is_not_told_after_what_is_later(scene: Scene, ago: float) -> None:
    """Redis has come back empty, and the car's replica publishes what waited there before it announces the car."""
    await scene.stored(b"S2", ago=ago)
    watcher = scene.join()
    scene.follower.teach(Learnt(8))
    await until(lambda: watcher.sent)
    assert watcher.take()[:2] == [b"Z0", b"S2"]
    scene.car_says(b"S1", b"S2")
    assert (watcher.sent, scene.follower.put_off) == ([], 1)
    scene.car_is_there()
    scene.greeter.greet_again(scene.room)
    scene.follower.teach(scene.written(b"S2", b"D1", ago=ago))
    await until(lambda: len(watcher.sent) > 1 and not watcher.is_held_back)
    assert watcher.take()[:2] == [b"Z1", b"D1"]
    scene.car_says(b"S3")
    await hears(watcher, b"S3", b"T0")


async def test_so_it_is_where_it_is_found_while_the_database_is_asked(scene: Scene) -> None:
    await scene.stored(b"S2")
    scene.pool.open.clear()
    watcher = scene.join()
    scene.follower.teach(Learnt(8))
    await until(lambda: scene.pool.asked)
    scene.car_is_there()
    scene.pool.open.set()
    await until(lambda: watcher.sent and scene.follower.pupils)
    watcher.take()
    scene.car_says(b"S1", b"S2", b"S3")
    assert watcher.sent == []
    scene.follower.teach(scene.written(b"S3"))
    await hears(watcher, b"S3", b"T10")


@pytest.mark.usefixtures("found_by_nobody")
@pytest.mark.parametrize(
    ("said", "kept", "ago", "told"),
    [
        ([b"S1", b"S2"], b"S0", 100, [b"S0", b"T100", b"S1", b"T0", b"S2", b"T0"]),
        ([b"S1", b"S2"], b"S1", -1, [b"S1", b"T0", b"S2", b"T0"]),
        ([b"S1", b"S2"], b"S2", -1, [b"S2", b"T0"]),
        ([b"S1", b"S2", b"S1", b"F2", b"D2"], b"S1", -1, [b"S1", b"T0", b"F2", b"f9.9", b"T0", b"D2", b"T0"]),
        # He has missed this, or it would be among the others.
        ([b"S1", b"S2"], b"S3", -1, [b"S3", b"T0"]),
    ],
)
async def test_nothing_is_told_after_what_is_later(
    scene: Scene, said: list[bytes], kept: bytes, ago: float, told: list[bytes]
) -> None:
    watcher = scene.join()
    scene.car_says(*said)
    await scene.stored(kept, ago=ago)
    scene.follower.teach(Learnt(8))
    await until(lambda: watcher.sent and not scene.room.learning)
    await hears(watcher, b"Z0", *told)


@pytest.mark.usefixtures("found_by_nobody")
async def test_what_no_app_can_open_hides_nothing_that_it_can(scene: Scene) -> None:
    scene.room.paranoid_token = "newer"
    watcher = scene.join()
    scene.car_says(b"EMS1", b"S2")
    await scene.stored(b"S1", ago=-1, sealed_with="former")
    scene.follower.teach(Learnt(8))
    await hears(watcher, b"Z0", b"T3020399", b"EMS1", b"T0", b"S2", b"T0")


async def test_the_replica_of_the_car_names_its_key(scene: Scene) -> None:
    scene.room.paranoid_token = "former"
    await scene.stored(b"S1", sealed_with="former")
    await scene.stored(b"D1", sealed_with="newer")
    scene.car_is_there()
    watcher = scene.join()
    scene.follower.teach(scene.written(token="newer"))
    await hears(watcher, b"Z1", b"ETnewer", b"EMD1", b"T100")
    assert scene.room.paranoid_token == "newer"


async def test_a_replica_that_does_not_know_the_key_changes_nothing(scene: Scene) -> None:
    scene.room.paranoid_token = "known"
    await scene.stored(b"S1", sealed_with="known")
    scene.car_is_there()
    watcher = scene.join()
    scene.follower.teach(scene.written(token=None))
    await hears(watcher, b"Z1", b"ETknown", b"EMS1", b"T100")


# ---- nobody answers


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEARN_WITHIN", 0.02)


@pytest.mark.usefixtures("impatient")
async def test_without_an_answer_he_is_greeted_with_what_is_stored(scene: Scene) -> None:
    await scene.stored(b"S1")
    scene.car_is_there()
    watcher = scene.join()
    await hears(watcher, b"Z1", b"S1", b"T100")
    assert not watcher.is_held_back


@pytest.mark.usefixtures("impatient")
async def test_an_answer_that_comes_late_is_told_as_far_as_it_is_news(scene: Scene) -> None:
    await scene.stored(b"S1", b"D1")
    scene.car_is_there()
    watcher = scene.join()
    await hears(watcher, b"Z1", b"S1", b"D1", b"T100")
    scene.follower.teach(scene.written(b"S2", b"D1"))
    await hears(watcher, b"S2", b"T10")
    scene.car_says(b"S3")
    await hears(watcher, b"S3", b"T0")


@pytest.mark.usefixtures("impatient")
async def test_what_he_was_not_told_while_the_answer_was_awaited_is_news_to_him(scene: Scene) -> None:
    scene.car_is_there()
    watcher = scene.join()
    await hears(watcher, b"Z1", b"T3020399")
    scene.car_says(b"S2")
    assert watcher.sent == []
    scene.follower.teach(scene.written(b"S2"))
    await until(lambda: not watcher.is_held_back)
    await hears(watcher, b"S2", b"T10", within=0.2)


@pytest.mark.usefixtures("impatient")
async def test_what_he_has_not_heard_is_told_where_nobody_answers_at_last(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEARN_AT_LAST", 0.1)
    scene.car_is_there()
    watcher = scene.join()
    scene.car_says(b"S2")
    await hears(watcher, b"Z1", b"T3020399", b"S2", b"T0")
    assert scene.room.learning == {}


@pytest.mark.usefixtures("impatient")
async def test_what_he_has_not_heard_is_told_once_where_the_database_is_slow(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEARN_AT_LAST", 0.0)
    scene.car_is_there()
    scene.pool.open.clear()
    watcher = scene.join()
    scene.car_says(b"S2")
    await until(lambda: scene.pool.asked and not scene.room.learning)
    scene.pool.open.set()
    await hears(watcher, b"Z1", b"T3020399", b"S2", b"T0")


@pytest.mark.usefixtures("impatient")
async def test_of_what_he_has_not_heard_only_that_is_told_which_is_later_than_his_greeting(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEARN_AT_LAST", 0.1)
    scene.car_is_there()
    watcher = scene.join()
    scene.car_says(b"S1", b"S2", b"S3")
    await scene.stored(b"S2", ago=-1)
    await hears(watcher, b"Z1", b"S2", b"T0", b"S3", b"T0")


@pytest.mark.usefixtures("impatient")
async def test_what_was_said_before_his_greeting_and_is_heard_after_it_is_not_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis hangs: what it was given before comes when it goes on."""
    monkeypatch.setattr(module, "LEARN_AT_LAST", 0.5)
    scene.car_is_there()
    await scene.stored(b"S2", ago=-1)
    watcher = scene.join()
    await hears(watcher, b"Z1", b"S2", b"T0")
    scene.car_says(b"S1", b"S2", b"S3")
    await hears(watcher, b"S3", b"T0")


@pytest.mark.usefixtures("impatient")
async def test_an_older_greeting_ends_nothing_that_is_kept_for_a_later_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEARN_AT_LAST", 0.2)
    scene.car_is_there()
    watcher = scene.join()
    await hears(watcher, b"Z1", b"T3020399")
    monkeypatch.setattr(module, "LEARN_AT_LAST", 10.0)
    is_over: list[bool] = []
    asyncio.get_running_loop().call_later(0.2, is_over.append, True)
    scene.greeter.expect(watcher, scene.room)
    await hears(watcher, b"Z1", b"T3020399")
    await until(lambda: is_over)
    scene.car_says(b"S1")
    assert watcher.sent == []
    former, _ = scene.follower.pupils
    former(scene.written(b"S1"))
    await hears(watcher, b"S1", b"T10")
    scene.car_says(b"S2")
    await hears(watcher, b"S2", b"T0")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kept", [b"S2", b"S4"])
async def test_where_the_car_has_gone_what_he_has_not_heard_is_told_in_its_order(scene: Scene, kept: bytes) -> None:
    scene.car_is_there()
    watcher = scene.join()
    await hears(watcher, b"Z1", b"T3020399")
    scene.car_says(b"S1", b"S2", b"S3")
    await scene.stored(kept, ago=-1)
    scene.follower.teach(Learnt(8))
    await hears(watcher, kept, b"T0", *([b"S3", b"T0"] if kept == b"S2" else []))


@pytest.mark.usefixtures("impatient")
async def test_where_the_car_comes_here_and_nobody_has_answered_its_session_is_told_in_its_order(scene: Scene) -> None:
    await scene.stored(b"D0")
    scene.car_is_there()
    watcher = scene.join()
    scene.car_says(b"S1", b"L1")
    scene.car_is_here(epoch=9)
    for message in (b"S2", b"S3"):
        watcher.send(message, 0)
    await scene.stored(b"S3", epoch=9, ago=0)
    await hears(watcher, b"Z1", b"D0", b"T100", b"Z0", b"Z1", b"S2", b"S3")
    # The answer of where it was comes late: by now more is known.
    await scene.stored(b"L1", epoch=5, ago=20)
    scene.follower.teach(scene.written(b"S1"))
    await until(lambda: watcher.sent)
    assert [message for message in watcher.take() if message[:1] != b"T"] == [b"S3", b"L1"]


@pytest.mark.usefixtures("impatient")
async def test_who_was_greeted_without_an_answer_is_told_the_rest_where_redis_is_back(scene: Scene) -> None:
    scene.car_is_there()
    watcher = scene.join()
    await hears(watcher, b"Z1", b"T3020399")
    scene.car_says(b"S1")
    scene.follower.pupils.clear()
    scene.greeter.greet_again(scene.room)
    scene.follower.teach(scene.written(b"S1"))
    await hears(watcher, b"S1", b"T10")


@pytest.mark.usefixtures("impatient")
async def test_nothing_is_kept_for_who_has_gone(scene: Scene) -> None:
    scene.car_is_there()
    watcher = scene.join()
    watcher.is_gone = True
    scene.hub.leave(scene.room, watcher, 0)
    assert scene.room.learning == {}
    await until(lambda: not scene.follower.pupils)


@pytest.mark.usefixtures("impatient")
async def test_an_answer_that_comes_while_the_database_is_asked_loses_nothing(scene: Scene) -> None:
    await scene.stored(b"S1")
    scene.car_is_there()
    scene.pool.open.clear()
    watcher = scene.join()
    await until(lambda: scene.pool.asked)
    # The car says this, and its replica has written it before it answers.
    scene.car_says(b"S2")
    await scene.stored(b"S2", ago=10)
    scene.follower.teach(scene.written())
    scene.pool.open.set()
    await until(lambda: not watcher.is_held_back and not scene.greeter._ready)
    assert [message for message in watcher.sent if message[:1] == b"S"][-1] == b"S2"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("kept", "ago", "told"), [(b"S2", 0, [b"S2"]), (b"S1", 1, []), (b"S0", 20, []), (b"S3", -1, [b"S3"])])
async def test_who_is_greeted_once_more_is_told_nothing_older_than_what_he_has_heard(
    scene: Scene, kept: bytes, ago: float, told: list[bytes]
) -> None:
    """PostgreSQL was away, and is behind: the car's replica hangs with what it has not written."""
    scene.pool.is_away = True
    scene.car_is_there()
    watcher = scene.join()
    scene.follower.teach(scene.written(b"V0"))
    await until(lambda: watcher.sent)
    scene.car_says(b"S1", b"S2")
    await scene.stored(kept, ago=ago)
    watcher.take()
    scene.pool.is_away = False
    await until(lambda: len(watcher.sent) > 1)
    assert [message for message in watcher.take() if message[:1] in b"SZ"] == [b"Z1", *told]


# ---- greeted again


async def greeted(scene: Scene, *messages: bytes) -> Watcher:
    """Somebody who has been greeted and has heard these."""
    scene.car_is_there()
    watcher = scene.join()
    scene.follower.teach(scene.written())
    await until(lambda: watcher.sent)
    scene.car_says(*messages)
    watcher.take()
    return watcher


async def test_who_is_greeted_again_is_told_what_he_has_not_heard(scene: Scene) -> None:
    watcher = await greeted(scene, b"S1", b"D1")
    scene.greeter.greet_again(scene.room)
    scene.car_says(b"L1")
    await hears(watcher, b"L1", b"T0")
    await scene.stored(b"S2", b"D1", b"L1", ago=0)
    scene.follower.teach(scene.written(b"V2"))
    await hears(watcher, b"S2", b"V2", b"T0")


@pytest.mark.usefixtures("impatient")
async def test_who_is_greeted_again_asks_until_he_is_answered(scene: Scene) -> None:
    watcher = await greeted(scene, b"S1")
    scene.greeter.greet_again(scene.room)
    for _ in range(3):
        scene.follower.pupils.clear()  # the question is lost, or its answer
        await until(lambda: scene.follower.pupils)
    scene.follower.teach(scene.written(b"V2"))
    await hears(watcher, b"V2", b"T10")
    assert scene.follower.pupils == []


@pytest.mark.usefixtures("impatient")
async def test_who_is_greeted_again_asks_no_more_where_the_car_comes_here(scene: Scene) -> None:
    watcher = await greeted(scene, b"S1")
    scene.greeter.greet_again(scene.room)
    scene.car_is_here(epoch=9)
    await scene.stored(b"V2", ago=10)
    scene.follower.pupils.clear()
    await hears(watcher, b"Z0", b"Z1", b"V2", b"T10")
    assert scene.follower.pupils == []


async def test_of_a_car_that_is_nowhere_nothing_is_told_again_before_it_is_somewhere(scene: Scene) -> None:
    """Redis hung for longer than leases last: the car goes on where it was, though nobody says so yet."""
    watcher = await greeted(scene, b"S1")
    scene.greeter.greet_again(scene.room)
    scene.car_is_there(0)
    await scene.stored(b"S3", ago=0)
    scene.follower.teach(Learnt(8))
    assert not watcher.is_held_back
    scene.car_says(b"S2", b"S3")
    assert (watcher.take(), scene.follower.put_off) == ([b"Z0", b"S2", b"T0", b"S3", b"T0"], 1)


async def test_what_a_replica_that_hung_tells_of_a_session_is_past_where_the_next_has_begun(scene: Scene) -> None:
    watcher = await greeted(scene, b"S1", b"V1")
    scene.greeter.greet_again(scene.room)
    scene.car_is_there(9)
    scene.car_says(b"V9")
    scene.follower.teach(scene.written(b"V2", b"D2", epoch=5, ago=-1))
    scene.follower.teach(scene.written(b"D9", epoch=9, ago=-1))
    await hears(watcher, b"Z0", b"Z1", b"V9", b"T0", b"D9", b"T0")
    assert not watcher.is_held_back


@pytest.mark.usefixtures("impatient")
async def test_so_it_is_for_who_was_greeted_without_it(scene: Scene) -> None:
    await scene.stored(b"V1")
    scene.car_is_there()
    watcher = scene.join()
    await hears(watcher, b"Z1", b"V1", b"T100")
    scene.car_is_there(9)
    scene.car_says(b"V9")
    scene.follower.teach(scene.written(b"V2", epoch=5, ago=-1))
    scene.follower.teach(scene.written(b"V9", epoch=9, ago=0))
    await hears(watcher, b"Z0", b"Z1", b"V9", b"T0")
    scene.car_says(b"V10")
    await hears(watcher, b"V10", b"T0")


@pytest.mark.usefixtures("found_by_nobody")
async def test_what_is_heard_while_the_database_is_asked_is_told_in_its_order(scene: Scene) -> None:
    watcher = scene.join()
    scene.pool.open.clear()
    scene.follower.teach(Learnt(8))
    await scene.stored(b"S2", ago=-1)
    await until(lambda: scene.pool.asked)
    scene.car_says(b"S1", b"S2", b"S3")
    scene.pool.open.set()
    await until(lambda: b"S3" in watcher.sent)
    told = [message for message in watcher.take() if message[:1] == b"S"]
    assert told in ([b"S2", b"S3"], [b"S1", b"S2", b"S3"]), "as PostgreSQL was asked before or after"


async def test_who_has_missed_nothing_is_told_nothing(scene: Scene) -> None:
    watcher = await greeted(scene, b"S1")
    await scene.stored(b"S1")
    scene.greeter.greet_again(scene.room)
    scene.follower.teach(scene.written())
    await until(lambda: not watcher.is_held_back)
    assert watcher.sent == []


@pytest.mark.parametrize("is_away", [False, True])
async def test_what_he_was_told_again_is_not_told_after_what_he_has_heard_since(scene: Scene, is_away: bool) -> None:
    """PostgreSQL is behind what was heard, but not by so much that it must be old."""
    watcher = await greeted(scene, b"S1")
    await scene.stored(b"S2", ago=1)
    scene.greeter.greet_again(scene.room)
    scene.follower.teach(scene.written())
    await until(lambda: b"S2" in watcher.take())
    scene.car_says(b"S3")
    scene.pool.is_away = is_away
    scene.greeter.greet_again(scene.room)
    scene.follower.teach(scene.written())
    await until(lambda: not watcher.is_held_back)
    scene.pool.is_away = False
    if is_away:  # once more, when it is back
        await until(lambda: scene.follower.pupils)
        scene.follower.teach(scene.written())
        await until(lambda: not watcher.is_held_back)
    assert [message for message in watcher.take() if message[:1] == b"S"] == [b"S3"]


@pytest.mark.parametrize(
    ("kept", "ago", "told"),
    [
        # It has been heard, or was said long before what has.
        (b"S1", 1, []),
        (b"S0", 20, []),
        (b"S4", -1, [b"S4", b"T0"]),
    ],
)
async def test_what_is_stored_may_be_older_than_what_he_has_heard(
    scene: Scene, kept: bytes, ago: float, told: list[bytes]
) -> None:
    watcher = await greeted(scene, b"S1", b"S2", b"S3")
    await scene.stored(kept, ago=ago)
    scene.greeter.greet_again(scene.room)
    scene.follower.teach(Learnt(8))
    await until(lambda: not watcher.is_held_back)
    assert watcher.sent == told


async def test_who_waits_for_his_greeting_is_not_greeted_again(scene: Scene) -> None:
    scene.car_is_there()
    watcher = scene.join()
    scene.greeter.greet_again(scene.room)
    assert len(scene.follower.pupils) == 1
    scene.follower.teach(scene.written())
    await hears(watcher, b"Z1", b"T3020399")
