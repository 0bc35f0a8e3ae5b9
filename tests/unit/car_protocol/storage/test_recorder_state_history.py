"""The state history: the last message of each vehicle, code and second, in bounded memory."""

import asyncio

import asyncpg
import pytest

from car_protocol.storage import recorder as module
from car_protocol.storage import unwritten_states
from car_protocol.storage.recorder import Recorder
from fakes.rooms import room
from fakes.stores import FakeStore
from fixtures.waiting import until
from unit.car_protocol.storage.recorders import NOW, WALL_OFFSET, recorder

DEMO, OTHER = room(1, "DEMO"), room(2, "OTHER")
SECOND = int(NOW + WALL_OFFSET)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writes(store: FakeStore, clock: Clock) -> Recorder:
    return recorder(store, monotonic=clock, keeps_state_history=True)


async def test_the_last_message_of_each_second_is_written_once(store: FakeStore, writes: Recorder) -> None:
    for number in range(12):
        writes.put_state(DEMO, b"D%d" % number, NOW + number / 4)
    writes.put_state(OTHER, b"Ssealed", NOW + 2.9, "key")
    await writes.flush()
    assert store.state_history == {
        (1, "D", SECOND): b"3",
        (1, "D", SECOND + 1): b"7",
        (1, "D", SECOND + 2): b"11",
        (2, "S", SECOND + 2): b"sealed",
    }
    assert (writes.state_history_written, writes.rows_written) == (4, 4 + len(store.states))


async def test_a_second_is_written_when_it_is_over_though_nothing_more_comes(
    store: FakeStore, writes: Recorder, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = asyncio.create_task(writes.run())
    writes.put_state(DEMO, b"D1", NOW + 0.5)
    await until(lambda: store.states)
    assert store.state_history == {}
    clock.now = NOW + 1
    await until(lambda: store.state_history)
    writes.put_state(DEMO, b"D2", NOW + 1)
    clock.now = NOW + 2
    await until(lambda: len(store.state_history) == 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert store.state_history == {(1, "D", SECOND): b"1", (1, "D", SECOND + 1): b"2"}


async def test_what_the_store_does_not_take_waits(store: FakeStore, writes: Recorder) -> None:
    for number in range(3):
        writes.put_state(DEMO, b"D%d" % number, NOW + number)
    await writes._state_lane.flush()
    store.failures = [None, OSError("gone")]
    with pytest.raises(OSError, match="gone"):
        await writes.flush()
    assert len(store.state_history) == 1
    writes.put_state(DEMO, b"D9", NOW + 2.5)
    await writes.flush()
    assert store.state_history == {(1, "D", SECOND): b"0", (1, "D", SECOND + 1): b"1", (1, "D", SECOND + 2): b"9"}


async def test_many_rows_are_cut_into_statements_and_a_bad_one_holds_up_none(
    store: FakeStore, writes: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 10)
    for key in range(25):
        writes.put_state(room(key), b"D%d" % key, NOW)
    await writes._state_lane.flush()
    store.refuses = lambda row: row[0] == 7
    await writes.flush()
    assert {vehicle for vehicle, _, _ in store.state_history} == set(range(25)) - {7}
    assert (writes.state_history_written, writes.rows_refused) == (24, 1)


async def test_so_many_bytes_wait_and_no_more_and_no_car_is_held_up(
    store: FakeStore, writes: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten_states, "MOST_WAITING", 1000)
    for number in range(20):
        writes.put_state(DEMO, b"D" + b"x" * 100, NOW + number)
    await writes._state_lane.flush()
    store.failures = [OSError("gone")]
    with pytest.raises(OSError, match="gone"):
        await writes.flush()
    await writes.flush()
    assert (len(store.state_history), writes.state_history_lost) == (3, 17)
    assert not writes.is_full
    writes.put_state(DEMO, b"Dnew", NOW + 30)
    await writes.flush()
    assert store.state_history[1, "D", SECOND + 30] == b"new"


async def test_a_clock_that_was_set_back_loses_nothing(store: FakeStore, writes: Recorder) -> None:
    writes.put_state(DEMO, b"D1", NOW)
    writes.put_state(DEMO, b"S1", NOW)
    writes.put_state(DEMO, b"D2", NOW + 1)
    writes._clock.offset -= 1
    writes.put_state(DEMO, b"D3", NOW + 2)
    await writes.flush()
    assert store.state_history == {(1, "D", SECOND): b"1", (1, "S", SECOND): b"1", (1, "D", SECOND + 1): b"3"}


async def test_without_a_state_history_nothing_is_written_to_it(store: FakeStore) -> None:
    writes = recorder(store, keeps_state_history=False)
    writes.put_state(DEMO, b"D1", NOW)
    await writes.flush()
    assert (len(store.statements), writes.state_history_lost) == (1, 0)


async def test_a_refusal_that_passes_loses_nothing(store: FakeStore, writes: Recorder) -> None:
    writes.put_state(DEMO, b"D1", NOW)
    await writes._state_lane.flush()
    store.failures = [asyncpg.DeadlockDetectedError("again")]
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await writes.flush()
    await writes.flush()
    assert store.state_history == {(1, "D", SECOND): b"1"}
