"""How requests of feeds are carried out: many at once, at most once a second for each, and again after an outage."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import structlog

from api_gateway.live import loader as module
from api_gateway.live.feed import Feed
from api_gateway.live.loader import LOCATE_EVERY, Loader
from fixtures.waiting import until
from ovms.bus.cars import Cars
from ovms.bus.presence import Presence, Present
from ovms.bus.replicas import Written
from ovms.db.engine import Pool
from ovms.identity import VehicleName

WRITTEN = Written(1, 5, 0, "", ())


class FakeFeed:
    """Keeps the results that it gets."""

    def __init__(self) -> None:
        self.vehicle = 7
        self.name = VehicleName("DEMO", 7)
        self.is_watched = True
        self.may_locate_at = 0.0
        self.results: list[tuple[str, int]] = []

    def located(self, request: int, present: Present) -> None:
        self.results.append(("located", request))

    def answered(self, request: int, written: Written) -> None:
        self.results.append(("answered", request))

    def timed_out(self, request: int) -> None:
        self.results.append(("timed out", request))

    def unavailable(self, request: int) -> None:
        self.results.append(("unavailable", request))


class Stores:
    """Presence and replicas; each does what the test says."""

    def __init__(self) -> None:
        self.do: Callable[[], Any] = lambda: None

    async def present(self, names: Sequence[VehicleName]) -> list[Present]:
        self.do()
        return [Present() for _ in names]

    async def unwritten(self, replica: str, vehicle: int, *, within: float) -> Written | None:
        return cast("Written | None", self.do())


@asynccontextmanager
async def running(stores: Stores) -> AsyncIterator[Loader]:
    loader = Loader(
        cast("Pool", None), cast("Presence", stores), cast("Cars", stores), list, lambda: 0.0, structlog.get_logger()
    )
    task = asyncio.create_task(loader.run())
    await asyncio.sleep(0)
    try:
        yield loader
    finally:
        task.cancel()
        await asyncio.wait([task])


def fail() -> None:
    raise ConnectionError


async def test_presence_is_read_once_a_second_for_the_newest_request() -> None:
    feed, now = FakeFeed(), asyncio.get_running_loop().time
    async with running(Stores()) as loader:
        loader.locate(cast("Feed", feed), 1)
        await until(lambda: feed.results)
        assert feed.may_locate_at > now() + LOCATE_EVERY / 2
        feed.may_locate_at = now() + 0.01
        loader.locate(cast("Feed", feed), 2)
        loader.locate(cast("Feed", feed), 3)
        await until(lambda: len(feed.results) > 1)
        assert feed.may_locate_at > now() + LOCATE_EVERY / 2
    assert feed.results == [("located", 1), ("located", 3)]


async def test_what_a_store_does_not_execute_is_said_to_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER", 0)
    feed, stores = FakeFeed(), Stores()
    stores.do = fail
    async with running(stores) as loader:
        loader.locate(cast("Feed", feed), 1)
        await until(lambda: feed.results)
    assert feed.results == [("unavailable", 1)]


async def test_a_feed_without_readers_gets_no_result() -> None:
    left, feed = FakeFeed(), FakeFeed()
    left.is_watched = False
    async with running(Stores()) as loader:
        loader.locate(cast("Feed", left), 1)
        loader.locate(cast("Feed", feed), 1)
        await until(lambda: feed.results)
    assert left.results == []


@pytest.mark.parametrize(("do", "result"), [(lambda: WRITTEN, "answered"), (lambda: None, "timed out"), (fail, "timed out")])
async def test_a_replica_answers_or_not(do: Callable[[], Any], result: str) -> None:
    feed, stores = FakeFeed(), Stores()
    stores.do = do
    async with running(stores) as loader:
        loader.ask(cast("Feed", feed), 1, "a")
        await until(lambda: feed.results)
    assert feed.results == [(result, 1)]
