"""Statements that are under way at the same time: none waits for one of another kind, and no state is in two."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from car_protocol.storage import lane
from car_protocol.storage.recorder import Recorder
from fakes.peers import car
from fakes.rooms import room
from fakes.stores import FakeStore
from fixtures.waiting import until
from ovms.db.writer import StateValues
from unit.car_protocol.storage.recorders import NOW, recorder, row, states

DEMO, OTHER = room(1, "DEMO"), room(2, "OTHER")


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def running(store: FakeStore) -> AsyncIterator[Recorder]:
    """A recorder that writes by itself."""
    writes = recorder(store)
    task = asyncio.create_task(writes.run())
    yield writes
    store.open.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def under_way(store: FakeStore, count: int) -> Sequence[Sequence[tuple[object, ...]]]:
    await until(lambda: store.writing == count)
    return store.under_way


async def test_while_states_are_written_others_are_but_never_the_same_one(store: FakeStore, running: Recorder) -> None:
    store.open.clear()
    running.put_state(DEMO, b"S1", NOW)
    await under_way(store, 1)
    running.put_state(DEMO, b"D1", NOW)
    first, second = await under_way(store, 2)
    assert [row[:3] for row in first] == [(1, "S", b"1")]
    assert [row[:3] for row in second] == [(1, "D", b"1")]
    running.put_state(DEMO, b"S2", NOW + 1)
    assert {code: kept.message for code, kept in running.pending(DEMO.vehicle).items()} == {ord("S"): b"S2", ord("D"): b"D1"}
    store.open.set()
    await until(lambda: states(store) == {(1, "S"): b"2", (1, "D"): b"1"})
    await until(lambda: running._bytes == 0)


async def test_of_two_that_fail_each_gives_back_its_own(
    store: FakeStore, running: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "RETRY_AFTER", 0.0)
    store.open.clear()
    running.put_state(DEMO, b"S1", NOW)
    await under_way(store, 1)
    running.put_state(OTHER, b"S1", NOW)
    await under_way(store, 2)
    store.failures = [OSError("gone"), TimeoutError()]
    store.open.set()
    await until(lambda: len(store.states) == 2 and running._bytes == 0)
    assert running.failures == 2


async def test_a_key_is_named_after_all_that_was_under_way(store: FakeStore, running: Recorder) -> None:
    store.open.clear()
    running.put_state(DEMO, b"S1", NOW, "old")
    await under_way(store, 1)
    running.put_token(DEMO, "new")
    running.put_state(DEMO, b"D1", NOW, "new")
    for _ in range(20):
        await asyncio.sleep(0)
    assert store.writing == 1, "the key waits, and what came after it"
    assert running.pending_token(DEMO.vehicle) == "new"
    store.open.set()
    await until(lambda: store.tokens == {1: "new"})
    assert states(store) == {(1, "D"): b"1"}, "what was sealed with the old one is valid no more"


async def test_a_record_does_not_wait_for_states(store: FakeStore, running: Recorder) -> None:
    peer, is_written = car(), asyncio.Event()

    async def write_slowly(rows: Sequence[StateValues]) -> None:
        await is_written.wait()
        store.keep_states(rows)

    store.write_states = write_slowly  # type: ignore[method-assign]
    running.put_state(DEMO, b"S1", NOW)
    running.put_history(row(1, ack="17"), (peer, b"h17"))
    await until(lambda: peer.sent == [b"h17"])
    assert store.states == {}
    is_written.set()
    await until(lambda: store.states)
