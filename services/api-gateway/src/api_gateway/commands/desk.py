"""Takes commands: for the vehicle's queue, or for a call that waits for the car's own words."""

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import orjson

from api_gateway.auth.authenticator import Caller
from api_gateway.commands.arguments import Fields
from api_gateway.commands.dispatcher import Asker, Dispatcher, ending
from api_gateway.commands.errors import CommandNotQueued, CommandQueueFull, IdempotencyKeyReused, VehicleBusy
from api_gateway.commands.kinds import Kind
from api_gateway.commands.states import OPEN, CommandState, Input
from api_gateway.commands.wakers import Wakers
from api_gateway.errors import ApiError, ParanoidVehicle, VehicleNotConnected, VehicleSilent
from ovms.bus.cars import NoAnswer, NotConnected
from ovms.bus.channels import commands_channel
from ovms.bus.presence import Presence
from ovms.db import commands as rows
from ovms.db.commands import Command, Keyed, New, TooManyOpen, message_context
from ovms.db.engine import Pool
from ovms.db.sealing import Sealer, SealingError
from ovms.db.state import read_newest
from ovms.identity import VehicleName

LOOK_AGAIN: Final = 1.0
"""Seconds after which a waiting call looks for itself: Redis may be away."""
# A module in paranoid mode seals all that it says of itself; whichever of these it sent last tells.
PARANOID_BY: Final = frozenset("SDFV")


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for."""

    kind: Kind
    fields: Fields
    seconds: float
    """That it may wait before it is sent."""
    waits: bool
    """Whether it waits for an absent vehicle."""

    def body(self) -> bytes:
        """What makes it another request."""
        return orjson.dumps([self.kind.name, dict(self.fields), self.seconds, self.waits], option=orjson.OPT_SORT_KEYS)


class CommandDesk:
    """Takes commands from callers who may give them."""

    def __init__(
        self, pool: Pool, presence: Presence, sealer: Sealer, dispatcher: Dispatcher, wakers: Wakers, answer_within: float
    ) -> None:
        self._pool = pool
        self._presence = presence
        self._sealer = sealer
        self._dispatcher = dispatcher
        self._wakers = wakers
        self._answer_within = answer_within

    async def take(self, caller: Caller, vehicle: VehicleName, order: Order, key: str | None) -> Command:
        """Queue a command, or find what its idempotency key stands for.

        Raises:
            InvalidArgument: a field is missing or impossible.
            ParanoidVehicle: the vehicle reads no command of ours.
            VehicleNotConnected: it is not there, and the command is not to wait for it.
            CommandQueueFull: too much is to be done before.
            IdempotencyKeyReused: the key stands for another request.
        """
        if key is not None and (found := await rows.find_keyed(self._pool, caller.owner_id, vehicle.number, key)) is not None:
            return self._same(found, vehicle, order)
        new = self._new(caller, vehicle, order)
        await self._check_readable(vehicle)
        if not order.waits:
            await self._check_connected(vehicle)
        if key is not None:
            key_id, mark = self._sealer.mark(order.body(), context=_mark_context(vehicle))
            new = replace(new, idempotency_key=key, request_mark=mark, request_key_id=key_id)
        added = await self._add(new)
        if isinstance(added, Keyed):
            return self._same(added, vehicle, order)
        await self._dispatcher.announce(added)
        self._dispatcher.wake(vehicle)
        return added

    async def wait(self, command: Command, seconds: float) -> Command:
        """A command when it is finished, or as it is after so many seconds."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self._wakers.waking(commands_channel(command.name), changed.set):
            while command.state in OPEN and (left := deadline - loop.time()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, LOOK_AGAIN)):
                        await changed.wait()
                changed.clear()
                command = await rows.find(self._pool, command.id) or command
        return command

    async def cancel(self, caller: Caller, command: Command) -> Command:
        """Cancel a command that is not sent.

        Raises:
            CommandNotQueued: it is sent, or over.
        """
        how = replace(ending(Input.CANCEL), actor=caller.login.owner, means=caller.means)
        if (ended := await rows.end(self._pool, command.id, how)) is None:
            raise CommandNotQueued
        await self._dispatcher.announce(ended)
        self._dispatcher.wake(command.name)
        return ended

    async def tell(self, caller: Caller, vehicle: VehicleName, kind: Kind, fields: Fields) -> list[bytes]:
        """Tell a car something when it is its turn, and return all that it says to that.

        Raises:
            InvalidArgument: a field is missing or impossible.
            ParanoidVehicle: the vehicle reads no command of ours.
            VehicleNotConnected: it is not there; it was told nothing.
            VehicleBusy: its turn did not come; it was told nothing.
            VehicleSilent: it was told, and did not answer in time.
            CommandQueueFull: too much is to be done before.
        """
        order = Order(kind, fields, self._answer_within, waits=False)
        new = replace(self._new(caller, vehicle, order), only_by=self._dispatcher.name)
        await self._check_readable(vehicle)
        await self._check_connected(vehicle)
        asker = self._dispatcher.expect(new.id)
        try:
            added = await self._add(new)
            assert isinstance(added, Command)
            await self._dispatcher.announce(added)
            return await self._hear_out(added, asker)
        except NotConnected:
            raise VehicleNotConnected from None
        except NoAnswer:
            raise VehicleSilent from None
        finally:
            self._dispatcher.expect_no_more(new.id)

    async def _hear_out(self, command: Command, asker: Asker) -> list[bytes]:
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._answer_within
        with self._wakers.waking(commands_channel(command.name), changed.set):
            while True:
                self._dispatcher.wake(command.name)
                await _first_of(asker, changed, min(deadline - loop.time(), LOOK_AGAIN))
                if asker.done():
                    return asker.result()
                if loop.time() >= deadline:
                    ended = await rows.end(self._pool, command.id, ending(Input.EXPIRE))
                    raise VehicleSilent if ended is None else VehicleBusy
                command = await rows.find(self._pool, command.id) or command
                if command.state not in OPEN and not asker.done():
                    raise _unheard(command)

    def _new(self, caller: Caller, vehicle: VehicleName, order: Order) -> New:
        command_id = uuid.uuid4()
        key_id, message = self._sealer.seal(order.kind.write(order.fields), context=message_context(command_id))
        return New(
            command_id,
            vehicle.number,
            caller.owner_id,
            caller.login.owner,
            caller.means,
            order.kind.name,
            order.kind.number,
            order.kind.shown(order.fields),
            message,
            key_id,
            order.seconds,
            order.waits,
        )

    async def _add(self, new: New) -> Command | Keyed:
        try:
            return await rows.add(self._pool, new)
        except TooManyOpen:
            raise CommandQueueFull from None

    def _same(self, found: Keyed, vehicle: VehicleName, order: Order) -> Command:
        with suppress(SealingError):
            _, mark = self._sealer.mark(order.body(), context=_mark_context(vehicle), key_id=found.request_key_id)
            if mark == found.request_mark:
                return found.command
        raise IdempotencyKeyReused

    async def _check_readable(self, vehicle: VehicleName) -> None:
        messages = await read_newest(self._pool, vehicle.number)
        if any(message.paranoid for message in messages if message.code in PARANOID_BY):
            raise ParanoidVehicle

    async def _check_connected(self, vehicle: VehicleName) -> None:
        [peers] = await self._presence.counts([vehicle])
        if not peers.car:
            raise VehicleNotConnected


def _mark_context(vehicle: VehicleName) -> str:
    return f"request to {vehicle.number}"


async def _first_of(asker: Asker, changed: asyncio.Event, seconds: float) -> None:
    """Wait until a car has answered, something has changed, or the time is over."""
    waiting = asyncio.ensure_future(changed.wait())
    try:
        await asyncio.wait((asker, waiting), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    changed.clear()


def _unheard(command: Command) -> ApiError:
    """Why nothing is heard of a command that another process has ended, or somebody."""
    if command.sent_at is not None:
        return VehicleSilent()
    return VehicleNotConnected() if command.state == CommandState.FAILED else VehicleBusy()
