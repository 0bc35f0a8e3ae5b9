"""A vehicle, its subscriptions and an outbox on a real database."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from car_protocol.push.channel import Channel
from car_protocol.push.outbox import Outbox, PostgresRows
from fixtures.cars import add_vehicles
from ovms.db.engine import Pool
from ovms.db.mail_addresses import confirm_address
from ovms.db.push import subscribe
from ovms.db.writer import NotificationRow, write_notifications
from ovms.local.certificate import development_certificate


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """The files of a certificate for localhost and of its key."""
    return development_certificate(tmp_path / "certificate", datetime.now(UTC))


class Scene:
    """A vehicle whose notifications go to one subscription."""

    def __init__(self, pool: Pool, vehicle: int) -> None:
        self.pool = pool
        self.vehicle = vehicle
        self.number = 0
        self.wake: Callable[[], None] = lambda: None

    async def subscribe(self, push_type: str, key: str, app_id: str = "phone") -> None:
        if push_type == "mail":
            await self.confirm(key)
        await subscribe(self.pool, self.vehicle, app_id, push_type=push_type, key_type="production", key=key)

    async def confirm(self, address: str) -> None:
        """As if an operator had given its owner this mail address."""
        owner = await self.pool.fetchval("SELECT owner_id FROM vehicles WHERE id = $1", self.vehicle)
        async with self.pool.acquire() as connection:
            await confirm_address(connection, owner, address)

    async def notify(self, *messages: bytes) -> int:
        """Write notifications as the recorder does; how many pushes are due."""
        rows = []
        for message in messages:
            self.number += 1
            now = int(time.time())
            rows.append(NotificationRow(self.vehicle, self.number, now, message, now + 86_400, is_pushed=True))
        due = await write_notifications(self.pool, rows, repeat_after=0)
        self.wake()
        return due

    def rows(self, *of_other: Pool) -> PostgresRows:
        """An outbox that no pace holds back."""
        return PostgresRows(*(of_other or (self.pool,)), per_minute=10_000, done_for=60)

    async def make_due(self) -> None:
        """As if all that was put off had waited for long enough."""
        await self.pool.execute("UPDATE push_outbox SET due_at = now()")
        await self.pool.execute("UPDATE push_subscriptions SET paused_until = now()")
        self.wake()

    async def waiting(self) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM push_outbox WHERE done_at IS NULL"))

    async def subscribers(self) -> list[str]:
        return [row["app_id"] for row in await self.pool.fetch("SELECT app_id FROM push_subscriptions ORDER BY app_id")]

    async def is_empty(self) -> None:
        await eventually(lambda: self._has(0))

    async def _has(self, count: int) -> bool:
        return await self.waiting() == count

    @asynccontextmanager
    async def delivering(self, push_type: str, channel: Channel, attempts: int = 8) -> AsyncIterator[Outbox]:
        """An outbox that works, with one channel."""
        outbox = Outbox(self.rows(), {push_type: channel}, attempts=attempts, jitter=lambda: 0.5)
        self.wake = outbox.wake
        task = asyncio.create_task(outbox.run())
        try:
            yield outbox
        finally:
            await outbox.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  what is waited for happens in PostgreSQL
            await asyncio.sleep(0.005)


@pytest.fixture
async def scene(pool: Pool, secret_keys: str) -> Scene:
    [vehicle] = await add_vehicles(pool, secret_keys, "Demo-1")
    return Scene(pool, vehicle)
