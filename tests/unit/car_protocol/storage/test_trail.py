"""What is to be in the trail waits while PostgreSQL is away, within a bound."""

import asyncio
from typing import Any, cast

from car_protocol.storage.trail import MOST, Trail


class Database:
    """Keeps what is written; away as long as it is told to be."""

    def __init__(self) -> None:
        self.is_away = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.written: list[tuple[int, int | None, float]] = []

    async def execute(self, _: str, *columns: Any) -> str:
        if self.is_away:
            raise OSError
        await self.answers.wait()
        self.written += zip(*columns, strict=True)
        return "INSERT"


async def test_it_is_written_once_when_that_can_be() -> None:
    database = Database()
    trail = Trail(cast("Any", database))
    trail.note(1, 20, 5.0)
    database.is_away = True
    await trail.write()
    trail.note(2, None, 6.0)
    database.is_away = False
    await trail.close()
    await trail.write()
    assert database.written == [(1, 20, 5.0), (2, None, 6.0)]


async def test_it_is_bounded() -> None:
    database = Database()
    trail = Trail(cast("Any", database))
    database.is_away = True
    for number in range(MOST + 1):
        trail.note(1, number, 0.0)
    await trail.write()
    trail.note(1, 0, 0.0)
    database.is_away = False
    await trail.write()
    assert len(database.written) == MOST


async def test_the_end_waits_for_what_is_being_written() -> None:
    database = Database()
    trail = Trail(cast("Any", database))
    trail.note(1, 20, 5.0)
    database.answers.clear()
    writing = asyncio.create_task(trail.write())
    await asyncio.sleep(0)
    closing = asyncio.create_task(trail.close())
    await asyncio.sleep(0)
    assert not closing.done()
    database.answers.set()
    await closing
    assert database.written == [(1, 20, 5.0)]
    await writing
