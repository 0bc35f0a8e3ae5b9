"""Delivers what waits in the outbox (docs/decisions/0007).

Every push type has a courier of its own, so that a service that hangs holds up its own notifications only. Of the places of a
courier one owner has a few at a time, and two for one endpoint (`ovms.db.push`). An endpoint that fails is paused as a whole:
what waits for it takes no place of what could be delivered. Any number of
replicas may do this at once. A notification is delivered at least once: if a replica dies after a delivery and before it has
removed the row, somebody delivers it again when the lease has ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from car_protocol.push.backoff import wait_after
from car_protocol.push.channel import Channel, DeliveryError, DeviceGone, Refused
from car_protocol.storage.lane import PUT_OFF
from ovms.db import push as rows
from ovms.db.engine import Pool
from ovms.db.push import Push
from ovms.outages import POSTGRESQL, report_outage
from ovms.stopping import end_tasks, raise_if_cancelled, sleep_unless_cancelled

EVERY: Final = 5.0
"""Seconds between two looks at the outbox, where nothing wakes the couriers before."""
SLOTS: Final = 32
"""Deliveries of one push type at once."""
LEASE: Final = 120.0
"""Seconds after which what a replica has taken and not finished is anybody's again."""
LONGEST: Final = 24 * 3600.0
"""Seconds after which a notification is of no use to anybody."""
FINISH: Final = 5.0
"""Seconds that deliveries in flight have when the service stops."""
REMOVE_ATTEMPTS: Final = 10


class Rows(Protocol):
    """The outbox in the database."""

    async def take_due(self, push_type: str, *, most: int, lease: float) -> list[Push]:
        """Take what is due and within the bounds; no other replica takes it for `lease` seconds."""

    async def pause(self, push: Push, *, failures: int, seconds: float) -> None:
        """Send nothing more to the endpoint of a push for a while."""

    async def release(self, push: Push) -> None:
        """Let any replica take a push again."""

    async def remove(self, push: Push) -> None:
        """Take a push that is delivered, or given up, off the queue."""

    async def remove_done(self) -> None:
        """Delete the pushes that were done long enough ago."""

    async def remove_others(self, push_types: list[str]) -> dict[str, int]:
        """Give up what is of none of these types."""

    async def unsubscribe_gone(self, push: Push) -> None:
        """Push nothing more to a device that is no more."""


class PostgresRows:
    """The outbox in PostgreSQL.

    Args:
        per_minute: the most that one subscription gets in a minute.
        done_for: seconds for which pushes that are done are kept.
    """

    def __init__(self, pool: Pool, *, per_minute: int, done_for: float) -> None:
        self._pool = pool
        self._per_minute = per_minute
        self._done_for = done_for

    async def take_due(self, push_type: str, *, most: int, lease: float) -> list[Push]:
        """Take what is due and within the bounds; no other replica takes it for `lease` seconds."""
        return await rows.take_due(self._pool, push_type, most=most, lease=lease, per_minute=self._per_minute)

    async def pause(self, push: Push, *, failures: int, seconds: float) -> None:
        """Send nothing more to the endpoint of a push for a while."""
        await rows.pause(self._pool, push, failures=failures, seconds=seconds)

    async def release(self, push: Push) -> None:
        """Let any replica take a push again."""
        await rows.release(self._pool, push)

    async def remove(self, push: Push) -> None:
        """Take a push that is delivered, or given up, off the queue."""
        await rows.remove(self._pool, push)

    async def remove_done(self) -> None:
        """Delete the pushes that were done long enough ago."""
        await rows.remove_done(self._pool, self._done_for)

    async def remove_others(self, push_types: list[str]) -> dict[str, int]:
        """Give up what is of none of these types."""
        return await rows.remove_others(self._pool, push_types)

    async def unsubscribe_gone(self, push: Push) -> None:
        """Push nothing more to a device that is no more."""
        await rows.unsubscribe_gone(self._pool, push)


