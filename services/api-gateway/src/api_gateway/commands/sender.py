"""Sends a command that is committed as `sent` to its car, and writes what became of it.

If this process crashes after that commit, or receives no reply, the command stays `sent` and becomes `unknown` after the time
that an answer may take. It is never sent again from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from api_gateway.commands.changes import Changes
from api_gateway.commands.kinds import ALL_KINDS
from api_gateway.commands.replies import Result, is_last, is_sealed, read_reply
from api_gateway.commands.states import Input, origins, target
from ovms.bus.cars import Cars, NoAnswer, NotConnected, TooManyQuestions
from ovms.bus.errors import FAILURES
from ovms.bus.presence import Present
from ovms.db import commands as rows
from ovms.db.commands import Command, End, Taken, message_context
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.sealing import Sealer, SealingError
from ovms.protocol.commands import NOT_CONNECTED
from ovms.stopping import sleep_unless_cancelled

START_WITHIN: Final = 6.0
"""The most seconds from the commit of `sent` to sending."""
SETTLE_WITHIN: Final = 6.0
"""The most seconds from an answer to its commit; after that the command counts as lost."""
RETRY: Final = 0.5
MOST_WORDS: Final = 16_384
KEY_GONE: Final = "The server has not the key any more that the command is sealed with"

_INPUTS: Final[Mapping[int, Input]] = {
    Result.DONE: Input.SUCCEED,
    Result.UNSUPPORTED: Input.LACK,
    Result.UNIMPLEMENTED: Input.LACK,
}


def ending(given: Input, result: int | None = None, words: str | None = None) -> End:
    """How a command ends by this."""
    return End(origins(given), target(given), result, words)


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends commands."""

    pool: Pool
    cars: Cars
    sealer: Sealer
    changes: Changes
    answer_within: float
    """Seconds that a car has for its answer."""
    log: Any

    @property
    def within(self) -> float:
        """The most seconds from the commit of `sent` to that of the end."""
        return START_WITHIN + self.answer_within + SETTLE_WITHIN

    async def send(self, taken: Taken, present: Present) -> bool:
        """Send a command and write how it ended; False: its car is not connected: it was not sent, and is not settled.

        Raises:
            TooManyQuestions: it was put back.
        """
        command = taken.command
        try:
            # Every wait between the commit and sending has a limit.
            answers = await self._ask(taken, present)
        except NotConnected:
            return False
        except TooManyQuestions:
            await self.put_back(command)
            raise
        except SealingError:
            await self._settle(command, ending(Input.MISS, None, KEY_GONE))
            return True
        except (NoAnswer, *FAILURES):
            await self._settle(command, ending(Input.LOSE))
            return True
        except asyncio.CancelledError:
            await self._settle(command, ending(Input.LOSE))
            raise
        return await self._answered(command, answers)

    async def _ask(self, taken: Taken, present: Present) -> list[bytes]:
        command = taken.command
        notice = self.changes.deliver(command)
        message = self.sealer.open(taken.message_key_id, taken.message, context=message_context(command.id))
        async with asyncio.timeout(START_WITHIN + self.answer_within):
            return await self.cars.ask(
                command.vehicle,
                present,
                message,
                notice,
                is_last=is_last,
                within=self.answer_within,
            )

    async def _answered(self, command: Command, answers: list[bytes]) -> bool:
        last = answers[-1]
        reply = None if is_sealed(last) else read_reply(last)
        if reply is not None and reply.result == Result.FAILED and reply.words == NOT_CONNECTED:
            return False
        self.changes.answered(command, answers)
        if reply is None:
            await self._settle(command, ending(Input.LOSE))
            return True
        is_kept = not ALL_KINDS[command.kind].is_list or reply.result != Result.DONE
        words = reply.words.replace("\0", "\ufffd")[:MOST_WORDS] if is_kept else None
        given = _INPUTS.get(reply.result, Input.FAIL)
        await self._settle(command, ending(given, reply.result, words))
        return True

    # ---- what became of it

    async def put_back(self, command: Command) -> None:
        """Queue a command again that was not sent."""
        await self._keep(lambda: rows.put_back(self.pool, command.id, origins(Input.KEEP), target(Input.KEEP)))

    async def miss(self, command: Command) -> None:
        """End a command that was not sent."""
        await self._settle(command, ending(Input.MISS, None, NOT_CONNECTED))

    async def _settle(self, command: Command, how: End) -> None:
        await self._keep(lambda: rows.end(self.pool, command.id, how))

    async def _keep(self, write: Callable[[], Awaitable[Command | None]]) -> None:
        """Write what is known now, even if PostgreSQL is unavailable for a moment."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_WITHIN
        while True:
            try:
                changed = await write()
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                if loop.time() > deadline:
                    self.log.warning("what became of a command is not kept", reason=type(error).__name__)
                    raise
                await sleep_unless_cancelled(RETRY)
            else:
                break
        if changed is not None:
            await self.changes.publish(changed)
