"""Samples among what waits to be written: all that there is room for, none twice, and no car waits for them."""

import asyncio

import pytest

from car_protocol.storage import recorder as module
from fakes.stores import FakeStore
from fixtures.waiting import until
from ovms.db.writer import SampleRow
from unit.car_protocol.storage.recorders import recorder


def sample(number: int) -> SampleRow:
    return SampleRow(1, "L", 1_700_000_000.0 + number, b"47.1,8.5", 1_800_000_000.0)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


async def test_they_are_written_all_and_in_their_order(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 10)
    writes = recorder(store)
    for number in range(25):
        writes.put_sample(sample(number))
    await writes.flush()
    assert store.samples == [sample(number) for number in range(25)]
    assert [len(rows) for rows in store.statements] == [10, 10, 5]
    assert (writes.samples_written, writes.rows_written) == (25, 25)


async def test_they_wake_the_writer(store: FakeStore) -> None:
    writes = recorder(store)
    running = asyncio.create_task(writes.run())
    writes.put_sample(sample(1))
    await until(lambda: store.samples)
    running.cancel()


async def test_what_could_not_be_written_waits_before_what_came_since(store: FakeStore) -> None:
    writes = recorder(store)
    writes.put_sample(sample(1))
    store.failures.append(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await writes.flush()
    writes.put_sample(sample(2))
    await writes.flush()
    assert store.samples == [sample(1), sample(2)]


async def test_further_ones_are_lost_and_nobody_is_held_up(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SAMPLES", 3)
    writes = recorder(store, limit=1)
    for number in range(5):
        writes.put_sample(sample(number))
    assert not writes.is_full
    assert writes.samples_lost == 2
    await writes.flush()
    assert store.samples == [sample(number) for number in range(3)]


async def test_a_refused_one_holds_up_no_other(store: FakeStore) -> None:
    writes = recorder(store)
    store.refuses = lambda row: row == sample(2)
    for number in range(5):
        writes.put_sample(sample(number))
    await writes.flush()
    assert store.samples == [sample(number) for number in (0, 1, 3, 4)]
    assert (writes.samples_written, writes.rows_refused) == (4, 1)
