"""The channels of Redis that this process hears: one connection for all, subscribed to by exact names, as parts ask for them.

It is a bare connection, not redis-py's PubSub: that one keeps a list of channels of its own, and two tasks that find the
connection broken at once would both subscribe anew.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import redis.asyncio
import structlog
from redis.exceptions import RedisError

TICK: Final = 0.005
RETRY_AFTER: Final = 0.5
MOST_AT_ONCE: Final = 1000
"""Channels in one command."""


class Listener(NamedTuple):
    """A part that hears a channel."""

    heard: Callable[[bytes], None]
    """Called with the body of every message; raises ValueError where it is malformed."""
    subscribed: Callable[[], None] = lambda: None
    """Called when messages are heard from now on: at first, and again after Redis was away."""


class Subscriptions:
    """Subscribes in batches, listens, and begins again where Redis was away.

    Args:
        log: a structlog logger; None: the one that the service has configured.
    """

    def __init__(self, client: redis.asyncio.Redis, log: Any = None) -> None:
        self._pool = client.connection_pool
        self._listeners: dict[bytes, dict[object, Listener]] = {}
        """By channel, and by the party that each is of."""
        self._untold: dict[bytes, set[object]] = {}
        """The parties that have not been told yet that a channel is heard."""
        self._changed: set[bytes] = set()
        self._work = asyncio.Event()
        self._log = log or structlog.get_logger("subscriptions")

    def party(self) -> "Party":
        """For a part that hears channels which other parts may hear as well."""
        return Party(self)

    def hear(self, channel: bytes, listener: Listener, party: object = None) -> None:
        """Call a listener for a channel from soon on, in place of any other of its party; it is told when that is."""
        self._listeners.setdefault(channel, {})[party] = listener
        self._untold.setdefault(channel, set()).add(party)
        self._note(channel)

    def leave(self, channel: bytes, party: object = None) -> None:
        """Hear a channel no more."""
        listeners = self._listeners.get(channel, {})
        if listeners.pop(party, None) is not None:
            self._untold.get(channel, set()).discard(party)
            if not listeners:
                del self._listeners[channel]
                self._untold.pop(channel, None)
                self._note(channel)

    def _note(self, channel: bytes) -> None:
        self._changed.add(channel)
        self._work.set()

    async def run(self) -> None:
        """Subscribe and listen until cancelled."""
        while True:
            try:
                await self._run_connected()
            except* (RedisError, OSError) as errors:
                reason = type(errors.exceptions[0]).__name__
                self._log.warning("Redis is away; nothing is heard from it", reason=reason)
            await asyncio.sleep(RETRY_AFTER)

    async def _run_connected(self) -> None:
        connection: Any = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        self._changed = set(self._listeners)
        self._untold = {channel: set(listeners) for channel, listeners in self._listeners.items()}
        self._work.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._subscribe(connection))
                tasks.create_task(self._listen(connection))
        finally:
            # It is subscribed to channels, so nobody else may use it.
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def _subscribe(self, connection: Any) -> None:
        while True:
            await self._work.wait()
            await asyncio.sleep(TICK)
            self._work.clear()
            changed, self._changed = self._changed, set()
            await _send(connection, "SUBSCRIBE", [channel for channel in changed if channel in self._listeners])
            await _send(connection, "UNSUBSCRIBE", [channel for channel in changed if channel not in self._listeners])

    async def _listen(self, connection: Any) -> None:
        while True:
            # math.inf: without an end; None would be the client's time limit.
            kind, channel, body = await connection.read_response(timeout=math.inf, push_request=True)
            listeners = self._listeners.get(channel, {})  # none, where it has just been left
            if kind == b"message":
                for listener in tuple(listeners.values()):
                    self._tell(listener, channel, body)
            elif kind == b"subscribe":
                for party in self._untold.pop(channel, ()):
                    listeners[party].subscribed()

    def _tell(self, listener: Listener, channel: bytes, body: bytes) -> None:
        try:
            listener.heard(body)
        except ValueError as error:
            # Somebody publishes what he should not: no reason to hear nobody any more.
            self._log.warning("a message on Redis is malformed", channel=repr(channel), reason=str(error))


class Party:
    """The subscriptions of one part, which takes no notice of what others hear."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    def hear(self, channel: bytes, listener: Listener) -> None:
        """Call a listener for a channel from soon on, in place of any other of this part."""
        self._subscriptions.hear(channel, listener, self)

    def leave(self, channel: bytes) -> None:
        """Hear a channel no more."""
        self._subscriptions.leave(channel, self)


async def _send(connection: Any, command: str, channels: Sequence[bytes]) -> None:
    for start in range(0, len(channels), MOST_AT_ONCE):
        await connection.send_command(command, *channels[start : start + MOST_AT_ONCE], check_health=False)
