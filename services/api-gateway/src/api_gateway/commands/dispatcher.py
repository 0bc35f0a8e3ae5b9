"""Sends cars what is queued for them: once each, one at a time a car, in order, from any number of gateways."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import asyncpg

from api_gateway.commands.changes import Changes
from api_gateway.commands.sender import Sender, ending
from api_gateway.commands.states import CommandState, Input, origins, target
from api_gateway.commands.wakers import Wakers
from ovms.bus.cars import TooManyQuestions
from ovms.bus.channels import peers_channel
from ovms.bus.errors import FAILURES
from ovms.bus.presence import Presence, Present
from ovms.db import commands as rows
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.identity import VehicleName
from ovms.outages import STORE_AVAILABLE, report_outage, store_of
from ovms.protocol.commands import NOT_CONNECTED
from ovms.stopping import end_tasks, sleep_unless_cancelled

SWEEP: Final = 2.0
"""Seconds between two checks of everything that is queued: an event may have been missed."""
FORGET: Final = 3600.0
STOP_WITHIN: Final = 3.0

REASONS: Final = (*UNAVAILABLE, asyncpg.PostgresError, *FAILURES)


class Dispatcher:
    """Takes queued commands and sends them; made once a process, which has a name that no other has.

    Args:
        days: that commands are kept after their end.
    """

    def __init__(
        self,
        *,
        name: str,
        pool: Pool,
        presence: Presence,
        wakers: Wakers,
        changes: Changes,
        sender: Sender,
        days: int,
        log: Any,
    ) -> None:
        self.name = name
        self._pool = pool
        self._presence = presence
        self._wakers = wakers
        self._changes = changes
        self._sender = sender
        self._days = days
        self._log = log
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()
        self._absent: dict[int, tuple[VehicleName, Callable[[], None]]] = {}
        self._is_stopping = False
        self.vehicles_waiting = 0
        """Vehicles that had queued commands at the last check."""

    async def run(self) -> None:
        """Check everything that is queued until cancelled."""
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
        """End what is too late, take over what other gateways have left, and look up which vehicles are connected."""
        for ended in (
            await rows.end_late(self._pool, ending(Input.EXPIRE)),
            await rows.end_lost(self._pool, ending(Input.LOSE)),
        ):
            for command in ended:
                await self._changes.publish(command)
        absent: dict[int, VehicleName] = {}
        after = seen = 0
        while waiting := await rows.list_waiting(self._pool, after):
            found = await self._presence.present([one.name for one in waiting])
            for one, present in zip(waiting, found, strict=True):
                if present.has_car or one.is_hasty:
                    self.wake(one.name, present)
                else:
                    absent[one.vehicle] = one.name
            after = waiting[-1].vehicle
            seen += len(waiting)
        self.vehicles_waiting = seen
        for number in self._absent.keys() - absent.keys():
            self._await_no_more(number)
        for vehicle in absent.values():
            self._await(vehicle)

    def is_at_work(self, vehicle: VehicleName) -> bool:
        """Return whether commands of a vehicle are being sent from here."""
        return vehicle.number in self._at_work

    def wake(self, vehicle: VehicleName, present: Present | None = None) -> None:
        """Send what is queued for a vehicle, if anything is.

        Args:
            present: who is connected to it, if that was just looked up.
        """
        if self._is_stopping:
            return
        if vehicle.number in self._at_work:
            self._again.add(vehicle.number)
            return
        self._at_work[vehicle.number] = task = asyncio.create_task(self._work(vehicle, present))
        task.add_done_callback(partial(self._worked, vehicle))

    def _worked(self, vehicle: VehicleName, task: asyncio.Task[None]) -> None:
        del self._at_work[vehicle.number]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("a command cannot be sent", exc_info=error)
        if vehicle.number in self._again:
            self._again.discard(vehicle.number)
            self.wake(vehicle)
        else:
            self._changes.left(vehicle.number)

    async def _work(self, vehicle: VehicleName, present: Present | None) -> None:
        try:
            while True:
                # What was looked up before may have changed since; what is looked up here decides.
                is_known, present = present is not None, present or await self._look_up(vehicle)
                if not present.has_car:
                    return await self._miss(vehicle)
                by, given = self.name, Input.SEND
                taken = await rows.take_next(self._pool, vehicle.number, by, origins(given), target(given), self._sender.within)
                if taken is None:
                    return self._await_no_more(vehicle.number)
                if await self._sender.send(taken, present):
                    continue
                present = None
                if is_known or taken.waits:
                    await self._sender.put_back(taken.command)
                else:
                    await self._sender.miss(taken.command)
                if not is_known and taken.waits:
                    return self._await(vehicle)
        except TooManyQuestions:
            pass  # the next sweep tries again
        except REASONS as error:
            report_outage(self._log, store_of(error), "queued commands wait", error)

    async def _look_up(self, vehicle: VehicleName) -> Present:
        [present] = await self._presence.present([vehicle])
        return present

    async def _miss(self, vehicle: VehicleName) -> None:
        """End the queued commands that do not wait for an absent vehicle, and wait for it with the others."""
        # One that is sent may have been received: its sender knows.
        how = replace(ending(Input.MISS, None, NOT_CONNECTED), origins=[CommandState.QUEUED])
        for command in await rows.end_hasty(self._pool, vehicle.number, how):
            await self._changes.publish(command)
        self._await(vehicle)

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
        """Send no more commands; one that is sent and not answered soon is unknown."""
        self._is_stopping = True
        if self._at_work:
            _, late = await asyncio.wait(list(self._at_work.values()), timeout=STOP_WITHIN)
            await end_tasks(late)
        for number in list(self._absent):
            self._await_no_more(number)
