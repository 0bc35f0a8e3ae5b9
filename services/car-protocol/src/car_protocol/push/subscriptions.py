"""Who wants notifications pushed: message `p` (manual, message 0x70), read as the reference reads it.

`<app id>,<push type>,<key type>,<vehicle>,<vehicle password>,<key>` subscribes to a vehicle of the same owner. The password may
contain commas, the key may not. `<app id>,<push type>,simple,<key>` subscribes to the vehicle that the peer is connected to.
A mail address `-` ends the subscription.
"""

import asyncio
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import structlog

from car_protocol.rooms.hub import Room
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.push import find_subscribable, subscribe, unsubscribe
from ovms.db.sealing import Sealer, SealingError
from ovms.identity import fold_vehicle_id
from ovms.stopping import end_tasks
from ovms.subscriptions import APNS, LONGEST_NAME, MAIL, has_form

FINISH: Final = 5.0
"""Seconds that subscriptions in flight have when the service stops."""

_NOBODY: Final = "-"
_VEHICLE_PASSWORD_KEY: Final = re.compile(rb"([^,]+),(.+),([^,]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a message `p` asks for."""

    app_id: str
    push_type: str
    key_type: str
    key: str = field(repr=False)
    vehicle_id: str | None
    """None: the vehicle that the peer is connected to."""
    password: bytes = field(repr=False)

    @property
    def is_ended(self) -> bool:
        """Whether it asks that nothing be pushed any more."""
        return self.push_type == MAIL and self.key == _NOBODY


def read_subscription(data: bytes) -> Subscription | None:
    """Read the data of a message `p`; None where it is malformed, too long or of a type that nothing here delivers."""
    app_id, push_type, key_type, rest = (*data.split(b",", 3), b"", b"", b"", b"")[:4]
    if push_type == APNS.encode():
        key_type = b"production"
    if found := _VEHICLE_PASSWORD_KEY.fullmatch(rest):
        vehicle_id, password, key = found.groups()
    elif key_type == b"simple":
        vehicle_id, password, key = b"", b"", rest
    else:
        return None
    try:
        asked = Subscription(
            app_id.decode(), push_type.decode(), key_type.decode(), key.decode(), vehicle_id.decode() or None, password
        )
    except UnicodeDecodeError:
        return None
    return asked if _is_acceptable(asked) else None


def _is_acceptable(asked: Subscription) -> bool:
    names = (asked.app_id, asked.key_type, asked.vehicle_id or "")
    if not asked.app_id or any(len(name) > LONGEST_NAME or "\0" in name for name in names):
        return False
    return asked.is_ended or has_form(asked.push_type, asked.key)


class SubscriptionDesk:
    """Keeps subscriptions, beside the path of the messages.

    Args:
        most: how many may be looked at at once; more are lost, as apps subscribe again at every login.
    """

    def __init__(self, pool: Pool, sealer: Sealer, *, most: int = 64) -> None:
        self._pool = pool
        self._sealer = sealer
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("push")

    def ask(self, room: Room, data: bytes) -> bool:
        """Keep or end a subscription, soon; whether it can be read at all."""
        asked = read_subscription(data)
        if asked is None:
            return False
        if len(self._tasks) >= self._most:
            self._log.warning("too many subscriptions at once, one is lost", vehicle=room.vehicle_id)
            return True
        task = asyncio.get_running_loop().create_task(self._answer(room, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Finish what was asked, if that does not take long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FINISH)
        await end_tasks(self._tasks)

    async def _answer(self, room: Room, asked: Subscription) -> None:
        try:
            vehicle = await self._vehicle(room, asked)
            if vehicle is None:
                self._log.info("a push subscription is refused", vehicle=room.vehicle_id, app=asked.app_id)
            else:
                await self._keep(room, vehicle, asked)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            self._log.warning("a push subscription is lost", vehicle=room.vehicle_id, reason=type(error).__name__)

    async def _vehicle(self, room: Room, asked: Subscription) -> int | None:
        """The vehicle, if it has the same owner and the password is right."""
        if asked.vehicle_id is None:
            return room.vehicle
        found = await find_subscribable(self._pool, room.vehicle, fold_vehicle_id(asked.vehicle_id))
        if found is None:
            return None
        try:
            password = self._sealer.open(found.password_key_id, found.password, context=fold_vehicle_id(found.vehicle_id))
        except SealingError as error:
            self._log.error("a vehicle's password cannot be opened", vehicle=found.vehicle_id, reason=str(error))
            return None
        return found.key if hmac.compare_digest(password, asked.password) else None

    async def _keep(self, room: Room, vehicle: int, asked: Subscription) -> None:
        if asked.is_ended:
            await unsubscribe(self._pool, vehicle, asked.app_id)
            return
        gone = await subscribe(
            self._pool, vehicle, asked.app_id, push_type=asked.push_type, key_type=asked.key_type, key=asked.key
        )
        self._log.info(
            "subscribed",
            vehicle=asked.vehicle_id or room.vehicle_id,
            app=asked.app_id,
            type=asked.push_type,
            made_room=gone,
        )
