"""The end of tasks that lose a cancellation."""

import asyncio
import contextlib
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as LostConnection

from ovms.bus.subscriptions import Subscriptions
from ovms.stopping import end_tasks, sleep_unless_cancelled

SOON = 5.0


class BreakingConnection:
    """A connection to a server that disappears in the moment in which whoever reads from it is cancelled."""

    is_connected = True

    def __init__(self) -> None:
        self.is_read = asyncio.Event()

    async def send_command(self, *_: object, check_health: bool) -> None:
        """Take it."""

    async def read_response(self, **_: object) -> object:
        self.is_read.set()
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LostConnection("the server has closed the connection") from None

    async def disconnect(self, *, nowait: bool) -> None:
        """It has been closed already."""


class OnePool:
    """Gives that connection once; the server does not come back."""

    def __init__(self, connection: BreakingConnection) -> None:
        self._connections = [connection]

    async def get_connection(self) -> BreakingConnection:
        if not self._connections:
            raise LostConnection("the server refuses connections")
        return self._connections.pop()

    async def release(self, connection: object) -> None:
        """Take it back."""


class FakeRedis:
    """A client of that server."""

    def __init__(self, connection: BreakingConnection) -> None:
        self.connection_pool = OnePool(connection)


async def test_subscriptions_stop_where_the_connection_breaks_in_the_moment_of_the_cancellation() -> None:
    connection = BreakingConnection()
    before = asyncio.all_tasks()
    task = asyncio.create_task(Subscriptions(cast("Any", FakeRedis(connection))).run())
    await connection.is_read.wait()
    task.cancel()
    _, still_running = await asyncio.wait([task], timeout=SOON)
    for left in asyncio.all_tasks() - before:
        left.cancel()
    await asyncio.wait([task])
    assert not still_running


async def test_a_loop_that_catches_the_error_of_a_cancelled_attempt_ends_at_its_next_sleep() -> None:
    attempts = 0

    async def attempt() -> None:
        nonlocal attempts
        attempts += 1
        try:
            await asyncio.Event().wait()
        finally:
            raise LostConnection

    async def again_and_again() -> None:
        while True:
            try:
                await attempt()
            except LostConnection:
                await sleep_unless_cancelled(0)

    task = asyncio.create_task(again_and_again())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, SOON)
    assert attempts == 1


async def test_tasks_are_cancelled_again_where_they_lost_a_cancellation() -> None:
    async def lose(count: int) -> None:
        for _ in range(count):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(lose(count)) for count in (0, 1)]
    await asyncio.sleep(0)
    assert await end_tasks(tasks, within=SOON) == set()
    assert all(task.cancelled() for task in tasks)


async def test_a_task_that_never_ends_is_waited_for_no_longer_than_allowed() -> None:
    ends = asyncio.Event()

    async def never() -> None:
        while not ends.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await ends.wait()

    task = asyncio.create_task(never())
    await asyncio.sleep(0)
    assert await end_tasks([task], within=0.01) == {task}
    ends.set()
    await task
