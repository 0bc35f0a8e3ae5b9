"""What becomes of a notification, by how its delivery goes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from car_protocol.push import outbox as module
from car_protocol.push.channel import DeviceGone, Refused, Unreachable
from car_protocol.push.outbox import SLOTS, Outbox
from fixtures.waiting import until
from ovms.db.push import Push
from unit.car_protocol.push.pushes import AT, push


class FakeRows:
    """An outbox in memory; whatever was put off stays away."""

    def __init__(self) -> None:
        self.waiting: list[Push] = []
        self.of_others: dict[str, int] = {}
        self.removed: list[int] = []
        self.pauses: list[tuple[int, int, float]] = []
        self.released: list[int] = []
        self.unsubscribed: list[int] = []
        self.failures: list[Exception] = []

    async def take_due(self, push_type: str, *, most: int, lease: float) -> list[Push]:
        self._fail()
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return taken

    async def pause(self, taken: Push, *, failures: int, seconds: float) -> None:
        self._fail()
        self.pauses.append((taken.id, failures, seconds))

    async def release(self, taken: Push) -> None:
        self._fail()
        self.released.append(taken.id)

    async def remove_done(self) -> None:
        """Nothing stays here."""

    async def remove(self, taken: Push) -> None:
        self._fail()
        self.removed.append(taken.id)

    async def remove_others(self, push_types: list[str]) -> dict[str, int]:
        others, self.of_others = self.of_others, {}
        return others

    async def unsubscribe_gone(self, taken: Push) -> None:
        self.unsubscribed.append(taken.id)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


class FakeChannel:
    """Does with each what it is told to."""

    timeout = 5.0

    def __init__(self, deliver: Callable[[Push], Awaitable[None]] | None = None) -> None:
        self.delivered: list[int] = []
        self.fails: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = 0
        self.is_closed = False

    async def deliver(self, taken: Push) -> None:
        self.at_once += 1
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if self.fails is not None:
            raise self.fails
        self.delivered.append(taken.id)

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def rows() -> FakeRows:
    return FakeRows()


@asynccontextmanager
async def running(rows: FakeRows, age: float = 0.0, **channels: FakeChannel) -> AsyncIterator[Outbox]:
    outbox = Outbox(rows, channels, attempts=3, jitter=lambda: 0.0, wall=lambda: AT + timedelta(seconds=age))
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        await outbox.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_delivered_is_removed(rows: FakeRows) -> None:
    rows.waiting = [push(id=1), push(id=2)]
    channel = FakeChannel()
    async with running(rows, mail=channel) as outbox:
        await until(lambda: len(rows.removed) == 2)
    assert sorted(channel.delivered) == sorted(rows.removed) == [1, 2]
    assert (outbox.delivered, outbox.retried, outbox.dropped) == (2, 0, 0)
    assert channel.is_closed


async def test_a_new_row_wakes_the_couriers(rows: FakeRows) -> None:
    async with running(rows, mail=FakeChannel()) as outbox:
        await asyncio.sleep(0)
        rows.waiting.append(push(id=1))
        outbox.wake()
        await until(lambda: rows.removed)


async def test_the_outbox_is_looked_at_from_time_to_time(rows: FakeRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    async with running(rows, mail=FakeChannel()):
        await asyncio.sleep(0)
        rows.waiting.append(push(id=1))
        await until(lambda: rows.removed)


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (Unreachable("503"), 10.0),
        (Unreachable("503", retry_after=500), 500.0),
        (TimeoutError(), 10.0),
        (RuntimeError("a bug of a library"), 10.0),
    ],
)
async def test_a_failure_that_passes_puts_it_off(rows: FakeRows, failure: Exception, seconds: float) -> None:
    rows.waiting = [push(id=1, attempts=2, failures=1)]
    channel = FakeChannel()
    channel.fails = failure
    async with running(rows, mail=channel) as outbox:
        await until(lambda: rows.released)
    assert rows.pauses == [(1, 2, seconds)]
    assert rows.removed == rows.unsubscribed == []
    assert outbox.retried == 1


@pytest.mark.parametrize("failure", [Unreachable("503"), TimeoutError(), RuntimeError()])
async def test_the_last_attempt_drops_it(rows: FakeRows, failure: Exception) -> None:
    rows.waiting = [push(id=1, attempts=3)]
    channel = FakeChannel()
    channel.fails = failure
    async with running(rows, mail=channel) as outbox:
        await until(lambda: rows.removed)
    assert rows.released == rows.unsubscribed == []
    assert [pushed for pushed, _, _ in rows.pauses] == [1]
    assert outbox.dropped == 1


@pytest.mark.parametrize(("failure", "unsubscribed"), [(Refused("400"), []), (DeviceGone("410"), [1])])
async def test_what_is_refused_is_dropped_and_who_is_gone_unsubscribed(
    rows: FakeRows, failure: Exception, unsubscribed: list[int]
) -> None:
    rows.waiting = [push(id=1)]
    channel = FakeChannel()
    channel.fails = failure
    async with running(rows, mail=channel):
        await until(lambda: rows.removed)
    assert rows.unsubscribed == unsubscribed
    assert rows.pauses == rows.released == []


async def test_a_notification_of_yesterday_is_not_delivered(rows: FakeRows) -> None:
    rows.waiting = [push(id=1)]
    channel = FakeChannel()
    async with running(rows, age=86_401, mail=channel):
        await until(lambda: rows.removed)
    assert channel.delivered == []


async def test_one_that_would_be_tried_again_tomorrow_is_dropped_today(rows: FakeRows) -> None:
    rows.waiting = [push(id=1)]
    channel = FakeChannel()
    channel.fails = Unreachable("503", retry_after=3600)
    async with running(rows, age=86_400 - 60, mail=channel):
        await until(lambda: rows.removed)
    assert rows.released == []


async def test_a_delivery_that_takes_too_long_pauses_its_endpoint(rows: FakeRows) -> None:
    rows.waiting = [push(id=1)]
    channel = FakeChannel()
    channel.timeout = 0.01
    channel.open.clear()
    async with running(rows, mail=channel):
        await until(lambda: rows.released)
    assert rows.pauses == [(1, 1, 2.5)]


async def test_an_endpoint_that_works_again_is_paused_no_longer(rows: FakeRows) -> None:
    rows.waiting = [push(id=1), push(id=2, failures=3)]
    async with running(rows, mail=FakeChannel()):
        await until(lambda: rows.pauses)
    assert rows.pauses == [(2, 0, 0.0)]


async def test_so_many_are_in_flight_at_once_and_no_more(rows: FakeRows) -> None:
    rows.waiting = [push(id=number) for number in range(3 * SLOTS)]
    channel = FakeChannel()
    channel.open.clear()
    async with running(rows, mail=channel) as outbox:
        await until(lambda: channel.at_once == SLOTS)
        outbox.wake()
        for _ in range(20):
            await asyncio.sleep(0)
        assert channel.at_once == SLOTS
        channel.open.set()
        await until(lambda: len(rows.removed) == 3 * SLOTS)
    assert sorted(channel.delivered) == list(range(3 * SLOTS))


async def test_what_nothing_delivers_is_dropped(rows: FakeRows) -> None:
    rows.of_others = {"gcm": 3, "apns": 1}
    async with running(rows) as outbox:
        await until(lambda: outbox.dropped)
    assert outbox.dropped == 4


@pytest.mark.parametrize("failing", ["taking", "removing"])
async def test_it_goes_on_when_postgresql_is_back(rows: FakeRows, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.0)
    channel = FakeChannel()
    channel.open.clear()
    rows.waiting = [push(id=1)]
    if failing == "taking":
        rows.failures = [OSError("gone"), TimeoutError()]
    async with running(rows, mail=channel):
        await until(lambda: channel.at_once)
        if failing == "removing":
            monkeypatch.setattr(module, "EVERY", 0.01)
            rows.failures = [OSError("gone")] * 2
        channel.open.set()
        await until(lambda: rows.removed)
    assert channel.delivered == rows.removed == [1]


async def test_when_it_stops_it_finishes_what_is_in_flight(rows: FakeRows) -> None:
    rows.waiting = [push(id=1)]
    channel = FakeChannel()
    channel.open.clear()
    async with running(rows, mail=channel) as outbox:
        await until(lambda: channel.at_once)
        closing = asyncio.create_task(outbox.close())
        await asyncio.sleep(0)
        rows.waiting = [push(id=2)]
        outbox.wake()
        channel.open.set()
        await closing
    assert rows.removed == [1]
    assert [kept.id for kept in rows.waiting] == [2]


async def test_when_it_stops_it_waits_for_nobody_for_ever(rows: FakeRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINISH", 0.01)
    rows.waiting = [push(id=1)]
    channel = FakeChannel()
    channel.open.clear()
    async with running(rows, mail=channel):
        await until(lambda: channel.at_once)
    assert rows.removed == rows.released == []
