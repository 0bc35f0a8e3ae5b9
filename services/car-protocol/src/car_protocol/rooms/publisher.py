"""Publishes what cars send, and what replicas tell each other, on Redis: what has come meanwhile goes out in one write.

A write costs as much for one publication as for a hundred, so after each there is a pause: the longer, the more it has carried.
A replica with little to say says it at once; one with much to say spends its time on other things.

The connection is told to send no replies (`CLIENT REPLY OFF`): reading one a message would cost more than the message.
Publishing is at most once anyway; while Redis is away what was to be published is dropped and counted. So it is where this
replica has hung for longer than its lease: its cars may be elsewhere, and what was read of their old sockets is past. Each
message of a car takes a number all the same, so watchers notice the loss by the next number. A car may not send another one, so
the next write begins with positions: the versions that were dropped last. Every few seconds of publishing the connection is
told to send one reply: a server that hangs, or a machine that has gone, shows in nothing else.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import redis.asyncio
import structlog
from redis.exceptions import ConnectionError as LostConnection

from car_protocol.rooms.hub import Room
from car_protocol.rooms.lease import Lease
from ovms.bus.channels import messages_channel
from ovms.bus.errors import FAILURES
from ovms.bus.messages import OUTSIDE_SESSIONS
from ovms.identity import VehicleName
from ovms.metrics import Histogram
from ovms.outages import REDIS, report_outage
from ovms.stopping import sleep_unless_cancelled

PAUSE_A_PUBLICATION: Final = 0.0002
"""Seconds of pause for each that went out, up to the tick: at 5000 a second and more it is the tick."""
RETRY_AFTER: Final = 0.5
SEND_TIMEOUT: Final = 5.0
CHECK_EVERY: Final = 5.0
"""Seconds."""

# The head of a vehicle's publication and the version of its message, out of the whole.
_OF_A_CAR: Final = re.compile(
    rb"(\*3\r\n\$7\r\nPUBLISH\r\n\$\d+\r\novms:\{[^}\r\n]*\}:\d+:messages\r\n\$)\d+\r\n([1-9]\d*-\d+) "
)

_CLIENT_REPLY: Final = b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n"
_REPLY_ONCE: Final = _CLIENT_REPLY + b"$2\r\nON\r\n" + _CLIENT_REPLY + b"$3\r\nOFF\r\n"


def publish_head(vehicle: VehicleName) -> bytes:
    """The beginning of a PUBLISH of a vehicle's message."""
    return _head(messages_channel(vehicle).encode())


def _head(channel: bytes) -> bytes:
    """What comes before the length of the body, as Redis' protocol (RESP) writes an array of three strings."""
    return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$" % (len(channel), channel)


def _publication(head: bytes, body: bytes) -> bytes:
    return b"%b%d\r\n%b\r\n" % (head, len(body), body)


