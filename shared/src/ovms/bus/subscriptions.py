"""The channels of Redis that this process hears: one connection for all, subscribed to by exact names, as parts ask for them.

It is a bare connection, not redis-py's PubSub: that one keeps a list of channels of its own, and two tasks that find the
connection broken at once would both subscribe anew.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

import redis.asyncio
import structlog
from redis.exceptions import ConnectionError as LostConnection

from ovms.bus.client import look_for_primary
from ovms.bus.errors import FAILURES
from ovms.outages import REDIS, STORE_AVAILABLE, report_outage
from ovms.stopping import sleep_unless_cancelled

TICK: Final = 0.005
RETRY_AFTER: Final = 0.5
MOST_AT_ONCE: Final = 1000
"""Channels in one command."""
CONNECT_WITHIN: Final = 5.0
SILENCE: Final = 5.0
"""Seconds for Redis to answer whether it is there, which it is asked as often."""
_MESSAGE: Final = 3
"""Parts; what answers a PING has one or two, of which one could have any length but this."""


class Hears(Protocol):
    """A part that hears a channel."""

    def heard(self, body: bytes, /) -> None:
        """Called with the body of every message; raises ValueError where it is malformed."""

    def subscribed(self) -> None:
        """Called when messages are heard from now on: at first, and again after Redis was away."""


class Listener(NamedTuple):
    """One that is made of functions."""

    heard: Callable[[bytes], None]
    subscribed: Callable[[], None] = lambda: None


class Subscriptions:
    """Subscribes in batches, listens, and begins again where Redis was away.

    Args:
        log: a structlog logger; None: the one that the service has configured.
    """

    def __init__(self, client: redis.asyncio.Redis, log: Any = None) -> None:
        self._client = client
        self._listeners: dict[bytes, tuple[tuple[object, Hears], ...]] = {}
        """By channel, each with the party that it is of; tuples, since there are as many as vehicles."""
        self._untold: dict[bytes, set[object]] = {}
        """The parties that have not been told yet that a channel is heard."""
        self._changed: set[bytes] = set()
        self._asked: dict[bytes, int] = {}
        """How many subscriptions to a channel Redis has not answered yet."""
        self._is_there = False
        """Whether Redis has said anything since it was asked last."""
        self._is_unavailable = False
        self._work = asyncio.Event()
        self._log = log or structlog.get_logger("subscriptions")

    def party(self) -> "Party":
        """For a part that hears channels which other parts may hear as well."""
        return Party(self)

    def hear(self, channel: bytes, listener: Hears, party: object = None) -> None:
        """Call a listener for a channel from soon on, in place of any other of its party; it is told when that is."""
        self._listeners[channel] = (*self._others(channel, party), (party, listener))
        self._untold.setdefault(channel, set()).add(party)
        self._note(channel)

    def leave(self, channel: bytes, party: object = None) -> None:
        """Hear a channel no more."""
        others = self._others(channel, party)
        if others:
            self._listeners[channel] = others
            self._untold.get(channel, set()).discard(party)
        elif self._listeners.pop(channel, None):
            self._untold.pop(channel, None)
            self._note(channel)

    def _others(self, channel: bytes, party: object) -> tuple[tuple[object, Hears], ...]:
        return tuple(one for one in self._listeners.get(channel, ()) if one[0] is not party)

    def _note(self, channel: bytes) -> None:
        self._changed.add(channel)
        self._work.set()

    async def run(self) -> None:
        """Subscribe and listen until cancelled."""
        while True:
            try:
                # In a task of its own: a task group whose child fails leaves its task marked as cancelled (Python 3.11).
                await asyncio.create_task(self._run_connected())
            except* FAILURES as errors:
                self._is_unavailable = True
                report_outage(self._log, REDIS, "no channel is received", errors.exceptions[0])
            await sleep_unless_cancelled(RETRY_AFTER)

    async def _run_connected(self) -> None:
        pool: Any = self._client.connection_pool
        async with asyncio.timeout(CONNECT_WITHIN):
            connection: Any = await pool.get_connection()
        if self._is_unavailable:
            self._is_unavailable = False
            self._log.info(STORE_AVAILABLE, store=REDIS)
        self._changed = set(self._listeners)
        self._untold = {channel: {party for party, _ in listeners} for channel, listeners in self._listeners.items()}
        self._asked = {}
        self._work.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._subscribe(connection))
                tasks.create_task(self._listen(connection))
                tasks.create_task(self._stay(connection))
        finally:
            # It is subscribed to channels, so nobody else may use it.
            await connection.disconnect(nowait=True)
            await pool.release(connection)

    async def _subscribe(self, connection: Any) -> None:
        while True:
            await self._work.wait()
            await asyncio.sleep(TICK)
            self._work.clear()
            changed, self._changed = self._changed, set()
            heard = [channel for channel in changed if channel in self._listeners]
            for channel in heard:
                self._asked[channel] = self._asked.get(channel, 0) + 1
            await _send_all(connection, "SUBSCRIBE", heard)
            await _send_all(connection, "UNSUBSCRIBE", [channel for channel in changed if channel not in self._listeners])

    async def _listen(self, connection: Any) -> None:
        while True:
            # math.inf: without an end; None would be the client's time limit.
            answer = await connection.read_response(timeout=math.inf, push_request=True)
            self._is_there = True
            if len(answer) != _MESSAGE:
                continue  # that it is there
            kind, channel, body = answer
            if kind == b"message":
                for _, listener in self._listeners.get(channel, ()):  # none, where it has just been left
                    self._tell(listener, channel, body)
            elif kind == b"subscribe":
                self._answered(channel)

    async def _stay(self, connection: Any) -> None:
        """Leave a server that hangs, and one that is the primary no more: neither says so."""
        while True:
            self._is_there = False
            await _send(connection, "PING")
            await asyncio.sleep(SILENCE)
            if not self._is_there:
                raise LostConnection("Redis says nothing")
            with suppress(*FAILURES):  # nobody may know for a while, and this one serves
                await look_for_primary(self._client)

    def _answered(self, channel: bytes) -> None:
        asked = self._asked.pop(channel) - 1
        if asked:
            self._asked[channel] = asked
        elif channel not in self._changed:  # else it may have been left since, and is heard again after the next answer
            untold = self._untold.pop(channel, ())
            for party, listener in self._listeners.get(channel, ()):
                if party in untold:
                    listener.subscribed()

    def _tell(self, listener: Hears, channel: bytes, body: bytes) -> None:
        try:
            listener.heard(body)
        except ValueError as error:
            # Somebody publishes what he should not: no reason to hear nobody any more.
            self._log.warning("a message on Redis is malformed", channel=repr(channel), reason=str(error))


class Party:
    """The subscriptions of one part, which takes no notice of what others hear."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    def hear(self, channel: bytes, listener: Hears) -> None:
        """Call a listener for a channel from soon on, in place of any other of this part."""
        self._subscriptions.hear(channel, listener, self)

    def leave(self, channel: bytes) -> None:
        """Hear a channel no more."""
        self._subscriptions.leave(channel, self)


async def _send_all(connection: Any, command: str, channels: Sequence[bytes]) -> None:
    for start in range(0, len(channels), MOST_AT_ONCE):
        await _send(connection, command, *channels[start : start + MOST_AT_ONCE])


async def _send(connection: Any, *words: str | bytes) -> None:
    if not connection.is_connected:
        raise LostConnection("it has been closed")  # redis-py would open it again, with no subscription
    await connection.send_command(*words, check_health=False)
