"""Tells cars what is queued for them: once each, one at a time a car, in order, whichever gateways there are.

That a command is sent is committed before it is. Whoever dies after that, or hears nothing, leaves it `sent`, which becomes
`unknown` after the time that an answer may take; nothing leads back from there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import redis.asyncio

from api_gateway.commands.kinds import Kind
from api_gateway.commands.replies import NOT_CONNECTED, Result, is_last, is_sealed, read_reply
from api_gateway.commands.resource import announcement
from api_gateway.commands.states import CommandState, Input, origins, target
from api_gateway.commands.wakers import Wakers
from ovms.bus.cars import Cars, NoAnswer, NotConnected, TooManyQuestions
from ovms.bus.channels import commands_channel, peers_channel
from ovms.bus.errors import FAILURES
from ovms.bus.presence import Presence
from ovms.db import commands as rows
from ovms.db.commands import Command, End, Taken, message_context
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.sealing import Sealer, SealingError
from ovms.identity import VehicleName
from ovms.outages import STORE_AVAILABLE, report_outage, store_of
from ovms.stopping import end_tasks, sleep_unless_cancelled

SWEEP: Final = 2.0
"""Seconds between two looks at all that waits: whoever was to be woken may have missed it."""
FORGET: Final = 3600.0
START_WITHIN: Final = 6.0
"""The most from saying that a command is sent to sending it."""
SETTLE_WITHIN: Final = 6.0
"""The most from hearing an answer to having kept it; after that the command is taken for lost."""
RETRY: Final = 0.5
STOP_WITHIN: Final = 3.0
MOST_WORDS: Final = 16_384
KEY_GONE: Final = "The server has not the key any more that the command is sealed with"

REASONS: Final = (*UNAVAILABLE, asyncpg.PostgresError, *FAILURES)

Asker = asyncio.Future[list[bytes]]

_INPUTS: Final[Mapping[int, Input]] = {
    Result.DONE: Input.SUCCEED,
    Result.UNSUPPORTED: Input.LACK,
    Result.UNIMPLEMENTED: Input.LACK,
}


def ending(given: Input, result: int | None = None, words: str | None = None) -> End:
    """How a command ends by this."""
    return End(origins(given), target(given), result, words)


class Dispatcher:
    """Sends what is queued; made once a process, which has a name that nobody else has.

    Args:
        kinds: all that may be queued, by name.
        answer_within: seconds that a car has for its answer.
        days: that commands are kept after their end.
    """

    def __init__(
        self,
        *,
        name: str,
        kinds: Mapping[str, Kind],
        pool: Pool,
        client: redis.asyncio.Redis,
        cars: Cars,
        presence: Presence,
        wakers: Wakers,
        sealer: Sealer,
        answer_within: float,
        days: int,
        log: Any,
    ) -> None:
        self.name = name
        self._kinds = kinds
        self._pool = pool
        self._redis: Any = client
        self._cars = cars
        self._presence = presence
        self._wakers = wakers
        self._sealer = sealer
        self._answer_within = answer_within
        self._days = days
        self._log = log
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()
        self._absent: dict[int, tuple[VehicleName, Callable[[], None]]] = {}
        self._askers: dict[UUID, Asker] = {}
        self._is_stopping = False
        self.commands: Counter[str] = Counter()
        """Those that came to a state by this process, by state."""
        self.vehicles_waiting = 0
        """Those for which something waited at the last look."""

    # ---- when there is work

    async def run(self) -> None:
        """Look after all that waits until cancelled."""
        loop = asyncio.get_running_loop()
        forget_at, unavailable = loop.time(), ""
        while True:
            try:
                await self.sweep()
                if loop.time() >= forget_at:
                    forget_at = loop.time() if await rows.forget(self._pool, self._days) else loop.time() + FORGET
                if unavailable:
                    self._log.info(STORE_AVAILABLE, store=unavailable)
                    unavailable = ""
            except REASONS as error:
                unavailable = store_of(error)
                report_outage(self._log, unavailable, "queued commands wait", error)
            await sleep_unless_cancelled(SWEEP)

    async def sweep(self) -> None:
        """End what is too late, take on what others have left, and see whose vehicle is there."""
        for ended in (
            await rows.end_late(self._pool, ending(Input.EXPIRE)),
            await rows.end_lost(self._pool, ending(Input.LOSE)),
        ):
            for command in ended:
                await self.announce(command)
        absent: dict[int, VehicleName] = {}
        after = seen = 0
        while waiting := await rows.list_waiting(self._pool, after):
            peers = await self._presence.counts([one.name for one in waiting])
            for one, found in zip(waiting, peers, strict=True):
                if found.car or one.is_hasty:
                    self.wake(one.name)
                else:
                    absent[one.vehicle] = one.name
            after = waiting[-1].vehicle
            seen += len(waiting)
        self.vehicles_waiting = seen
        for number in self._absent.keys() - absent.keys():
            self._await_no_more(number)
        for vehicle in absent.values():
            self._await(vehicle)

    def wake(self, vehicle: VehicleName) -> None:
        """Something may be to be sent to a vehicle."""
        if self._is_stopping:
            return
        if vehicle.number in self._at_work:
            self._again.add(vehicle.number)
            return
        task = asyncio.create_task(self._work(vehicle))
        self._at_work[vehicle.number] = task
        task.add_done_callback(partial(self._worked, vehicle))

    def _worked(self, vehicle: VehicleName, task: asyncio.Task[None]) -> None:
        del self._at_work[vehicle.number]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("a command cannot be sent", exc_info=error)
        if vehicle.number in self._again:
            self._again.discard(vehicle.number)
            self.wake(vehicle)

    async def _work(self, vehicle: VehicleName) -> None:
        try:
            while await self._send_next(vehicle):
                pass
        except REASONS as error:
            report_outage(self._log, store_of(error), "queued commands wait", error)

    def _await(self, vehicle: VehicleName) -> None:
        if vehicle.number not in self._absent:
            wake = partial(self.wake, vehicle)
            self._absent[vehicle.number] = (vehicle, wake)
            self._wakers.add(peers_channel(vehicle), wake)

    def _await_no_more(self, number: int) -> None:
        if (found := self._absent.pop(number, None)) is not None:
            vehicle, wake = found
            self._wakers.remove(peers_channel(vehicle), wake)

    async def stop(self) -> None:
        """Send nothing any more; what is sent and not answered soon is unknown."""
        self._is_stopping = True
        if self._at_work:
            _, late = await asyncio.wait(list(self._at_work.values()), timeout=STOP_WITHIN)
            await end_tasks(late)
        for number in list(self._absent):
            self._await_no_more(number)

    # ---- the work

    def expect(self, command_id: UUID) -> Asker:
        """What a car will say to a command that this process alone may send.

        It raises `NotConnected` where the car was told nothing, `NoAnswer` where it says nothing.
        """
        return self._askers.setdefault(command_id, asyncio.get_running_loop().create_future())

    def expect_no_more(self, command_id: UUID) -> None:
        """Nobody waits for that any more."""
        if (asker := self._askers.pop(command_id, None)) is not None:
            asker.cancel()

    async def announce(self, command: Command) -> None:
        """Count what has become of a command, and tell whoever hears the vehicle's channel."""
        self.commands[command.state] += 1
        with suppress(*FAILURES):
            await self._redis.publish(commands_channel(command.name), orjson.dumps(announcement(command)))

    async def _send_next(self, vehicle: VehicleName) -> bool:
        """Send what is next; whether there may be more."""
        head = await rows.head(self._pool, vehicle.number, origins(Input.SEND))
        if head is None or head.only_by not in (None, self.name):
            self._await_no_more(vehicle.number)
            return False
        [peers] = await self._presence.counts([vehicle])
        if not peers.car:
            await self._miss(vehicle.number)
            if head.waits:
                self._await(vehicle)
            return not head.waits
        within = START_WITHIN + self._answer_within + SETTLE_WITHIN
        taken = await rows.take(self._pool, head.id, origins(Input.SEND), target(Input.SEND), within)
        return taken is None or await self._send(taken, waits=head.waits)

    async def _miss(self, vehicle: int) -> None:
        # What is sent may have been heard: its sender knows.
        how = replace(ending(Input.MISS, None, NOT_CONNECTED), origins=[CommandState.QUEUED])
        for command in await rows.end_hasty(self._pool, vehicle, how):
            self._tell(command.id, NotConnected())
            await self.announce(command)

    async def _send(self, taken: Taken, *, waits: bool) -> bool:
        """Send a command that is committed as sent; whether to go on with the next."""
        command = taken.command
        try:
            # Nothing is between here and sending but what has a limit.
            said = await self._ask(taken)
        except NotConnected as error:
            self._tell(command.id, error)
            return await self._was_not_sent(command, waits=waits)
        except TooManyQuestions:
            await self._settle_back(command)
            return False
        except SealingError:
            await self._settle(command, ending(Input.MISS, None, KEY_GONE))
            return True
        except (NoAnswer, *FAILURES):
            self._tell(command.id, NoAnswer())
            await self._settle(command, ending(Input.LOSE))
            return True
        except asyncio.CancelledError:
            await self._settle(command, ending(Input.LOSE))
            raise
        return await self._answered(command, said, waits=waits)

    async def _ask(self, taken: Taken) -> list[bytes]:
        command = taken.command
        announced = asyncio.create_task(self.announce(command))
        try:
            message = self._sealer.open(taken.message_key_id, taken.message, context=message_context(command.id))
            async with asyncio.timeout(START_WITHIN + self._answer_within):
                return await self._cars.ask(
                    command.name,
                    message,
                    is_last=partial(is_last, of_list=self._kinds[command.kind].is_list),
                    within=self._answer_within,
                )
        finally:
            # What follows is announced after it.
            await announced

    async def _answered(self, command: Command, said: list[bytes], *, waits: bool) -> bool:
        self._tell(command.id, said)
        last = said[-1]
        if is_sealed(last):
            await self._settle(command, ending(Input.LOSE))
            return True
        reply = read_reply(last)
        if reply.result == Result.FAILED and reply.words == NOT_CONNECTED:
            return await self._was_not_sent(command, waits=waits)
        is_kept = not self._kinds[command.kind].is_list or reply.result != Result.DONE
        words = reply.words.replace("\0", "\ufffd")[:MOST_WORDS] if is_kept else None
        given = _INPUTS.get(reply.result, Input.FAIL)
        await self._settle(command, ending(given, reply.result, words))
        return True

    async def _was_not_sent(self, command: Command, *, waits: bool) -> bool:
        if waits:
            await self._settle_back(command)
            self._await(command.name)
            return False
        await self._settle(command, ending(Input.MISS, None, NOT_CONNECTED))
        return True

    # ---- what has become of it

    def _tell(self, command_id: UUID, said: list[bytes] | Exception) -> None:
        if (asker := self._askers.get(command_id)) is None or asker.done():
            return
        if isinstance(said, Exception):
            asker.set_exception(said)
        else:
            asker.set_result(said)

    async def _settle(self, command: Command, how: End) -> None:
        await self._keep(lambda: rows.end(self._pool, command.id, how))

    async def _settle_back(self, command: Command) -> None:
        await self._keep(lambda: rows.put_back(self._pool, command.id, origins(Input.KEEP), target(Input.KEEP)))

    async def _keep(self, write: Callable[[], Any]) -> None:
        """Write what is known now, also where PostgreSQL is away for a moment."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_WITHIN
        while True:
            try:
                changed = await write()
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                if loop.time() > deadline:
                    self._log.warning("what became of a command is not kept", reason=type(error).__name__)
                    raise
                await sleep_unless_cancelled(RETRY)
            else:
                break
        if changed is not None:
            await self.announce(changed)
