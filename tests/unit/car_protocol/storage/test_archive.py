"""Answers about what is kept, when the service stops; all else is tried with a real PostgreSQL (`test_commands`)."""

import asyncio
from typing import Any, cast

from car_protocol.storage.archive import SUMMARY, Archive
from fakes.peers import FakePeer, app
from fakes.rooms import room

NOW = 1000.0


class Empty:
    """A PostgreSQL with nothing in it."""

    async def fetch(self, *_: object) -> list[object]:
        return []


class Hanging:
    """A PostgreSQL that does not answer."""

    async def fetch(self, *_: object) -> list[object]:
        return await asyncio.get_running_loop().create_future()


class SlowReader(FakePeer):
    """An app that never reads."""

    async def has_read(self) -> None:
        await asyncio.get_running_loop().create_future()


async def test_it_answers_no_more_when_it_is_closed() -> None:
    hanging, empty = Archive(cast("Any", Hanging())), Archive(cast("Any", Empty()))
    waiting, slow = app(), SlowReader()
    hanging.ask(room(), waiting, SUMMARY, b"", NOW)
    empty.ask(room(), slow, SUMMARY, b"", NOW)
    for archive in (hanging, empty):
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await archive.close()
        assert not archive._tasks
    assert waiting.sent == slow.sent == []
    await empty.close()
