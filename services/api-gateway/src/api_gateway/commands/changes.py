"""Changes of commands: counted, delivered to calls of this process that wait for one, and published for all others."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import orjson
import redis.asyncio

from api_gateway.commands.resource import announcement
from ovms.bus.cars import Notice
from ovms.bus.channels import commands_channel
from ovms.bus.errors import FAILURES
from ovms.db.commands import Command


class Watch:
    """One command, for a call that waits for it."""

    def __init__(self, command_id: UUID) -> None:
        self.id = command_id
        self.changed = asyncio.Event()
        self.command: Command | None = None
        """As this process changed it, until the call has taken note of it."""
        self.answers: list[bytes] = []
        """All that its car answered, if it was this process that sent it."""

    async def wait(self, seconds: float) -> None:
        """Wait until it may have changed, but not longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        self.changed.clear()


class Changes:
    """What this process does to commands."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis: Any = client
        self._watches: dict[int, list[Watch]] = {}
        """By the vehicle's key."""
        self.counts: Counter[str] = Counter()
        """Commands that this process brought into a state, by state."""

    @contextmanager
    def watch(self, command_id: UUID, vehicle: int) -> Iterator[Watch]:
        """Deliver the changes of a command of this vehicle while the block runs."""
        watch = Watch(command_id)
        watches = self._watches.setdefault(vehicle, [])
        watches.append(watch)
        try:
            yield watch
        finally:
            watches.remove(watch)
            if not watches:
                del self._watches[vehicle]

    def answered(self, command: Command, answers: list[bytes]) -> None:
        """Deliver the answers of a car."""
        for watch in self._of(command):
            watch.answers = answers
            watch.changed.set()

    def left(self, vehicle: int) -> None:
        """Note that this process does not send commands of a vehicle for now."""
        for watch in self._watches.get(vehicle, ()):
            watch.changed.set()

    async def publish(self, command: Command) -> None:
        """Deliver and publish a command that has changed."""
        notice = self.deliver(command)
        with suppress(*FAILURES):
            await self._redis.publish(*notice)

    def deliver(self, command: Command) -> Notice:
        """Deliver a command that has changed in this process; returns what is to be published."""
        self.counts[command.state] += 1
        for watch in self._of(command):
            watch.command = command
            watch.changed.set()
        return Notice(commands_channel(command.name), orjson.dumps(announcement(command)))

    def _of(self, command: Command) -> list[Watch]:
        return [watch for watch in self._watches.get(command.vehicle, ()) if watch.id == command.id]
