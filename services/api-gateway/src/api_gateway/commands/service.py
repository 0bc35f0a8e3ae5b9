"""Takes commands from callers: to be queued, or to be sent at once and answered with the car's own words."""

import asyncio
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Final

import orjson

from api_gateway.auth.authenticator import Caller
from api_gateway.commands.arguments import Fields
from api_gateway.commands.changes import Changes, Watch
from api_gateway.commands.dispatcher import Dispatcher
from api_gateway.commands.errors import CommandNotQueued, CommandQueueFull, IdempotencyKeyReused, VehicleBusy
from api_gateway.commands.kinds import Kind
from api_gateway.commands.sender import ending
from api_gateway.commands.states import OPEN, CommandState, Input
from api_gateway.commands.wakers import Wakers
from api_gateway.errors import ApiError, ParanoidVehicle, VehicleNotConnected, VehicleSilent
from ovms.bus.channels import commands_channel
from ovms.bus.presence import Presence, Present
from ovms.db import commands as rows
from ovms.db.commands import Command, Keyed, New, Paranoid, TooManyOpen, message_context
from ovms.db.engine import Pool
from ovms.db.sealing import Sealer, SealingError
from ovms.identity import VehicleName
from ovms.protocol.commands import NOT_CONNECTED

LOOK_AGAIN: Final = 1.0
"""Seconds after which a waiting call reads the command again: another gateway may have changed it while Redis was down."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request for a command."""

    kind: Kind
    fields: Fields
    seconds: float
    """That it may wait before it is sent."""
    waits: bool
    """Whether it waits for an absent vehicle."""

    def body(self) -> bytes:
        """Return what differs between different requests."""
        return orjson.dumps([self.kind.name, dict(self.fields), self.seconds, self.waits], option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True)