class Outbox:
    """Takes notifications out of the outbox and gives them to their channels.

    Args:
        channels: by push type; what is of another type is dropped.
        attempts: after which a notification is dropped.
        jitter: numbers in [0, 1).
        wall: the present time.
    """

    def __init__(
        self,
        outbox: Rows,
        channels: Mapping[str, Channel],
        *,
        attempts: int,
        jitter: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._rows = outbox
        self._channels = channels
        self._attempts = attempts
        self._jitter = jitter
        self._wall = wall
        self._wakes = {push_type: asyncio.Event() for push_type in (*channels, "")}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._log = structlog.get_logger("push")
        self.delivered = self.retried = self.dropped = 0

    def wake(self) -> None:
        """Look at the outbox now."""
        for event in self._wakes.values():
            event.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as couriers:
            couriers.create_task(self._again_and_again("", self._sweep))
            for push_type in self._channels:
                couriers.create_task(self._again_and_again(push_type, self._courier(push_type)))

    async def close(self) -> None:
        """Take no more, and give what is in flight a moment; what it leaves is anybody's when its lease has ended."""
        self._is_closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FINISH)
        await end_tasks(self._tasks)
        for channel in self._channels.values():
            await channel.close()

    async def _again_and_again(self, push_type: str, look: Callable[[], Awaitable[None]]) -> None:
        wake = self._wakes[push_type]
        while True:
            raise_if_cancelled()
            wake.clear()
            try:
                await look()
            except PUT_OFF as error:
                report_outage(self._log, POSTGRESQL, "pushes wait", error)
                await sleep_unless_cancelled(EVERY)
            try:
                async with asyncio.timeout(EVERY):
                    await wake.wait()
            except TimeoutError:
                continue

    async def _sweep(self) -> None:
        await self._rows.remove_done()
        for push_type, count in (await self._rows.remove_others(list(self._channels))).items():
            self.dropped += count
            self._log.warning("pushes dropped", type=push_type, count=count, reason="this push type is not configured")

    # ---- one push type

    def _courier(self, push_type: str) -> Callable[[], Awaitable[None]]:
        channel = self._channels[push_type]
        wake = self._wakes[push_type]
        in_flight: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            in_flight.discard(task)
            wake.set()

        async def look() -> None:
            free = SLOTS - len(in_flight)
            if free and not self._is_closing:
                for push in await self._rows.take_due(push_type, most=free, lease=LEASE):
                    task = asyncio.create_task(self._deliver(channel, push_type, push))
                    in_flight.add(task)
                    self._tasks.add(task)
                    task.add_done_callback(ended)

        return look

    # ---- one notification

    async def _deliver(self, channel: Channel, push_type: str, push: Push) -> None:
        log = self._log.bind(type=push_type, vehicle=push.vehicle_id, app=push.app_id, attempt=push.attempts)
        if self._age(push) > LONGEST:
            await self._drop(push, log, "it is too old")
            return
        try:
            async with asyncio.timeout(channel.timeout):
                await channel.deliver(push)
        except DeviceGone as error:
            await self._until_done(self._rows.unsubscribe_gone, push)
            await self._drop(push, log, f"unsubscribed: {error}")
        except Refused as error:
            await self._drop(push, log, str(error))
        except (DeliveryError, TimeoutError) as error:
            await self._try_again(push, log, str(error) or "no answer in time", getattr(error, "retry_after", 0.0))
        except Exception as error:  # noqa: BLE001  the edge: what fails in a library must not end the service
            await self._try_again(push, log, type(error).__name__, 0.0)
        else:
            self.delivered += 1
            await self._until_done(self._rows.remove, push)
            if push.failures:
                await self._pause(push, log, failures=0, seconds=0.0)

    async def _try_again(self, push: Push, log: structlog.typing.FilteringBoundLogger, reason: str, after: float) -> None:
        failures = push.failures + 1
        seconds = wait_after(failures, self._jitter(), after)
        await self._pause(push, log, failures=failures, seconds=seconds)
        if push.attempts >= self._attempts or self._age(push) + seconds > LONGEST:
            await self._drop(push, log, reason)
            return
        log.info("push postponed, endpoint paused", reason=reason, failures=failures, seconds=round(seconds))
        try:
            await self._rows.release(push)
        except PUT_OFF as error:
            log.warning("a push waits for the end of its lease", reason=type(error).__name__)
        self.retried += 1

    async def _pause(self, push: Push, log: structlog.typing.FilteringBoundLogger, *, failures: int, seconds: float) -> None:
        try:
            await self._rows.pause(push, failures=failures, seconds=seconds)
        except PUT_OFF as error:
            log.warning("endpoint not paused", reason=type(error).__name__)

    async def _drop(self, push: Push, log: structlog.typing.FilteringBoundLogger, reason: str) -> None:
        self.dropped += 1
        log.warning("a push is dropped", reason=reason)
        await self._until_done(self._rows.remove, push)

    async def _until_done(self, write: Callable[[Push], Awaitable[None]], push: Push) -> None:
        """Write, again and again while PostgreSQL is away: what is not removed is delivered once more."""
        for _ in range(REMOVE_ATTEMPTS):
            try:
                await write(push)
            except PUT_OFF:
                await sleep_unless_cancelled(EVERY)
            else:
                return

    def _age(self, push: Push) -> float:
        return (self._wall() - push.created_at).total_seconds()