class Pause:
    """How long to wait with the next write.

    Args:
        most: seconds.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._until = 0.0

    def begin(self, now: float, count: int) -> None:
        """So many publications go out."""
        self._until = now + min(self._most, count * PAUSE_A_PUBLICATION)

    def left(self, now: float) -> float:
        """Seconds; none is left where there was nothing to publish for a while."""
        return max(0.0, self._until - now)


class Publisher:
    """Collects publications and writes them.

    Args:
        client: gives the connection.
        tick: the most seconds between one write and the next, and so the most that a publication waits.
        limit: bytes that may wait.
        monotonic: the clock that what waits is timed with, and the lease.
    """

    def __init__(
        self, client: redis.asyncio.Redis, lease: Lease, *, tick: float, limit: int, monotonic: Callable[[], float]
    ) -> None:
        self._client = client
        self._lease = lease
        self._tick = tick
        self._limit = limit
        self._monotonic = monotonic
        self._waiting: list[bytes] = []
        self._since = 0.0
        """When the first came of what waits."""
        self._bytes = 0
        self._dropped: dict[bytes, bytes] = {}
        """The versions that were dropped last and are not published as positions yet, by the heads of their vehicles."""
        self._work = asyncio.Event()
        self._log = structlog.get_logger("publisher")
        self.published = 0
        self.dropped = 0
        self.age = Histogram()
        """Of what has waited longest of each write."""

    @property
    def unpublished_bytes(self) -> int:
        """What waits."""
        return self._bytes

    def publish(self, room: Room, message: bytes) -> None:
        """Publish a message on its vehicle's channel, soon; give it the next number of the car's session."""
        number = room.message_number = room.message_number + 1
        body = b"%d-%d %b" % (room.epoch, number, message)  # as `message_body`, without a call
        self._put(b"%b%d\r\n%b\r\n" % (room.publish_head, len(body), body))

    def publish_outside_sessions(self, room: Room, message: bytes) -> None:
        """Publish a message that does not come from the car on its vehicle's channel, soon; it has no number."""
        self._put(_publication(room.publish_head, OUTSIDE_SESSIONS + b" " + message))

    def publish_on(self, channel: bytes, body: bytes) -> None:
        """Publish on any channel, soon, after all that was published before."""
        self._put(_publication(_head(channel), body))

    def _put(self, publication: bytes) -> None:
        if self._bytes > self._limit:
            self._drop((publication,))
            return
        if not self._waiting:
            self._since = self._monotonic()
            self._work.set()
        self._waiting.append(publication)
        self._bytes += len(publication)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            try:
                await self._run_connected()
            except FAILURES as error:
                report_outage(self._log, REDIS, "publications are dropped", error)
                self._drop(self._take())
                await sleep_unless_cancelled(RETRY_AFTER)

    async def _run_connected(self) -> None:
        pool: Any = self._client.connection_pool
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SEND_TIMEOUT):
            connection: Any = await pool.get_connection()
        try:
            await connection.send_command("CLIENT", "REPLY", "OFF")
            if self._dropped:
                self._work.set()
            pause, check_at = Pause(self._tick), loop.time()
            while True:
                await self._work.wait()
                await asyncio.sleep(pause.left(loop.time()))
                pause.begin(loop.time(), len(self._waiting))
                if not connection.is_connected:
                    raise LostConnection("it has been closed")  # redis-py would open it again, with replies that nobody reads
                await self._flush(connection.send_packed_command)
                if loop.time() >= check_at:
                    await _check(connection)
                    check_at = loop.time() + CHECK_EVERY
        finally:
            # It answers nothing any more, so nobody else may use it.
            await connection.disconnect(nowait=True)
            await pool.release(connection)

    async def _flush(self, send: Callable[..., Any]) -> None:
        since, waiting = self._since, self._take()
        if self._lease.is_over(self._monotonic()):
            self._drop(waiting)
            if self._dropped:  # published once there is a lease again, also where nothing else is
                asyncio.get_running_loop().call_later(RETRY_AFTER, self._work.set)
            return
        dropped, self._dropped = self._dropped, {}
        positions = [_publication(head, version + b" ") for head, version in dropped.items()]
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await send(b"".join(positions + waiting), check_health=False)
        except BaseException:
            later, self._dropped = self._dropped, dropped
            self._drop(waiting)
            self._dropped |= later
            raise
        self.published += len(waiting)
        if waiting:
            self.age.observe(self._monotonic() - since)

    def _drop(self, publications: Iterable[bytes]) -> None:
        for publication in publications:
            self.dropped += 1
            if found := _OF_A_CAR.match(publication):
                self._dropped[found[1]] = found[2]

    def _take(self) -> list[bytes]:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        self._work.clear()
        return waiting


async def _check(connection: Any) -> None:
    async with asyncio.timeout(SEND_TIMEOUT):
        await connection.send_packed_command(_REPLY_ONCE, check_health=False)
        await connection.read_response()