class CommandService:
    """Takes commands from callers who may give them."""

    pool: Pool
    presence: Presence
    sealer: Sealer
    dispatcher: Dispatcher
    changes: Changes
    wakers: Wakers
    answer_within: float
    """Seconds that a car has for its answer."""

    async def submit(self, caller: Caller, vehicle: VehicleName, order: Order, key: str | None) -> Command:
        """Queue a command, or find the one that its idempotency key stands for.

        Raises:
            InvalidArgument: a field is missing or impossible.
            ParanoidVehicle: the vehicle reads no command of ours.
            VehicleNotConnected: it is not connected, and the command is not to wait for it.
            CommandQueueFull: too many of its commands are not finished.
            IdempotencyKeyReused: the key stands for another request.
        """
        new = self._new(caller, vehicle, order)
        if key is not None:
            if (found := await rows.find_keyed(self.pool, caller.owner_id, vehicle.number, key)) is not None:
                return self._same(found, vehicle, order)
            key_id, mark = self.sealer.mark(order.body(), context=_mark_context(vehicle))
            new = replace(new, idempotency_key=key, request_mark=mark, request_key_id=key_id)
        present = None if order.waits else await self._look_up(vehicle)
        added = await self._add(new)
        if isinstance(added, Keyed):
            return self._same(added, vehicle, order)
        self.dispatcher.wake(vehicle, present)
        return added

    async def wait(self, command: Command, seconds: float) -> Command:
        """Return a command when it is finished, or as it is after so many seconds."""
        with self.changes.watch(command.id, command.vehicle) as watch:
            return await self._follow(command, watch, seconds, lambda now: now.state not in OPEN)

    async def cancel(self, caller: Caller, command: Command) -> Command:
        """Cancel a command that is not sent.

        Raises:
            CommandNotQueued: it is sent, or finished.
        """
        how = replace(ending(Input.CANCEL), actor=caller.login.owner, means=caller.means)
        if (ended := await rows.end(self.pool, command.id, how)) is None:
            raise CommandNotQueued
        await self.changes.publish(ended)
        self.dispatcher.wake(command.name)
        return ended

    async def execute(self, caller: Caller, vehicle: VehicleName, kind: Kind, fields: Fields) -> list[bytes]:
        """Send a car a command when it is its turn, and return all that it answers.

        Raises:
            InvalidArgument: a field is missing or impossible.
            ParanoidVehicle: the vehicle reads no command of ours.
            VehicleNotConnected: it is not connected; it was sent nothing.
            VehicleBusy: its turn did not come; it was sent nothing.
            VehicleSilent: it was sent, and not answered in time.
            CommandQueueFull: too many of its commands are not finished.
        """
        order = Order(kind, fields, self.answer_within, waits=False)
        new = replace(self._new(caller, vehicle, order), only_by=self.dispatcher.name)
        present = await self._look_up(vehicle)
        with self.changes.watch(new.id, new.vehicle) as watch:
            command = await self._add(new)
            assert isinstance(command, Command)
            self.dispatcher.wake(vehicle, present)
            command = await self._follow(
                command, watch, self.answer_within, lambda now: bool(watch.answers) or now.state not in OPEN
            )
        if watch.answers:
            return watch.answers
        if command.state == CommandState.QUEUED:
            if (expired := await rows.end(self.pool, command.id, ending(Input.EXPIRE))) is None:
                raise VehicleSilent  # it has just been sent
            await self.changes.publish(expired)
            raise VehicleBusy
        raise _error(command)

    async def _follow(self, command: Command, watch: Watch, seconds: float, is_over: Callable[[Command], bool]) -> Command:
        """Wait until a command is over, and return it as it is then.

        It follows the changes that this process makes. Once the command may be sent by others, or after others are, it
        subscribes to their changes.
        """
        loop = asyncio.get_running_loop()
        deadline, vehicle = loop.time() + seconds, command.name

        def changed_elsewhere() -> None:
            watch.changed.set()
            self.dispatcher.wake(vehicle)

        with ExitStack() as stack:
            is_subscribed = False
            while not is_over(command) and (left := deadline - loop.time()) > 0:
                if not is_subscribed and not self.dispatcher.is_at_work(vehicle):
                    is_subscribed = True
                    stack.enter_context(self.wakers.waking(commands_channel(vehicle), changed_elsewhere))
                await watch.wait(min(left, LOOK_AGAIN))
                if watch.command is None and not watch.answers:
                    found = await rows.find(self.pool, command.id)
                    watch.command = watch.command or found
                command, watch.command = watch.command or command, None
        return command

    async def _look_up(self, vehicle: VehicleName) -> Present:
        [present] = await self.presence.present([vehicle])
        if not present.has_car:
            raise ParanoidVehicle if await rows.is_paranoid(self.pool, vehicle.number) else VehicleNotConnected
        return present

    def _new(self, caller: Caller, vehicle: VehicleName, order: Order) -> New:
        command_id = uuid.uuid4()
        key_id, message = self.sealer.seal(order.kind.write(order.fields), context=message_context(command_id))
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
            added = await rows.add(self.pool, new)
        except Paranoid:
            raise ParanoidVehicle from None
        except TooManyOpen:
            raise CommandQueueFull from None
        if isinstance(added, Command):
            await self.changes.publish(added)
        return added

    def _same(self, found: Keyed, vehicle: VehicleName, order: Order) -> Command:
        with suppress(SealingError):
            _, mark = self.sealer.mark(order.body(), context=_mark_context(vehicle), key_id=found.request_key_id)
            if mark == found.request_mark:
                return found.command
        raise IdempotencyKeyReused


def _mark_context(vehicle: VehicleName) -> str:
    return f"request to {vehicle.number}"


def _error(command: Command) -> ApiError:
    """Return why a command was not answered, which is sent or finished."""
    if command.state == CommandState.FAILED and command.words == NOT_CONNECTED:
        return VehicleNotConnected()
    return VehicleBusy() if command.sent_at is None else VehicleSilent()
