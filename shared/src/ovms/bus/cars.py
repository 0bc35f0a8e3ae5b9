"""Asks cars, from a process that has none: a question goes to the replica that has the car's session.

The process has a channel of its own, as replicas of car-protocol have, and each open question is a peer there. A question is
sent at most once: it names the session that it is for.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import redis.asyncio
from redis.exceptions import ConnectionError as LostConnection

from ovms.bus.channels import replica_channel
from ovms.bus.presence import Present
from ovms.bus.replicas import Address, Parts, ToPeer, Written, read_word, to_car, unwritten
from ovms.bus.subscriptions import Listener, Subscriptions

MOST_QUESTIONS: Final = 10_000
MOST_ANSWERS: Final = 4096
"""To one question; what comes beyond is dropped."""
HEARD_WITHIN: Final = 2.0

# The answers come on a channel of this process: without a subscriber there nothing is sent, since no answer would be received.
_ASK: Final = """
if redis.call('PUBSUB', 'NUMSUB', ARGV[1])[2] == 0 then return -1 end
local receivers = redis.call('PUBLISH', ARGV[2], ARGV[3])
if receivers > 0 then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return receivers
"""

IsLast = Callable[[bytes], bool]


class Notice(NamedTuple):
    """A publication that says that a question has been sent."""

    channel: str
    body: bytes


class NotConnected(Exception):
    """The car is not connected; it was sent nothing."""


class NoAnswer(Exception):
    """The car, or its replica, did not answer in time; whether it did what it was told is not known."""


class TooManyQuestions(Exception):
    """So many are open that no more is asked; the car was sent nothing."""


class Cars:
    """Asks cars on behalf of this process, under a name that nobody else has.

    Every method that waits raises `redis.exceptions.RedisError` where Redis does not answer.
    """

    def __init__(self, client: redis.asyncio.Redis, subscriptions: Subscriptions) -> None:
        self._redis: Any = client
        self._name = secrets.token_hex(8)
        self._channel = replica_channel(self._name)
        self._numbers = itertools.count(1)
        self._questions: dict[int, asyncio.Queue[bytes]] = {}
        self._unwritten: dict[int, tuple[asyncio.Future[Written], Parts]] = {}
        self._can_hear = asyncio.Event()
        subscriptions.hear(self._channel.encode(), Listener(self._heard, self._can_hear.set))

    @property
    def open_questions(self) -> int:
        """How many wait for an answer."""
        return len(self._questions)

    async def ask(
        self, vehicle: int, present: Present, message: bytes, notice: Notice, *, is_last: IsLast, within: float
    ) -> list[bytes]:
        """Send a car a message and wait for its answers.

        Args:
            present: who is connected to the vehicle.
            message: code and data.
            notice: is published together with it.
            is_last: whether no other answer follows this one.
            within: seconds for all of them.

        Raises:
            NotConnected: the car is not there.
            NoAnswer: it did not answer in time.
            TooManyQuestions: too many are open here.
        """
        if len(self._questions) >= MOST_QUESTIONS:
            raise TooManyQuestions
        session, replica = present.car()
        if not session:
            raise NotConnected
        number, answers = next(self._numbers), asyncio.Queue[bytes](MOST_ANSWERS)
        self._questions[number] = answers
        try:
            await self._check_hearing()
            question = to_car(session, vehicle, Address(self._name, number), message)
            await self._send(replica_channel(replica), question, notice)
            return await _collect(answers, is_last, within)
        finally:
            del self._questions[number]

    async def unwritten(self, replica: str, vehicle: int, *, within: float) -> Written | None:
        """Ask a replica what it has not written yet of a vehicle's state; None where it does not tell in time.

        The answer comes after all that the replica has published before.
        """
        if len(self._unwritten) >= MOST_QUESTIONS:
            return None
        number = next(self._numbers)
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._unwritten[number] = answer, Parts()
        try:
            async with asyncio.timeout(within):
                await self._can_hear.wait()
                if not await self._redis.publish(replica_channel(replica), unwritten(vehicle, self._name, number)):
                    return None
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._unwritten[number]

    async def _check_hearing(self) -> None:
        try:
            async with asyncio.timeout(HEARD_WITHIN):
                await self._can_hear.wait()
        except TimeoutError:
            raise LostConnection("nothing is heard of Redis") from None

    async def _send(self, channel: str, question: bytes, notice: Notice) -> None:
        """Publish a question. Not through the client, which tries again: what was not answered may have been heard."""
        pool = self._redis.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_command("EVAL", _ASK, 0, self._channel, channel, question, *notice)
            receivers = int(await connection.read_response())
        except BaseException:
            # Its answer may still come, and would be taken for that to the next command.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)
        if receivers < 0:
            raise LostConnection("nothing is heard of Redis any more")
        # Nobody hears the channel of a replica that has just died.
        if not receivers:
            raise NotConnected

    def _heard(self, body: bytes) -> None:
        match read_word(body):
            case ToPeer(number, message):
                if (answers := self._questions.get(number)) is not None and not answers.full():
                    answers.put_nowait(message)
            case Written(number) as part:
                self._answered(number, part)

    def _answered(self, number: int, part: Written) -> None:
        if (asked := self._unwritten.get(number)) is None:
            return
        answer, parts = asked
        if (told := parts.add(part)) is not None and not answer.done():
            answer.set_result(told)


async def _collect(answers: asyncio.Queue[bytes], is_last: IsLast, within: float) -> list[bytes]:
    try:
        async with asyncio.timeout(within):
            collected = [await answers.get()]
            while not is_last(collected[-1]):
                collected.append(await answers.get())
            return collected
    except TimeoutError:
        raise NoAnswer from None
