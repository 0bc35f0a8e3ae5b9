"""Notifications among what waits to be written: all of them, none twice, none lost."""

import asyncio

import asyncpg
import pytest

from car_protocol.storage import recorder as module
from fakes.stores import FakeStore
from fixtures.waiting import until
from ovms.db.writer import NotificationRow
from unit.car_protocol.storage.recorders import recorder, row


def notification(number: int, message: bytes = b"Atext") -> NotificationRow:
    return NotificationRow(1, number, 1_700_001_000, message, 1_700_100_000, is_pushed=True)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


async def test_they_are_written_all_and_in_their_order(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 10)
    writes = recorder(store)
    for number in range(25):
        writes.put_notification(notification(number))
    await writes.flush()
    assert store.notifications == [notification(number) for number in range(25)]
    assert [len(rows) for rows in store.statements] == [10, 10, 5]
    assert writes._bytes == 0
    await writes.flush()
    assert len(store.statements) == 3


async def test_a_failure_gives_back_what_is_not_written(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    writes = recorder(store)
    for number in range(5):
        writes.put_notification(notification(number))
    store.failures += [None, OSError("gone")]
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    writes.put_notification(notification(5))
    store.open.set()
    with pytest.raises(OSError, match="gone"):
        await flushing
    assert len(store.notifications) == 2
    await writes.flush()
    assert store.notifications == [notification(number) for number in range(6)]
    assert writes._bytes == 0


async def test_a_bad_one_is_found_and_the_others_are_written(store: FakeStore) -> None:
    writes = recorder(store)
    for number in range(9):
        writes.put_notification(notification(number))
    store.refuses = lambda kept: isinstance(kept, NotificationRow) and kept.record_number == 4
    await writes.flush()
    assert [kept.record_number for kept in store.notifications] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert writes.rows_refused == 1
    assert writes._bytes == 0


async def test_a_history_that_cannot_be_written_keeps_them_waiting(store: FakeStore) -> None:
    writes = recorder(store)
    writes.put_history(row(1), None)
    writes.put_notification(notification(1))
    store.failures.append(asyncpg.CannotConnectNowError("starting"))
    with pytest.raises(asyncpg.CannotConnectNowError):
        await writes.flush()
    assert store.notifications == []
    await writes.flush()
    assert store.notifications == [notification(1)]


async def test_they_count_towards_the_bound(store: FakeStore) -> None:
    writes = recorder(store, limit=1000)
    writes.put_notification(notification(1, b"A" * 1000))
    assert writes.is_full
    await writes.flush()
    assert not writes.is_full
