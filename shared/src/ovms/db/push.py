"""Who gets notifications pushed, and the outbox of those that wait to be (docs/decisions/0007).

A row of the outbox is taken for a while: who takes it counts an attempt and moves its next one into the future, so that nobody
else takes it meanwhile, and somebody does if this replica dies with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ovms.db.engine import Connection, Database, Pool

MOST_SUBSCRIPTIONS: Final = 64
"""Of one vehicle; the one that was renewed longest ago makes room."""

_FIND: Final = """
SELECT wanted.id, wanted.vehicle_id, wanted.password, wanted.password_key_id
FROM vehicles AS wanted JOIN vehicles AS mine ON mine.owner_id = wanted.owner_id
WHERE mine.id = $1 AND upper(wanted.vehicle_id) = $2
"""

_SUBSCRIBE: Final = """
INSERT INTO push_subscriptions (vehicle, app_id, push_type, key_type, key)
SELECT id, $2, $3, $4, $5 FROM vehicles WHERE id = $1
ON CONFLICT (vehicle, app_id) DO UPDATE
SET push_type = excluded.push_type, key_type = excluded.key_type, key = excluded.key, updated_at = now()
"""

_MAKE_ROOM: Final = """
DELETE FROM push_subscriptions WHERE vehicle = $1 AND app_id IN (
  SELECT app_id FROM push_subscriptions WHERE vehicle = $1 ORDER BY updated_at DESC, app_id OFFSET $2)
"""

_UNSUBSCRIBE: Final = "DELETE FROM push_subscriptions WHERE vehicle = $1 AND app_id = $2"

_LIST: Final = """
SELECT app_id, push_type, key_type, key, updated_at FROM push_subscriptions
WHERE vehicle = $1 ORDER BY app_id COLLATE "C"
"""

_REMOVE_WAITING: Final = "DELETE FROM push_outbox WHERE vehicle = $1 AND app_id = $2"

# A device that has registered anew since then has another key.
_UNSUBSCRIBE_GONE: Final = "DELETE FROM push_subscriptions WHERE vehicle = $1 AND app_id = $2 AND key = $3"

_TAKE: Final = """
WITH due AS (
  SELECT id FROM push_outbox WHERE push_type = $1 AND next_attempt_at <= now()
  ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE push_outbox AS taken SET attempts = attempts + 1, next_attempt_at = now() + $3 * interval '1 second'
FROM due, vehicles WHERE taken.id = due.id AND vehicles.id = taken.vehicle
RETURNING taken.id, taken.vehicle, vehicle_id, app_id, key_type, key, message, taken.created_at, attempts
"""

_PUT_OFF: Final = """
UPDATE push_outbox SET next_attempt_at = now() + $3 * interval '1 second' WHERE id = $1 AND attempts = $2
"""

_REMOVE: Final = "DELETE FROM push_outbox WHERE id = $1"

_REMOVE_OTHERS: Final = """
WITH removed AS (DELETE FROM push_outbox WHERE push_type <> ALL($1::text[]) RETURNING push_type)
SELECT push_type, count(*) FROM removed GROUP BY push_type
"""


@dataclass(frozen=True, slots=True)
class Subscribable:
    """A vehicle that may be subscribed to with its password."""

    key: int
    vehicle_id: str
    password: bytes = field(repr=False)
    password_key_id: str


@dataclass(frozen=True, slots=True)
class KeptSubscription:
    """Where notifications of a vehicle are pushed to."""

    app_id: str
    push_type: str
    key_type: str
    key: str = field(repr=False)
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Push:
    """A notification on its way to one subscription."""

    id: int
    vehicle: int
    vehicle_id: str
    """As its owner spells it."""
    app_id: str
    key_type: str
    key: str = field(repr=False)
    message: bytes
    """One byte of type, then the text."""
    created_at: datetime
    attempts: int
    """This one among them."""

    @property
    def kind(self) -> str:
        """The type of the notification: I, A, E or U of the manual, and `?` where a car sends none that can be shown."""
        return chr(self.message[0]) if 0x20 < self.message[0] < 0x7F else "?"

    @property
    def text(self) -> str:
        """Its words. Lines end in LF, where a module sends CR: on the wire LF would end the message."""
        return self.message[1:].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


async def find_subscribable(pool: Pool, connected: int, folded_id: str) -> Subscribable | None:
    """A vehicle by its upper-cased id, if it has the owner of the vehicle that a peer is connected to."""
    row = await pool.fetchrow(_FIND, connected, folded_id)
    return None if row is None else Subscribable(*row)


async def subscribe(pool: Pool, vehicle: int, app_id: str, *, push_type: str, key_type: str, key: str) -> int:
    """Add or renew a subscription; return how many others had to make room for it."""
    async with pool.acquire() as connection, connection.transaction():
        return await subscribe_in(connection, vehicle, app_id, push_type=push_type, key_type=key_type, key=key)


async def subscribe_in(connection: Connection, vehicle: int, app_id: str, *, push_type: str, key_type: str, key: str) -> int:
    """The same inside the transaction of a connection."""
    await connection.execute(_SUBSCRIBE, vehicle, app_id, push_type, key_type, key)
    status = await connection.execute(_MAKE_ROOM, vehicle, MOST_SUBSCRIPTIONS)
    return int(status.removeprefix("DELETE "))


async def list_subscriptions(db: Database, vehicle: int) -> list[KeptSubscription]:
    """The subscriptions of a vehicle, by the ids of their apps."""
    return [KeptSubscription(*row) for row in await db.fetch(_LIST, vehicle)]


async def end_subscription(connection: Connection, vehicle: int, app_id: str) -> bool:
    """Push nothing of a vehicle to an app any more, nor what waits to be; whether something was."""
    await connection.execute(_REMOVE_WAITING, vehicle, app_id)
    return await connection.execute(_UNSUBSCRIBE, vehicle, app_id) != "DELETE 0"


async def unsubscribe(pool: Pool, vehicle: int, app_id: str) -> None:
    """Push nothing of a vehicle to an app any more."""
    await pool.execute(_UNSUBSCRIBE, vehicle, app_id)


async def unsubscribe_gone(pool: Pool, push: Push) -> None:
    """Push nothing more to a device that is no more."""
    await pool.execute(_UNSUBSCRIBE_GONE, push.vehicle, push.app_id, push.key)


async def take_due(pool: Pool, push_type: str, *, most: int, lease: float) -> list[Push]:
    """Take what is due; nobody else takes it for `lease` seconds."""
    return [Push(*row) for row in await pool.fetch(_TAKE, push_type, most, lease)]


async def put_off(pool: Pool, push: Push, seconds: float) -> None:
    """Try again later, unless somebody else has taken it since."""
    await pool.execute(_PUT_OFF, push.id, push.attempts, seconds)


async def remove(pool: Pool, push: Push) -> None:
    """It is delivered, or given up."""
    await pool.execute(_REMOVE, push.id)


async def remove_others(pool: Pool, push_types: Sequence[str]) -> dict[str, int]:
    """Give up what is of none of these types; return how many there were, by type."""
    return {row[0]: row[1] for row in await pool.fetch(_REMOVE_OTHERS, push_types)}
